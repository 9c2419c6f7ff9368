"""README and docs say what the program does: settings, commands, links, manifests, messages, Python."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest

from flows.commands.main import COMMANDS, make_parser
from styletransfer.errors import ManifestError
from styletransfer.manifest import strict_yaml
from styletransfer.manifest.reader import load_manifest, parse_manifest
from styletransfer.manifest.schema import ManifestFile
from styletransfer.renders.records import Record, to_json
from styletransfer.settings import QUALITIES, ExecutionSettings, PictureSettings, Settings, content_weight_of
from styletransfer.sizes import pyramid
from styletransfer.transfer.schedule import Work
from tests.checkout import ROOT

README = ROOT / "README.md"
MANIFEST = ROOT / "docs/manifest.md"
PYTHON = ROOT / "docs/python.md"
FARM = ROOT / "docs/farm.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
IMAGES = ROOT / "manifests/images"

TINY = {
    "end_scale": 24,
    "min_scale": 24,
    "initial_iterations": 2,
    "content_layers": ["relu2_1"],
    "style_layers": {"relu1_1": 1},
}
"""Settings in place of an example's: what counts is that its lines run."""


def text(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)


def section(page, heading):
    return re.split(r"^##+ ", text(page).split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def settings_table():
    """Rows of the table of settings by name: default, kind, options, meaning."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section(README, "Settings"), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def options(command):
    """Every option of a command, each with all its spellings."""
    return [action for action in make_parser(command)._actions if action.option_strings]


# Settings


def test_the_table_lists_every_setting_once_and_in_its_order():
    order = [*PictureSettings.model_fields, *(set(Settings.model_fields) - set(PictureSettings.model_fields))]
    assert sorted(settings_table()) == sorted(order)
    assert list(settings_table())[: len(PictureSettings.model_fields)] == list(PictureSettings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_table_gives_a_settings_default_and_kind(name):
    default, kind, *_ = settings_table()[name]
    assert strict_yaml.load(default.strip("`")).value == Settings().model_dump(mode="json")[name]
    kinds = {"picture": PictureSettings.model_fields, "execution": ExecutionSettings.model_fields}
    assert kind == next((each for each in kinds if name in kinds[each]), "shorthand")


def test_the_table_gives_each_settings_options():
    spelled = {action.dest: action.option_strings for action in options("image")}
    for name, (_, _, shown, _) in settings_table().items():
        assert sorted(re.findall(r"`(.*?)`", shown)) == sorted(spelled.get(name, [])), name


CHOICES = ["pooling", "optimizer", "schedule", "init", "colours", "alpha", "quality", "precision", "tiles"]


@pytest.mark.parametrize("name", CHOICES)
def test_the_table_names_every_choice(name):
    schema = Settings.model_json_schema()["properties"][name]
    choices = schema.get("enum") or schema["anyOf"][0]["enum"]
    assert all(f"`{choice}`" in settings_table()[name][3] for choice in choices)


def test_the_qualities_are_those_listed():
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section(ROOT / "docs/pictures.md", "Qualities"), re.MULTILINE)
    assert {name: strict_yaml.load(values).value for name, values in rows} == QUALITIES


def test_the_content_weights_of_strengths_are_those_listed():
    table = section(ROOT / "docs/pictures.md", "How much style")
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \|", table, re.MULTILINE)
    assert len(rows) == 11
    assert [content_weight_of(float(strength)) for strength, _ in rows] == [float(weight) for _, weight in rows]


# Commands


def test_every_command_is_in_the_readme():
    shown = re.findall(r"^\| `styletransfer (\w+).*?`", section(README, "Commands"), re.MULTILINE)
    assert sorted(shown) == sorted(COMMANDS)


def is_of_the_farm(command):
    return any("--state" in action.option_strings for action in options(command))


def test_every_command_of_the_farm_is_in_its_page():
    shown = re.findall(r"^\| `styletransfer (\w+).*?`", section(FARM, "Commands"), re.MULTILINE)
    assert sorted(shown) == sorted(filter(is_of_the_farm, COMMANDS))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command):
    """Those of the farm's commands in its page, others in the README."""
    if is_of_the_farm(command):
        documented = section(FARM, "Commands")
    else:
        documented = section(README, "Commands") + section(README, "Settings")
    for action in options(command):
        for option in action.option_strings:
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", documented), option


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_shown_is_one_that_is_taken(page):
    """Lines of shell blocks, and those after `$ ` in what a console shows."""
    shown = "".join(blocks(page, "sh") + blocks(page, "console"))
    for line in re.findall(r"^(?:\$ )?styletransfer ((?:.*\\\n)*.*)$", shown, re.MULTILINE):
        arguments = shlex.split(line.replace("\\\n", " "), comments=True)
        make_parser(arguments[0]).parse_args(arguments[1:])


# Links


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", text(page)):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_is_there(page):
    named = re.findall(r"`((?:styletransfer|flows|tests|manifests)/[\w./-]*)`", text(page))
    assert [name for name in named if "renders" not in name and not (ROOT / name).exists()] == []


def test_every_page_is_linked_from_the_readme():
    assert all(f"](docs/{page.name})" in text(README) for page in PAGES[1:])


def test_the_readmes_picture_is_small():
    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", text(README))
    assert (ROOT / picture).stat().st_size < 150_000


# Records


def keys(value, place=""):
    """Every key in a JSON value, with those that lead there."""
    if isinstance(value, list):
        return {key for part in value for key in keys(part, place)}
    if not isinstance(value, dict):
        return {place}
    return {key for name, part in value.items() for key in keys(part, f"{place}.{name}")}


def test_the_record_shown_is_one_that_is_read_and_has_no_key_of_its_own():
    shown = blocks(README, "json")[0]
    record = Record.model_validate_json(shown)
    assert keys(json.loads(shown)) <= keys(json.loads(to_json(record)))
    assert set(record.settings) <= set(Settings.model_fields)


# Times


def test_the_readmes_minutes_of_a_default_render_are_those_measured():
    """Between two sizes that were measured, seconds go by pixels."""
    rows = json.loads((ROOT / "docs/performance/speed.json").read_text())["rows"]
    measured = {row["px"] ** 2: row["wall_s"] for row in rows if row["variant"] == "bf16"}
    scales = pyramid(Settings().min_scale, 512)
    iterations = Work.of(Settings(), (512, 512), scales).iterations
    each_s = np.interp([scale**2 for scale in scales], list(measured), list(measured.values()))
    (minutes,) = re.findall(r"about (\d+) minutes on two CPU cores", text(README))
    assert int(minutes) == pytest.approx(float(each_s @ iterations) / 60, rel=0.25)  # machines differ by more


# Manifests


def example_manifests():
    faulty = blocks_in(section(MANIFEST, "Faults"), "yaml")
    return [block for page in PAGES for block in blocks(page, "yaml") if block not in faulty]


def blocks_in(part, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)


@pytest.fixture
def harbour(tmp_path):
    """A folder with what the examples' globs look for."""
    for name in ("in/harbour.jpg", "in/boats/dinghy.jpg", "styles/wave.png", "styles/ink.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    shutil.copytree(IMAGES, tmp_path / "images")
    return tmp_path / "harbour.yaml"


@pytest.mark.parametrize("example", example_manifests())
def test_an_example_manifest_has_nothing_wrong(example, harbour):
    assert parse_manifest(example, str(harbour)).pairs


def test_the_example_of_faults_gets_the_messages_shown(harbour):
    faults = section(MANIFEST, "Faults")
    example, shown = blocks_in(faults, "yaml")[0], blocks_in(faults, "text")[0]
    with pytest.raises(ManifestError) as raised:
        parse_manifest(example, str(harbour))
    assert [f"error: {line}" for line in str(raised.value).splitlines()] == shown.splitlines()


def test_every_key_of_a_manifest_is_documented():
    keys = re.findall(r"^\| `(\w+)`", section(MANIFEST, "Keys"), re.MULTILINE)
    assert set(keys) == {*ManifestFile.model_fields, "styles"}


# Python


@pytest.fixture
def cats(tmp_path, monkeypatch):
    """The folder that the examples of Python run in."""
    shutil.copy(IMAGES / "photographs/cat.jpg", tmp_path)
    shutil.copy(IMAGES / "styles/glass.jpg", tmp_path)
    pair = {"content": "cat.jpg", "style": "glass.jpg"}
    manifest = {"version": 1, "weights": "random", "defaults": TINY, "pairs": [pair]}
    (tmp_path / "cats.yaml").write_text(json.dumps(manifest))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quick(code):
    """An example with tiny settings in place of its own."""
    code, replaced = re.subn(r"Settings\(.*?\)", f"Settings(**{TINY})", code)
    assert replaced == 1
    return code


def test_the_readmes_example_of_python_has_five_lines_and_runs(cats):
    (example,) = blocks(README, "python")
    assert len([line for line in example.splitlines() if line]) == 5
    exec(quick(example), {})
    assert (cats / "cat-glass.png").read_bytes().startswith(b"\x89PNG")


def test_the_examples_of_python_run_one_after_the_other(cats, capsys):
    exec(quick("\n".join(blocks(PYTHON, "python"))), {"__name__": "example"})
    assert (cats / "renders/cats/cat--glass.json").exists()
    assert load_manifest("cats.yaml").pairs[0].id == "cat--glass"
    assert "cat--glass queued not rendered yet" in capsys.readouterr().out
