"""Tags that slots may have, and pairs require."""

import pytest

from styletransfer.manifest.tags import parse_tag


@pytest.mark.parametrize("value", ["a100", "80gb", "studio-2", "H100.SXM_5", "x" * 40])
def test_what_is_allowed(value):
    assert parse_tag(value) == value


@pytest.mark.parametrize("value", ["", "-a", "two words", "a,b", "a\n", "ä", "x" * 41, 100, None, ["a"]])
def test_what_is_not(value):
    with pytest.raises(ValueError, match="must be letters, digits"):
        parse_tag(value)
