"""What was found of inputs when a manifest was submitted, in its copy, and what is read again after that."""

from contextlib import contextmanager

import pytest

from flows.farm import manifest_copy
from flows.pairs.steps import make_plan
from styletransfer import storage
from styletransfer.limits import MANIFEST_BYTES
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.inputs import FoundInput
from styletransfer.planning.known_inputs import digest, known_inputs, with_inputs
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.storing import store
from tests.studio import pretend_rendered

HASH = "0123456789abcdef" * 4


def test_a_plan_as_submitted_looks_at_no_input_and_lists_nothing(any_studio, monkeypatch):
    plan = plan_manifest(any_studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    with untouched(monkeypatch, any_studio.url("in/a.png"), any_studio.url("in/b.png")):
        again = make_plan.fn(url, ["a--b"], False, None, None, True)
    (before,), (after,) = plan.pairs, again.pairs
    assert after.fingerprint == before.fingerprint
    assert (after.size, after.scales, after.hashes) == (before.size, before.scales, before.hashes)
    assert after.state == "queued"


@contextmanager
def untouched(monkeypatch, *urls):
    """Within the block nobody looks at these, or lists any folder."""

    def guarded(ask):
        def asked(url, *given, **options):
            assert url not in urls, f"{url} was looked at"
            return ask(url, *given, **options)

        return asked

    def listed(pattern):
        raise AssertionError(f"{pattern} was listed")

    with monkeypatch.context() as patch:
        for name in ("read", "stat", "read_if_exists", "exists"):
            patch.setattr(storage, name, guarded(getattr(storage, name)))
        patch.setattr(storage, "glob", listed)
        yield


def test_what_is_done_is_seen(any_studio):
    plan = plan_manifest(any_studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    store(pretend_rendered(plan.pairs[0]))
    (again,) = make_plan.fn(url, ["a--b"], False, None, None, True).pairs
    assert (again.state, again.reason) == ("skipped", "done before")


def test_who_plans_anew_sees_what_has_changed(studio):
    plan = plan_manifest(studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    studio.picture("in/a.png", 77, size=(60, 40))
    (anew,) = make_plan.fn(url, [], False, None, None).pairs
    (as_submitted,) = make_plan.fn(url, [], False, None, None, True).pairs
    assert anew.fingerprint != plan.pairs[0].fingerprint == as_submitted.fingerprint


def test_a_change_since_is_noticed_at_the_fetch(studio):
    """The record is of what was rendered, so that a later plan finds it done."""
    plan = plan_manifest(studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    studio.picture("in/a.png", 77)
    (as_submitted,) = make_plan.fn(url, [], False, None, None, True).pairs
    now = plan_manifest(load_manifest(url)).pairs[0]
    content = store(pretend_rendered(as_submitted)).input("content")
    assert content is not None
    assert content.sha256 == now.hashes[studio.url("in/a.png")]


def test_of_what_is_done_the_inputs_are_looked_at_again(studio):
    """Nobody else does: what is rendered is fetched, and what has changed is noticed then."""
    plan = plan_manifest(studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    store(pretend_rendered(plan.pairs[0]))
    studio.picture("in/a.png", 77)
    changed = make_plan.fn(url, [], False, None, None, True)
    assert (changed.pairs[0].state, changed.pairs[0].reason) == ("queued", "changed since: the content")
    assert changed.pairs[0].fingerprint == make_plan.fn(url, [], False, None, None).pairs[0].fingerprint
    again = make_plan.fn(manifest_copy.store(plan.manifest, changed.inputs), [], False, None, None, True)
    assert again.pairs[0].fingerprint == changed.pairs[0].fingerprint


def test_what_is_done_stays_so_where_its_inputs_can_be_read_no_more(studio):
    plan = plan_manifest(studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    store(pretend_rendered(plan.pairs[0]))
    storage.delete(studio.url("in/a.png"))
    again = make_plan.fn(url, [], False, None, None, True)
    assert (again.pairs[0].state, again.faults, again.troubles) == ("skipped", (), ())


def test_a_picture_that_is_gone_is_no_fault_of_the_plan(studio):
    plan = plan_manifest(studio.simple())
    url = manifest_copy.store(plan.manifest, plan.inputs)
    storage.delete(studio.url("in/a.png"))
    again = make_plan.fn(url, [], False, None, None, True)
    assert not again.faults
    assert again.pairs[0].state == "queued"


def test_inputs_with_a_fault_are_looked_at_again(studio):
    studio.put("in/c.png", b"no picture")
    manifest = studio.manifest({"content": "in/c.png", "style": "in/c.png"})
    plan = plan_manifest(manifest)
    url = manifest_copy.store(manifest, plan.inputs)
    assert make_plan.fn(url, [], False, None, None, True).pairs[0].state == "failed"
    studio.picture("in/c.png", 3)
    assert make_plan.fn(url, [], False, None, None, True).pairs[0].state == "queued"


def test_the_copy_of_other_findings_is_another(studio):
    plan = plan_manifest(studio.simple())
    with_them, without = manifest_copy.store(plan.manifest, plan.inputs), manifest_copy.store(plan.manifest)
    assert with_them != without
    assert manifest_copy.store(plan.manifest, plan.inputs) == with_them
    assert load_manifest(with_them).pairs == load_manifest(without).pairs


def test_only_a_stored_copy_is_believed():
    found = {"a.png": FoundInput(sha256=HASH, size=(4, 3)), "p": FoundInput(sha256=HASH)}
    text = with_inputs(b"version: 1\n", found)
    assert known_inputs(text, f"/out/demo/.manifests/{digest(text)}/demo.yaml") == found
    assert known_inputs(text, "/inbox/demo.yaml") == {}
    assert known_inputs(text + b"\n", f"/out/demo/.manifests/{digest(text)}/demo.yaml") == {}


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"a.png": {"sha256": "x"}}', b'{"a": {"width": -1}}'])
def test_findings_that_cannot_be_are_none(line):
    text = b"version: 1\n# inputs: " + line + b"\n"
    assert known_inputs(text, f"/{digest(text)}/demo.yaml") == {}


def test_a_copy_does_not_grow_beyond_what_is_read():
    contents = b"#" * (MANIFEST_BYTES - 10)
    assert with_inputs(contents, {"a.png": FoundInput(sha256=HASH)}) == contents
