"""What a manifest comes to knows where it was asked for."""

import pytest

from styletransfer.manifest.reader import parse_manifest

TEXT = """\
version: 1
pairs:
  - content: a.png
    styles:
      - b.png
      - {image: c.png, weight: 3}
  - {content: d.png, style: e.png}
"""


@pytest.fixture
def pairs():
    return parse_manifest(TEXT, "/m/demo.yaml").pairs


def test_inputs_are_found_on_their_lines(pairs):
    blend, _ = pairs
    assert (blend.place, blend.line) == ("pairs[0]", 3)
    assert (blend.line_of("content"), blend.line_of("styles[0]"), blend.line_of("styles[1]")) == (3, 5, 6)


def test_what_has_no_line_of_its_own_is_found_on_the_entrys(pairs):
    assert [pair.line_of("no such key") for pair in pairs] == [3, 7]


def test_weights_of_a_blend_are_relative_and_one_by_default(pairs):
    assert [style.weight for style in pairs[0].styles] == [1.0, 3.0]
    assert [style.weight for style in pairs[1].styles] == [1.0]


def test_where_a_pair_is_asked_for_is_no_part_of_what_it_is(pairs):
    moved = parse_manifest(TEXT.replace("pairs:", "# a comment\npairs:"), "/m/demo.yaml").pairs
    assert dict(moved[0].lines) != dict(pairs[0].lines)
    assert (moved[0].content, moved[0].styles, moved[0].id) == (pairs[0].content, pairs[0].styles, pairs[0].id)
