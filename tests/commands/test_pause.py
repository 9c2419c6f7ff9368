"""A manifest that is paused says so, until it is resumed; so does the farm."""

from tests.farm.commands import call


def test_a_manifest_is_paused_until_it_is_resumed(night):
    done = call("pause", night.name)
    assert done.status == 0, done.err
    assert f"to go on: styletransfer resume {night.name}" in done.out
    assert f"{night.name}: paused" in call("status", night.name).out
    assert call("resume", night.name).status == 0
    assert f"{night.name}: scheduled" in call("status", night.name).out


def test_the_farm_is_paused_until_it_is_resumed(night):
    try:
        assert call("pause").status == 0
        assert call("status").out.startswith("the farm is paused; to go on: styletransfer resume")
        assert "the farm is paused as a whole" in call("resume", night.name).out
    finally:
        assert call("resume").status == 0
    assert "the farm is paused" not in call("status").out
