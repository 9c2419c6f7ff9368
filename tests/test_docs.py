"""README and docs say what the program does: settings, commands, links, manifests, messages, Python."""

import ast
import json
import re
import shlex
import shutil

import numpy as np
import pytest

from flows.commands import reference
from flows.commands.main import COMMANDS, make_parser
from styletransfer.errors import ManifestError
from styletransfer.manifest import strict_yaml
from styletransfer.manifest.reader import load_manifest, parse_manifest
from styletransfer.manifest.schema import ManifestFile
from styletransfer.records.records import Record, to_json
from styletransfer.settings import QUALITIES, ExecutionSettings, PictureSettings, Settings, content_weight_of
from styletransfer.transfer.schedule import Work
from tests.checkout import ROOT
from tests.studio import TINY

README = ROOT / "README.md"
MANIFEST = ROOT / "docs/manifest.md"
PYTHON = ROOT / "docs/python.md"
REFERENCE = ROOT / "docs/reference.md"
TROUBLES = ROOT / "docs/troubleshooting.md"
ARTISTS = ROOT / "docs/artists.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
IMAGES = ROOT / "manifests/images"


def text(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)


def section(page, heading):
    return re.split(r"^##+ ", text(page).split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def settings_table():
    """Rows of the table of settings by name: default, kind, options, meaning."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section(REFERENCE, "Settings"), re.MULTILINE)
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
    assert all(re.search(rf"(?<![\w-]){choice}(?![\w-])", settings_table()[name][3]) for choice in choices)


def test_the_qualities_are_those_listed():
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section(ROOT / "docs/pictures.md", "Qualities"), re.MULTILINE)
    assert {name: strict_yaml.load(values).value for name, values in rows} == QUALITIES


def test_the_content_weights_of_strengths_are_those_listed():
    table = section(ROOT / "docs/pictures.md", "How much style")
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \|", table, re.MULTILINE)
    assert len(rows) == 11
    assert [content_weight_of(float(strength)) for strength, _ in rows] == [float(weight) for _, weight in rows]


# Commands


def test_the_reference_is_what_the_program_says_of_itself():
    assert text(REFERENCE) == reference.page(), "run: python -m flows.commands.reference > docs/reference.md"


def test_every_command_is_in_the_reference():
    shown = re.findall(r"^\| \[`(\w+)`\]", section(REFERENCE, "Commands"), re.MULTILINE)
    assert sorted(shown) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command):
    """In its command's section, as a setting, or where the page tells of what all commands take."""
    documented = "".join(section(REFERENCE, heading) for heading in (command, "Settings"))
    documented += text(REFERENCE).split("## ", 1)[0]
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
    shown = blocks(MANIFEST, "json")[0]
    record = Record.model_validate_json(shown)
    assert keys(json.loads(shown)) <= keys(json.loads(to_json(record)))
    assert set(record.settings) <= set(Settings.model_fields)


# Times


def seconds_an_iteration(name, **wanted):
    """By pixels, as measured; of several ways the fastest."""
    rows = json.loads((ROOT / "docs/performance" / name).read_text())["rows"]
    fit = [row for row in rows if all(row.get(key) in values for key, values in wanted.items())]
    timed = [(row["px"] ** 2, row.get("wall_s") or row.get("seconds")) for row in fit]
    return {size: seconds for size, seconds in sorted(timed, key=lambda row: (row[0], -(row[1] or 0))) if seconds}


CPU = seconds_an_iteration("speed.json", variant=["bf16"])
GPU = seconds_an_iteration("gpu.json", dtype=["bfloat16"], way=["graph", "eager"])


def whole_render(settings, each_s):
    """A square render's iterations, and their seconds: between sizes that were measured, and beyond, by pixels."""
    px = int(str(settings.end_scale).rstrip("+"))
    scales = settings.pyramid(px)
    iterations = Work.of(settings, (px, px), scales).iterations
    pixels = np.array(scales, np.float64) ** 2
    seconds = np.interp(pixels, list(each_s), list(each_s.values())) * np.maximum(1, pixels / max(each_s))
    return sum(iterations), float(seconds @ iterations)


def test_the_readmes_minutes_of_a_default_render_are_those_measured():
    (minutes,) = re.findall(r"about (\d+) minutes on two CPU cores", text(README))
    assert int(minutes) == pytest.approx(whole_render(Settings(), CPU)[1] / 60, rel=0.25)  # machines differ by more


TIMED = {
    "`quality: draft`, 256 px": Settings(quality="draft"),
    "512 px, `schedule: fast`": Settings(schedule="fast"),
    "512 px, as it comes": Settings(),
    "`quality: good`, 1024 px": Settings(quality="good"),
    "2048 px, `schedule: fast`": Settings(end_scale=2048, schedule="fast"),
    "`quality: print`, 2896 px": Settings(quality="print"),
}
UNITS = {"s": 1, "min": 60, "h": 3600}


def test_the_artists_times_are_those_measured():
    table = section(ARTISTS, "How long will mine take")
    rows = re.findall(r"^\| (.* px.*) \| ([\d,]+) \| (.*) \| (.*) \|$", table, re.MULTILINE)
    assert [row[0] for row in rows] == list(TIMED)
    for name, iterations, *shown in rows:
        for (number, unit), each_s in zip(map(str.split, shown), (CPU, GPU), strict=True):
            expected, seconds = whole_render(TIMED[name], each_s)
            assert int(iterations.replace(",", "")) == expected
            assert float(number) * UNITS[unit] == pytest.approx(seconds, rel=0.25)


# Messages


def constants():
    """Every text in the program's source, f-strings by their parts."""
    files = [file for package in ("styletransfer", "flows") for file in (ROOT / package).rglob("*.py")]
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_messages_in_troubleshooting_are_the_programs():
    rows = re.findall(r"^\| `(.*?)`[^|]* \| .* \| .* \|$", text(TROUBLES), re.MULTILINE)
    messages = [part for row in rows for part in row.split("...") if len(part.strip()) > 3]
    assert len(rows) > 30
    source = "\n".join(constants())
    assert [part for part in messages if part.strip() not in source] == []


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


def test_the_example_of_a_sweep_makes_the_ids_shown(harbour):
    told = section(MANIFEST, "Sweeps")
    (example,) = blocks_in(told, "yaml")
    found = [pair.id for pair in parse_manifest(example, str(harbour)).pairs]
    assert len(found) == 6
    assert f"makes six: `{found[0]}`, `{found[1]}`, `{found[2]}` and so on" in " ".join(told.split())


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


def test_the_examples_of_python_run_one_after_the_other(cats, capsys):
    exec(quick("\n".join(blocks(PYTHON, "python"))), {"__name__": "example"})
    assert (cats / "renders/cats/cat--glass.json").exists()
    assert load_manifest("cats.yaml").pairs[0].id == "cat--glass"
    assert "cat--glass queued not rendered yet" in capsys.readouterr().out
