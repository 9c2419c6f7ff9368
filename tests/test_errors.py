"""The error tree is the one that is drawn; errors that list faults list all of them."""

import inspect
import re

import pytest

from styletransfer import errors
from styletransfer.errors import (
    DeviceError,
    Fault,
    ImageError,
    ManifestError,
    SettingsError,
    StorageError,
    StyleTransferError,
    WeightsError,
    may_be_of_host,
)


def drawn_tree() -> dict[str, str]:
    """Parent of each class by name, from the indentation in the module's docstring."""
    path: list[str] = []
    parents = {}
    for indent, name in re.findall(r"^    ( *)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        path = [*path[: len(indent) // 2], name]
        parents[name] = path[-2] if len(path) > 1 else "Exception"
    return parents


def defined_errors() -> dict[str, type[Exception]]:
    """Every exception class of the module."""
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: cls for name, cls in found if issubclass(cls, Exception) and cls is not errors.FaultsError}


def test_the_drawn_tree_names_every_error_and_no_other():
    assert drawn_tree().keys() == defined_errors().keys()


@pytest.mark.parametrize(("name", "parent"), drawn_tree().items())
def test_each_error_is_of_the_kind_that_is_drawn_above_it(name, parent):
    ancestors = [cls.__name__ for cls in defined_errors()[name].__mro__[1:]]
    drawn = [ancestor for ancestor in ancestors if ancestor in {*drawn_tree(), "Exception"}]
    assert drawn[0] == parent


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("pairs[3].settings.seed", "is -1"), "pairs[3].settings.seed is -1"),
        (Fault("pairs[3].settings.seed", "is -1", line=12), "pairs[3].settings.seed (line 12) is -1"),
        (Fault("", "is not a mapping"), "is not a mapping"),
        (Fault("", "is not a mapping", line=1), "(line 1) is not a mapping"),
    ],
)
def test_a_fault_reads_as_a_sentence_about_its_place(fault, text):
    assert str(fault) == text


@pytest.mark.parametrize("kind", [SettingsError, ManifestError])
def test_every_fault_has_a_line_that_begins_with_the_source(kind):
    faults = (Fault("a", "is 1"), Fault("b", "is 2", line=4))
    error = kind(iter(faults), "demo.yaml")
    assert str(error) == "demo.yaml: a is 1\ndemo.yaml: b (line 4) is 2"
    assert error.faults == faults
    assert error.source == "demo.yaml"


def test_without_a_source_a_line_begins_with_its_place():
    assert str(SettingsError([Fault("settings.seed", "is -1")])) == "settings.seed is -1"


def test_a_storage_error_is_final_unless_it_says_otherwise():
    assert not StorageError("no such file").transient
    assert StorageError("timed out", transient=True).transient


@pytest.mark.parametrize(
    ("error", "of_host"),
    [
        (ImageError("damaged"), False),
        (ManifestError([Fault("a", "is 1")]), False),
        (StorageError("there is no such object"), False),
        (StorageError("there is no such file", of_host=True), True),
        (StorageError("no answer in time", transient=True), True),
        (DeviceError("device 'cuda:0' is there but can't be used"), True),
        (WeightsError("damaged"), True),
        (ImportError("libvips.so.42"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (MemoryError(), True),
    ],
)
def test_an_error_is_a_verdict_only_where_every_host_would_meet_it(error, of_host):
    assert may_be_of_host(error) is of_host


def test_every_error_can_be_caught_as_one():
    assert all(issubclass(cls, StyleTransferError) for cls in defined_errors().values())
