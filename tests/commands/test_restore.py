"""`styletransfer restore`: a version back, and what the manifest asks for instead."""

import hashlib

from flows.commands.main import main
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import read_record, read_summary
from styletransfer.renders.storing import store
from styletransfer.renders.summary import REPLACED
from tests.commands.programs import write_manifest
from tests.commands.test_history import PAIR, render
from tests.studio import SHALLOW, plan_one, pretend_rendered


def test_a_version_is_back_and_the_manifests_settings_are_told(studio, capsys):
    first, second = render(studio, 1), render(studio, 2)
    assert main(["restore", studio.url("demo.yaml"), "a--b", first]) == 0
    place = studio.url("out/demo/a--b.png")
    assert capsys.readouterr().out == (
        f"a--b: version {first} is in {place}\n"
        "the manifest asks for other settings; to keep this one, let it have seed: 1\n"
    )
    assert main(["history", studio.url("demo.yaml"), "a--b"]) == 0
    _, present, former = capsys.readouterr().out.splitlines()
    assert [present.split()[0], former.split()[0]] == [first, second]


def test_what_is_kept_is_told_in_the_manifests_words(studio, capsys):
    strong, weak = ({**SHALLOW, "strength": strength} for strength in (0.8, 0.4))
    first = store(pretend_rendered(plan_one(studio.simple(defaults=strong)), 1)).fingerprint[:8]
    store(pretend_rendered(plan_one(studio.simple(defaults=weak)), 2))
    write_manifest(studio, PAIR, defaults=weak)
    ContactSheet(plan_manifest(studio.simple(defaults=weak))).write({})
    assert main(["restore", studio.url("demo.yaml"), "a--b", first]) == 0
    assert capsys.readouterr().out.endswith("to keep this one, let it have strength: 0.8\n")
    assert main(["history", studio.url("demo.yaml"), "a--b"]) == 0
    assert "strength: 0.4 -> 0.8" in capsys.readouterr().out
    page = studio.read("out/demo/index.html").decode()
    assert "strength: 0.8" in page
    assert REPLACED.replace("'", "&#39;") in page
    assert "--strength 0.4" not in page


def test_the_present_one_is_left_alone(studio, capsys):
    render(studio, 1)
    second = render(studio, 2)
    before = hashlib.sha256(studio.read("out/demo/a--b.png")).digest()
    assert main(["restore", studio.url("demo.yaml"), "a--b", second]) == 0
    assert "is the present one" in capsys.readouterr().out
    assert hashlib.sha256(studio.read("out/demo/a--b.png")).digest() == before


def test_a_version_that_there_is_not(studio, capsys):
    first, second = render(studio, 1), render(studio, 2)
    for name in ("xyz", ""):
        assert main(["restore", studio.url("demo.yaml"), "a--b", name]) == 2
        said = f"error: VERSION is {name!r}; must begin the name of one version; there are: "
        assert capsys.readouterr().err.strip() == f"{said}{second}, {first}"


def test_the_contact_sheet_shows_what_is_there_now(studio):
    first, second = render(studio, 1), render(studio, 2)
    plan = plan_manifest(studio.simple(defaults={**SHALLOW, "seed": 2}))
    before = ContactSheet(plan).write({}).pairs[0]
    assert main(["restore", studio.url("demo.yaml"), "a--b", first]) == 0
    summary, record = read_summary(plan.places.summary), read_record(plan.places.record("a--b"))
    assert summary is not None
    assert record is not None
    (shown,) = summary.pairs
    assert (shown.fingerprint, shown.sha256) == (record.fingerprint, record.output.sha256)
    assert shown.sha256 != before.sha256
    assert [former.fingerprint[:8] for former in shown.former] == [second]
