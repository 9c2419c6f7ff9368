"""What is written is what is read, by this program's reader and by PyYAML's own."""

import pytest
import yaml

from styletransfer.manifest import strict_yaml
from styletransfer.manifest.plain_yaml import plain_yaml

ODD = ["no", "1e3", "0o17", "null", "12:30", "a: b", "# a", "- a", "über.png", "'", '"', "\\x", "*", "~", "", " "]


@pytest.mark.parametrize("text", ODD)
def test_every_text_is_read_as_it_is(text):
    document = {"version": 1, "pairs": [{"id": text}]}
    written = plain_yaml(document)
    assert strict_yaml.load(written).value == yaml.safe_load(written) == document


def test_plain_names_have_no_quotes_and_keys_their_order():
    assert plain_yaml([{"id": "a", "content": "in/a b.png", "end_scale": 512}]) == (
        '- id: a\n  content: "in/a b.png"\n  end_scale: 512\n'
    )
