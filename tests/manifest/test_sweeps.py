"""Sweeps: lists in place of values, every combination of them, and what each is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.errors import ManifestError
from styletransfer.manifest.names import name_fault
from styletransfer.manifest.sweeps import axes, axis_faults, combinations, value_label
from styletransfer.settings import SWEEPABLE, Settings
from tests.manifest.manifest_texts import parse

PAIR = "pairs: [{content: cat.jpg, style: wave.png}]"


def ids(body: str) -> list[str]:
    return [pair.id for pair in parse(body).pairs]


def test_every_combination_of_lists_is_a_render_with_an_id_that_says_so():
    pairs = parse(f"defaults: {{schedule: [fast, original], content_weight: [0.005, 0.015]}}\n{PAIR}").pairs
    assert [pair.id for pair in pairs] == [
        "cat--wave-cw0.005-fast",
        "cat--wave-cw0.005-original",
        "cat--wave-cw0.015-fast",
        "cat--wave-cw0.015-original",
    ]
    assert {pair.swept for pair in pairs} == {("content_weight", "schedule")}
    assert {pair.place for pair in pairs} == {"pairs[0]"}
    assert [pair.settings for pair in pairs[:2]] == [
        Settings(content_weight=0.005, schedule="fast"),
        Settings(content_weight=0.005),
    ]


def test_a_value_more_or_less_and_the_order_of_keys_rename_nothing():
    one = ids(f"defaults: {{seed: [1], pooling: [l2]}}\n{PAIR}")
    assert one == ["cat--wave-pooling-l2-seed1"]
    assert one[0] in ids(f"defaults: {{pooling: [max, l2], seed: [3, 2, 1]}}\n{PAIR}")
    assert ids(PAIR) == ["cat--wave"]


def test_an_id_of_ones_own_begins_those_of_its_sweep():
    body = "pairs: [{id: Cat, content: a, style: b, settings: {strength: [0.25, 1]}}]"
    assert ids(body) == ["Cat-strength0.25", "Cat-strength1"]


def test_a_grid_is_swept_too():
    found = ids("grid: [{contents: [a, b], styles: [c], settings: {seed: [1, 2]}}]")
    assert found == ["a--c-seed1", "a--c-seed2", "b--c-seed1", "b--c-seed2"]


def test_an_id_that_another_pair_has_gets_digits():
    first, *_, other = ids(
        "pairs:\n- {content: cat.jpg, style: wave.png, settings: {seed: [1, 2]}}\n"
        "- {content: cat.jpg, style: wave-seed1.png}\n"
    )
    assert first.startswith("cat--wave-seed1-")
    assert other.startswith("cat--wave-seed1-")
    assert first != other


def test_a_setting_that_is_a_list_itself_is_swept_by_a_list_of_lists():
    assert ids(f"defaults: {{content_layers: [relu4_2, relu3_1]}}\n{PAIR}") == ["cat--wave"]
    assert ids(f"defaults: {{content_layers: [[relu4_2], [relu4_2, relu3_1]]}}\n{PAIR}") == [
        "cat--wave-content-relu4_2",
        "cat--wave-content-relu4_2-relu3_1",
    ]


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("content_weight", 0.05, "cw0.05"),
        ("content_weight", 2.0, "cw2"),
        ("content_weight", 1e-7, "cw1e-07"),
        ("tv_weight", 1e20, "tv1e20"),
        ("end_scale", 1024, "px1024"),
        ("end_scale", "1024+", "px1024plus"),
        ("style_size", None, "size-none"),
        ("quality", None, "quality-none"),
        ("quality", "draft", "draft"),
        ("optimizer", "lbfgs", "lbfgs"),
        ("colours", "content", "colours-content"),
        ("init", {"image": "/m/in/My Sketch.png"}, "init-my-sketch"),
        ("proof", "/m/profiles/FOGRA39.icc", "proof-fogra39"),
        ("style_layers", {"relu1_1": 2}, "layers-relu1_1-2"),
        ("style_layers", {f"relu{n}_1": n for n in range(1, 6)}, "layers-relu1_1-1-relu2_1-2-relu3-078350"),
    ],
)
def test_a_value_is_told_shortly(name, value, label):
    assert value_label(name, value) == label


def test_words_alone_tell_which_setting_they_are_of():
    """No word that stands without its setting's name may be another's."""
    schema = Settings.model_json_schema()["properties"]
    words = [word for name in SWEEPABLE for word in schema[name].get("enum", []) if value_label(name, word) == word]
    assert {"adam", "lbfgs", "original", "fast"} <= {*words}
    assert len({*words}) == len(words)


VALUES = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(),
    st.lists(st.text()),
    st.dictionaries(st.text(), st.integers()),
)


@given(st.dictionaries(st.sampled_from(SWEEPABLE), st.lists(VALUES, min_size=1, max_size=3), min_size=1))
def test_whatever_the_values_labels_are_safe_in_file_names_short_and_each_once(values):
    lists = axes(values)
    if not [*axis_faults(lists)]:
        labels = [combination.label for combination in combinations(values, lists)]
        assert all(name_fault(f"a-{label}") is None and len(label.encode()) <= 72 for label in labels if label)
        assert len({*labels}) == len(labels)


def test_names_as_long_as_can_be_leave_room_for_what_a_sweep_calls_them():
    long = f"pairs: [{{content: {'ü' * 120}.jpg, styles: [{', '.join(['x' * 120] * 9)}]}}]"
    (first, second) = ids(f"defaults: {{seed: [1, 2]}}\n{long}")
    assert (first[-6:], second[-6:]) == ("-seed1", "-seed2")
    assert name_fault(first) is None


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ("seed: []", "demo.yaml: defaults.seed (line 2) is an empty list; a sweep has at least one value"),
        ("seed: [1, 1]", "demo.yaml: defaults.seed[1] (line 2) is 1, as seed[0] is; values of a sweep must differ"),
        (
            "init: [{image: a/x.png}, {image: b/x.png}]",
            "demo.yaml: defaults.init[1] (line 2) is named 'init-x', as init[0] is; values of a sweep must differ",
        ),
        (
            f"seed: {[*range(101)]}, iterations: {[*range(1, 11)]}",
            "demo.yaml: defaults (line 2) makes 1,010 combinations (iterations 10 x seed 101); "
            "a sweep has 1,000 at most",
        ),
        (
            "schedule: [fast, slow]",
            "demo.yaml: defaults.schedule[1] (line 2) is 'slow'; must be 'original' or 'fast'",
        ),
        ("sede: [1, 2]", "demo.yaml: defaults.sede (line 2) is not a setting (did you mean 'seed'?)"),
    ],
)
def test_what_is_wrong_with_a_list_is_told_where_it_stands(lists, told):
    with pytest.raises(ManifestError) as caught:
        parse(f"defaults: {{{lists}}}\n{PAIR}")
    assert str(caught.value) == told


def test_a_grid_and_a_sweep_may_be_too_much_together():
    contents = ", ".join(f"a{number}" for number in range(40))
    with pytest.raises(ManifestError) as caught:
        parse(f"grid: [{{contents: [{contents}], styles: [s], settings: {{seed: {[*range(900)]}}}}}]")
    told = "demo.yaml: grid[0] (line 2) makes 40 x 1 x 900 renders; a manifest may ask for 10,000 at most"
    assert str(caught.value) == told


def test_pairs_that_are_spelled_out_can_name_their_axes():
    entry = "{content: a, style: b, settings: {seed: [1]}, swept: [schedule]}"
    (pair,) = parse(f"pairs: [{entry}]").pairs
    assert pair.swept == ("schedule", "seed")
    with pytest.raises(ManifestError) as caught:
        parse("pairs: [{content: a, style: b, swept: [sed]}]")
    told = "demo.yaml: pairs[0].swept[0] (line 2) is 'sed'; no setting that is swept (did you mean 'seed'?)"
    assert str(caught.value) == told
