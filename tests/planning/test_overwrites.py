"""No result takes the place of anything that its manifest reads."""

from pathlib import Path

import pytest

from styletransfer.planning.plan import plan_manifest
from tests.studio import plan_faults, pretend_all


@pytest.mark.parametrize(
    ("keys", "pair", "place"),
    [
        ({"name": "in", "output": "."}, {"id": "harbour"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "Harbour"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/x.json"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/index.html"}, "output would put index.html over "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/.thumbnails/a.jpg"}, "output "),
        ({"name": "in", "output": "."}, {"id": "x"}, None),
        ({"name": "in", "output": "."}, {"id": "harbour", "format": "jpeg"}, None),
        ({}, {"id": "harbour"}, None),
    ],
)
def test_a_result_in_place_of_an_input_is_a_fault(any_studio, keys, pair, place):
    for name in ("harbour.png", "b.png", "x.json", "index.html", ".thumbnails/a.jpg"):
        any_studio.picture(f"in/{name}")
    any_studio.put("in/summary.json", b"{}")
    manifest = any_studio.manifest({"content": "in/harbour.png", "style": "in/b.png", **pair}, **keys)
    found = plan_faults(manifest)
    assert len(found) == (place is not None)
    assert all(text.startswith(place) and "choose another `output` or `name`" in text for text in found)


def test_links_are_followed_to_find_what_a_result_would_overwrite(studio):
    manifest = studio.simple(name="linked", output=".")
    Path(studio.url("linked")).symlink_to("in")
    assert not plan_faults(manifest)
    same_id = studio.manifest({"id": "a", "content": "in/a.png", "style": "in/b.png"}, name="linked", output=".")
    (fault,) = plan_faults(same_id)
    assert f"would overwrite {studio.url('in/a.png')}, which" in fault


def test_a_former_picture_that_has_become_an_input_is_not_removed(studio):
    """Stored in another format, the pair would remove the one of before."""
    pretend_all(studio.simple())
    again = studio.manifest({"id": "a--b", "content": "out/demo/a--b.png", "style": "in/b.png", "format": "jpeg"})
    (fault,) = plan_faults(again)
    assert "would overwrite" in fault


@pytest.mark.parametrize("name", ["a--b.png", "a--b.json", "summary.json", "index.html"])
def test_hard_links_count_as_the_file_that_they_lead_to(studio, name):
    manifest = studio.simple()
    assert not plan_faults(manifest)
    Path(studio.url("out/demo")).mkdir(parents=True)
    Path(studio.url(f"out/demo/{name}")).hardlink_to(studio.url("in/a.png"))
    (fault,) = plan_faults(manifest)
    assert f"over{'write' if name.startswith('a') else ''} {studio.url('in/a.png')}, which" in fault


def test_an_output_spelled_otherwise_is_no_other_place(studio):
    (fault,) = plan_faults(
        studio.manifest(
            {"id": "a", "content": "in/a.png", "style": "in/b.png"},
            name="in",
            output=f"local://{studio.picture('in/a.png').removesuffix('/in/a.png')}",
            weights=studio.picture("in/b.png"),
        )
    )[:1]
    assert f"would overwrite {studio.url('in/a.png')}, which" in fault


@pytest.mark.parametrize("name", ["a--b.png", "a--b.json"])
def test_a_folder_in_place_of_a_result_is_a_fault(studio, name):
    """Found when it is written only, it would have cost the whole render."""
    manifest = studio.simple()
    Path(studio.url(f"out/demo/{name}")).mkdir(parents=True)
    (pair,) = plan_manifest(manifest).pairs
    assert pair.state == "failed"
    assert name in pair.reason
    assert "folder" in pair.reason
