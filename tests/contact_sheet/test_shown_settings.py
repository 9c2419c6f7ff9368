"""Which settings are shown where."""

from styletransfer.contact_sheet.shown_settings import ShownSettings
from styletransfer.records.records import SummaryInput, SummaryPair


def pair(**settings):
    entry = SummaryInput(url="/in/a.png")
    return SummaryPair(id="a", state="done", content=entry, styles=(entry,), settings=settings)


def test_shared_by_all_or_varying():
    pairs = [pair(seed=1, pooling="l2"), pair(seed=1, pooling="average"), pair(seed=1)]
    shown = ShownSettings.of(pairs)
    assert shown.shared == {"seed": "1"}
    assert [shown.on_card(each)["pooling"] for each in pairs] == ["l2", "average", "max"]
    assert all("seed" not in shown.on_card(each) for each in pairs)


def test_one_pair_alone_shares_nothing():
    alone = pair(seed=1)
    assert ShownSettings.of([alone]).on_card(alone) == {"seed": "1"}


def test_what_one_pair_alone_sets_is_on_its_card_alone():
    pairs = [pair(seed=1), pair(), pair()]
    shown = ShownSettings.of(pairs)
    assert [shown.on_card(each) for each in pairs] == [{"seed": "1"}, {}, {}]
    assert [shown.varied(each) for each in pairs] == [{"seed": "1"}, {"seed": "0"}, {"seed": "0"}]


def test_what_is_swept_is_on_each_card_of_the_sweep():
    """Where one of two values is the default, settings alone don't tell."""
    swept = [pair(seed=seed).model_copy(update={"sweep": {"seed": seed}}) for seed in (1, 0)]
    swept[1] = swept[1].model_copy(update={"settings": {}})
    shown = ShownSettings.of(swept)
    assert [shown.on_card(each) for each in swept] == [{"seed": "1"}, {"seed": "0"}]


def test_what_a_shorthand_stands_for_is_no_default():
    other = ShownSettings.of([]).other_than_default(pair(quality="draft"))
    assert (other["quality"], other["end_scale"], other["iterations"]) == ("draft", "256", "25")


def test_settings_of_another_version_are_taken_as_they_are():
    strange = pair(brush="wet", seed=1)
    assert ShownSettings.of([strange]).other_than_default(strange) == {"brush": "wet", "seed": "1"}
