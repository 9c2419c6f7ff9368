"""Ids of pairs: safe as file names, each once, and the same whatever else the manifest asks for."""

import json

from hypothesis import given
from hypothesis import strategies as st

from styletransfer.manifest.names import name_fault, name_key
from styletransfer.manifest.reader import parse_manifest
from tests.manifest.manifest_texts import parse


def ids(body: str) -> list[str]:
    return [pair.id for pair in parse(body).pairs]


def test_default_ids_that_clash_carry_a_hash_of_their_own():
    two = "pairs:\n- {content: in/a.jpg, style: s.png}\n- {content: other/a.jpg, style: s.png}\n"
    first, second = ids(two)
    assert first.startswith("a--s-")
    assert len(first) == len("a--s-123456")
    assert first != second
    third = "- {content: in/a.jpg, style: s.png, settings: {seed: 1}}\n- {content: b.jpg, style: s.png}\n"
    assert ids(two + third)[:2] == [first, second]  # more pairs rename none of them
    assert ids(two + third)[3] == "b--s"


def test_the_hash_does_not_depend_on_order_or_on_where_the_manifest_lies():
    pairs = ["- {content: in/a.jpg, style: s.png}\n", "- {content: other/a.jpg, style: s.png}\n"]
    forwards, backwards = (ids("pairs:\n" + "".join(order)) for order in (pairs, pairs[::-1]))
    assert forwards == backwards[::-1]
    elsewhere = parse_manifest("version: 1\npairs:\n" + "".join(pairs), "s3://studio/x/m.yaml")
    assert [pair.id for pair in elsewhere.pairs] == forwards


def test_the_hash_leaves_out_settings_that_do_not_change_the_picture():
    a, b = "- {content: a, style: s}\n", "- {content: a, style: s, settings: {seed: 1}}\n"
    plain = ids(f"pairs:\n{a}{b}")
    assert ids(f"defaults: {{gpus: 2, trace: true}}\npairs:\n{a}{b}") == plain


def test_a_default_id_gives_way_to_one_that_is_asked_for():
    given_id, default = ids("pairs:\n- {id: A--S, content: x, style: y}\n- {content: a, style: s}\n")
    assert given_id == "A--S"
    assert default.startswith("a--s-")


def test_blends_are_named_after_all_their_styles():
    assert ids("pairs: [{content: Größe 1.JPG, styles: [b_2.png, c.tar.gz]}]") == ["größe-1--b_2--c-tar"]


def test_long_names_give_ids_that_file_systems_take():
    (pair,) = parse(f"pairs: [{{content: {'ü' * 120}.jpg, styles: [{', '.join(['x' * 120] * 9)}]}}]").pairs
    assert name_fault(pair.id) is None


# No '.', '..' and '~', which are places rather than names; JSON escapes what is above 0xFFFF in a way that
# YAML does not know.
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/.~\0", max_codepoint=0xFFFF),
    min_size=1,
    max_size=20,
)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8, unique=True))
def test_any_file_names_give_distinct_safe_ids(pairs):
    text = json.dumps({"version": 1, "pairs": [{"content": f"c/{a}", "style": f"s/{b}"} for a, b in pairs]})
    manifest = parse_manifest(text.encode(), "/m/demo.yaml")
    assert all(name_fault(pair.id) is None for pair in manifest.pairs)
    assert len({name_key(pair.id) for pair in manifest.pairs}) == len(pairs)


def test_a_sweep_of_thousands_over_one_pair_gets_distinct_ids():
    entries = "".join(f"- {{content: a, style: s, settings: {{seed: {seed}}}}}\n" for seed in range(3000))
    assert len(set(ids(f"pairs:\n{entries}"))) == 3000
