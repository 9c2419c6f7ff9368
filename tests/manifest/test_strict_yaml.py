"""YAML as data: the 1.2 core schema, lines, faults and bounds."""

import json
import math
import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.manifest import strict_yaml
from styletransfer.manifest.strict_yaml import Bounds, load, place

# From https://yaml.org/spec/1.2.2/#103-core-schema, and where YAML 1.1 differs.
SCALARS = {
    "": None, "~": None, "null": None, "NULL": None, "nUll": "nUll",
    "true": True, "True": True, "TRUE": True, "tRue": "tRue", "false": False,
    "yes": "yes", "no": "no", "on": "on", "Off": "Off", "y": "y", "N": "N",
    "0": 0, "-19": -19, "+12": 12, "010": 10, "-007": -7, "0o17": 15, "0x1f": 31,
    "0X1F": "0X1F", "0b11": "0b11",
    "1_000": "1_000", "190:20:30": "190:20:30", "-0o7": "-0o7",
    "0.": 0.0, "-0.0": 0.0, ".5": 0.5, "+12e03": 12000.0, "-2E+05": -200000.0, "1e-2": 0.01, "1e3": 1000.0,
    "685.230_15e+03": "685.230_15e+03", ".": ".", "e3": "e3", "1e": "1e", "1e999": math.inf,
    ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf, "inf": "inf", "nan": "nan",
    "2026-11-22": "2026-11-22", "=": "=", "<<": "<<", "1024+": "1024+",
}  # fmt: skip


def value_of(text):
    return load(text).value


@pytest.mark.parametrize("text", SCALARS)
def test_plain_scalars_are_those_of_yaml_1_2(text):
    value = value_of(f"a: {text}")["a"]
    assert value == SCALARS[text]
    assert type(value) is type(SCALARS[text])


def test_not_a_number():
    assert math.isnan(value_of("a: .nan")["a"])


@pytest.mark.parametrize("text", ['"no"', "'12'", "! 12", "!!str 12", "|\n  12\n"])
def test_quoted_text_stays_text(text):
    assert isinstance(value_of(f"a: {text}")["a"], str)


@pytest.mark.parametrize(
    ("text", "value"), [("!!int 3", 3), ("!!float 3", 3), ("!!bool true", True), ("!!null ~", None)]
)
def test_core_tags_are_allowed_where_they_fit(text, value):
    document = load(f"a: {text}")
    assert (document.value, document.faults) == ({"a": value}, ())


@given(st.integers(-(10**40), 10**40))
def test_integers_come_back(number):
    assert load(f"- {number}").value == [number]


@given(st.floats(allow_nan=False))
def test_floats_come_back(number):
    text = repr(number).replace("inf", ".inf")
    assert load(f"- {text}").value == [number]


@given(st.integers(0, 2**64))
def test_octal_and_hexadecimal_come_back(number):
    assert load(f"[{number:#o}, {number:#x}]").value == [number, number]


TEXT = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=30)
"""JSON escapes higher ones as two surrogates, which YAML does not know."""


def json_values(texts):
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=20,
    )


JSON = json_values(TEXT)

NUMBER_OF_1_2 = re.compile(r"[-+]?\.?[0-9][0-9.]*[eE][-+]?[0-9]+|0o[0-7]+")
"""`1e5` and `0o7` are numbers there; to PyYAML, which writes YAML 1.1, they are texts that need no quotes."""


@given(JSON)
def test_json_is_yaml(value):
    document = load(json.dumps(value))
    assert (document.value, document.faults) == (value, ())


@given(json_values(TEXT.filter(lambda text: not NUMBER_OF_1_2.fullmatch(text))))
def test_what_pyyaml_writes_is_read(value):
    """PyYAML quotes what would not be text in YAML 1.1; but for some numbers 1.2 has fewer such words."""
    text = yaml.safe_dump(value, allow_unicode=False)
    assert load(text, Bounds(digits=10_000)).value == value


@given(TEXT)
def test_plain_scalars_never_raise(text):
    value = strict_yaml.resolve(text)
    assert value is None or isinstance(value, str | int | float)


def test_lines_lead_to_every_value():
    document = load("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    lines = {("a",): 1, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6}
    assert {path: document.line(path) for path in lines} == lines


def test_the_line_of_what_is_not_there_is_that_of_what_is_around_it():
    document = load("a:\n  - {b: 1}\n")
    assert document.line(("a", 0, "none", "deeper")) == 2
    assert document.line(("a", 7)) == 1
    assert document.line(("none",)) == 1


def test_places_read_like_code():
    assert place(("pairs", 3, "settings", "seed")) == "pairs[3].settings.seed"
    assert place(()) == ""


def test_an_anchor_given_again_stands_for_the_new_value_from_there_on():
    assert value_of("- &x 1\n- &y [*x]\n- &x 2\n- *x\n- *y\n") == [1, [1], 2, 2, [1]]


def test_what_an_alias_stands_for_has_the_lines_of_its_anchor():
    document = load("a: &x\n  - {b: 1}\nc: *x\nd:\n  - *x\n")
    lines = {("c",): 3, ("c", 0): 2, ("c", 0, "b"): 2, ("d", 0): 1, ("d", 0, 0, "b"): 2}
    assert {path: document.line(path) for path in lines} == lines


def test_aliases_stand_for_their_values():
    value = value_of("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n")
    assert value == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}
    value["c"]["b"] = 2  # no part is shared
    assert value["a"] == {"b": 1}


FAULTS = {
    "a: [": ["YAML (line 1) is not valid: did not find expected node content"],
    "a: b: c": ["YAML (line 1) is not valid: mapping values are not allowed in this context"],
    "a: 1\n\tb: 2": ["YAML (line 2) has a tab where only spaces are allowed; indent with spaces"],
    "a:\n  - b:\n \t  c: 1": ["YAML (line 3) has a tab where only spaces are allowed; indent with spaces"],
    "a: 1\n---\nb: 2": ["YAML (line 2) holds a second document; only one is allowed"],
    "a: 1\nb: 2\na: 3": ["a (line 3) is given twice, first in line 1"],
    "x: {a: 1, a: 2, a: 3}": ["x.a (line 1) is given twice, first in line 1"] * 2,
    "x:\n  <<: {a: 1}": ["x.<< (line 2) is a merge key, which YAML 1.2 does not have"],
    "x: [!!python/object/apply:os.system [ls]]": [
        "x[0] (line 1) has the tag !!python/object/apply:os.system, which is not allowed"
    ],
    "x: !!python/name:os.system": [
        "x (line 1) has the tag !!python/name:os.system, which is not allowed here"
    ],
    "x: !local 3": ["x (line 1) has the tag !local, which is not allowed here"],
    "x: !!int a": ["x (line 1) has the tag !!int, which is not allowed here"],
    "x: !!set {a}": ["x (line 1) has the tag !!set, which is not allowed"],
    "a: &x [*x]": ["a[0] (line 1) refers to itself"],
    "a: &x {b: [*x]}": ["a.b[0] (line 1) refers to itself"],
    "a: &x\n  b: &y !no [1]\nc: [*x, *y]": ["a.b (line 2) has the tag !no, which is not allowed"],
    "a: *x": ["a (line 1) refers to the unknown anchor 'x'"],
    "? [a]\n: 1": ["YAML (line 1) has a key that is not plain text"],
    "a: 1\nb: \x07": ["YAML (line 2) has the control character U+0007"],
    b"a: 1\nb: \xff": ["YAML (line 2) is not UTF-8"],
    "a: " + "9" * 101: ["a (line 1) is a number of more than 100 digits"],
}


@pytest.mark.parametrize("text", FAULTS, ids=repr)
def test_faults_say_where_and_what(text):
    assert [str(fault) for fault in load(text).faults] == FAULTS[text]


def test_the_first_of_two_equal_keys_counts():
    assert load("a: 1\na: 2").value == {"a": 1}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", b"\xef\xbb\xbf# bom"])
def test_an_empty_text_is_null(text):
    assert (load(text).value, load(text).faults) == (None, ())


def laughs(levels: int) -> str:
    """The billion laughs: each level is ten times the one before."""
    lines = ["l0: &l0 [ha]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


DEEP = "is nested more than 32 levels deep"


@pytest.fixture(params=[yaml.CSafeLoader, yaml.SafeLoader])
def loader(request, monkeypatch):
    """With libyaml's parser, and without."""
    monkeypatch.setattr(strict_yaml, "_LOADER", request.param)


def repr_start(value):
    return repr(value[:12])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(12), "has more than 300,000 values, aliases unfolded"),
        ("[" * 100_000, DEEP),
        ("[" * 100_000 + "]" * 100_000, DEEP),
        ("a: {b: " + "[" * 500 + "]" * 500 + "}", DEEP),
        ("a: 'é'\nb: " + "[" * 5_000, DEEP),
        ("[{a: " * 100_000, DEEP),
        ("{a: " * 100_000, DEEP),
        ("? " * 100_000, "has a key that is not plain text"),
        ("- " * 100_000, DEEP),
        ("\n".join(["- &x0 [ha]", *(f"- &x{n} [*x{n - 1}]" for n in range(1, 700))]), DEEP),
        (b"a" * (8 * 2**20 + 1), "has 8,388,609 bytes; at most 8,388,608 are allowed"),
    ],
    ids=repr_start,
)
@pytest.mark.usefixtures("loader")
def test_small_texts_cannot_become_large_or_deep(text, message):
    began = time.process_time()
    document = load(text)
    assert [fault.message for fault in document.faults] == [message]
    assert document.value is None
    assert time.process_time() - began < 5


def test_the_bounds_are_exact():
    assert load("[1, 2, 3]", Bounds(nodes=4)).faults == ()
    assert load("[1, 2, 3, 4]", Bounds(nodes=4)).faults != ()
    assert load("[[1]]", Bounds(depth=2)).faults == ()
    assert load("[[[1]]]", Bounds(depth=2)).faults != ()
    assert load("{a: &x [1, 2], b: *x}", Bounds(nodes=9)).faults == ()
    assert load("{a: &x [1, 2], b: *x}", Bounds(nodes=8)).faults != ()


def test_the_parser_without_libyaml_reads_the_same(monkeypatch):
    text = "a: &x {b: 1e-2, c: no}\nd: [*x, 'q', \"\\u00e9\"]\n"
    fast = load(text)
    monkeypatch.setattr(strict_yaml, "_LOADER", yaml.SafeLoader)
    slow = load(text)
    assert fast.value == slow.value
    assert fast.line(("d", 1)) == slow.line(("d", 1))
