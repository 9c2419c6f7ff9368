"""The promises of the distribution: imports run one way; the bounds that keep Prefect working are there."""

import ast
import asyncio
import graphlib
import importlib
import itertools
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import fastapi
import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.checkout import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY = sorted((ROOT / "styletransfer").rglob("*.py"))
FLOWS = sorted((ROOT / "flows").rglob("*.py"))
MODULES = [source for source in LIBRARY + FLOWS if source.stem != "__init__"]


def imports(source: Path) -> set[str]:
    """Every module named by an import statement anywhere in a file, those for type checking included."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module(source: Path) -> str:
    return ".".join(source.relative_to(ROOT).with_suffix("").parts)


def requirement(name: str) -> Requirement:
    return next(found for text in PROJECT["dependencies"] if (found := Requirement(text)).name == name)


@pytest.mark.parametrize("source", LIBRARY, ids=module)
def test_library_never_imports_orchestration(source):
    packages = {name.partition(".")[0] for name in imports(source)}
    assert not packages & {"flows", "prefect"}


@pytest.mark.parametrize("source", LIBRARY + FLOWS, ids=module)
def test_only_storage_sees_fsspec(source):
    packages = {name.partition(".")[0] for name in imports(source)}
    if not module(source).startswith("styletransfer.storage"):
        assert not packages & {"aiobotocore", "boto3", "botocore", "fsspec", "s3fs"}


def rooms() -> list[str]:
    """The packages in the order in which CONTRIBUTING.md shows them, lowest first."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Layout")[1].split("## Changes")[0]
    found: list[str] = []
    inside: list[str] = []
    for indent, name in re.findall(r"^ {4}( *)(\w+)/ ", section, re.MULTILINE):
        inside[len(indent) // 2 :] = [name]
        found.append(".".join(inside))
    return found


ROOMS = rooms()
FARM_ROOMS = {room for room in ROOMS if room.startswith("flows.farm.")}
CARRIED = ["styletransfer.network", "styletransfer.objective", "styletransfer.transfer"]
"""Rooms that work on a bare GPU host."""


def room(name: str) -> str:
    """The package that a module, or a name in one, is in."""
    parts = name.split(".")
    while not (ROOT / Path(*parts)).is_dir():
        parts.pop()
    return ".".join(parts)


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] in ("flows", "styletransfer")}


def test_the_map_shows_every_room():
    assert sorted(ROOMS) == sorted({room(module(source)) for source in MODULES} | {"flows"})


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_is_in_it(name):
    assert ast.get_docstring(ast.parse((ROOT / name.replace(".", "/") / "__init__.py").read_text()))


@pytest.mark.parametrize("source", MODULES, ids=module)
def test_imports_run_one_way(source):
    """A file imports its own room and those above it on the map; rooms of the farm never import each other."""
    here = room(module(source))
    allowed = set(ROOMS[: ROOMS.index(here) + 1])
    if here in FARM_ROOMS:
        allowed -= FARM_ROOMS - {here}
    assert {room(name) for name in own(imports(source))} <= allowed


def test_no_two_files_import_each_other():
    files = set(map(module, MODULES))
    graph = {module(source): imports(source) & files for source in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("source", MODULES, ids=module)
def test_every_file_has_its_tests(source):
    """Where CONTRIBUTING.md has them: in the same room, under its name."""
    below = source.relative_to(ROOT).parts[1:]
    assert (ROOT.joinpath("tests", *below[:-1]) / f"test_{below[-1]}").is_file()


@pytest.mark.parametrize("name", CARRIED)
def test_rooms_that_are_carried_need_little(name):
    command = [sys.executable, "-m", "tests.bare_host", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["styletransfer", "styletransfer.manifest.reader", "styletransfer.settings"])
def test_import_is_light(name):
    """A help text, a check of a manifest, a rerun that skips all: none of them waits for torch."""
    code = f"import sys, {name}; print(*({{'fsspec', 'prefect', 's3fs', 'torch'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"prefect", "torch"}.isdisjoint(done.stdout.split())


def test_public_names_are_sorted_and_there():
    library = importlib.import_module("styletransfer")
    assert list(library.__all__) == sorted(set(library.__all__))
    for name in library.__all__:
        assert getattr(library, name) is not None
    assert set(library.__all__) <= set(dir(library))


def test_unknown_public_name_is_an_attribute_error():
    library = importlib.import_module("styletransfer")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = library.no_such_name


@pytest.mark.parametrize(
    ("name", "works", "untried"),
    [
        ("prefect", "3.9.1", "3.10.0"),
        ("sqlalchemy", "2.0.58", "2.1.0"),
    ],
)
def test_bounds_that_keep_prefect_working(name, works, untried):
    specifier = requirement(name).specifier
    assert works in specifier
    assert untried not in specifier


def test_prefect_keeps_fastapi_where_it_works():
    """Else the bound has to be ours again."""
    theirs = map(Requirement, metadata.requires("prefect") or [])
    specifier = next(found.specifier for found in theirs if found.name == "fastapi")
    assert "0.150.0" in specifier
    assert "0.151.0" not in specifier


def test_prefect_server_takes_the_nulls_of_its_client():
    """`client.read_task_runs()` sends `"limit": null` to a parameter that Prefect declares an integer."""
    app = fastapi.FastAPI()

    @app.post("/filter")
    def filter_runs(limit: int = fastapi.Body(None), offset: int = fastapi.Body(0)):
        return [limit, offset]

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            return await client.post("/filter", json={"limit": None, "offset": 0})

    assert asyncio.run(ask()).json() == [None, 0]


def constraints() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


EVERYTHING = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("text", EVERYTHING)
def test_constraints_name_one_version_of_each_requirement(text, python):
    wanted = Requirement(text)
    here = {"python_version": python, "python_full_version": f"{python}.5"}
    found = [
        pin.specifier
        for pin in constraints()
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        and (pin.marker is None or pin.marker.evaluate(here))
    ]
    ((exactly,),) = found
    assert exactly.operator == "=="
    assert exactly.version in wanted.specifier


def test_constraints_come_from_the_index_alone():
    """No paths of one machine, no builds for one kind of it."""
    for pin in constraints():
        assert pin.url is None
        assert "+" not in str(pin.specifier)


def test_the_image_is_given_all_that_it_copies():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == let_through


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_installed_version_is_within_bounds(text):
    wanted = Requirement(text)
    assert metadata.version(wanted.name) in wanted.specifier


def test_console_script_resolves():
    target, _, function = PROJECT["scripts"]["styletransfer"].partition(":")
    assert callable(getattr(importlib.import_module(target), function))


@pytest.mark.parametrize("package", ["flows", "styletransfer"])
def test_package_is_typed(package):
    assert (ROOT / package / "py.typed").exists()
