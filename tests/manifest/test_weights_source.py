"""Names of weights: which are built, which are files, and what anybody may see of them."""

import pytest

from styletransfer.errors import WeightsError
from styletransfer.manifest.weights_source import WeightsSource


@pytest.mark.parametrize(
    ("source", "seed"), [("random", 0), ("random:7", 7), ("random:007", 7), ("imagenet", None), ("a.pth", None)]
)
def test_random_weights_have_a_seed(source, seed):
    assert WeightsSource(source).seed == seed


@pytest.mark.parametrize("source", ["random:", "random:x", "random:-1", "random:9223372036854775808"])
def test_a_seed_that_is_none_is_refused_before_anything_is_read(source):
    with pytest.raises(WeightsError, match=f"^weights '{source}': the seed must be"):
        _ = WeightsSource(source).located()


def test_only_files_are_located_and_pins_stay():
    assert WeightsSource("vgg.pth", "ab").located("/m") == WeightsSource("/m/vgg.pth", "ab")
    for source in ("imagenet", "random:3"):
        assert WeightsSource(source).located("/m") == WeightsSource(source)


def test_what_is_shown_holds_no_credentials():
    assert WeightsSource("https://h/vgg.pth?token=secret").shown == "https://h/vgg.pth"
    assert WeightsSource("random:3").shown == "random:3"
