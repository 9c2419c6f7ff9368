"""Nothing in a text that strangers had a hand in is followed, loaded or run where it is shown as Markdown."""

import json

import pytest

from flows.farm.driver.pairs_table import link, table
from flows.farm.markdown import markdown, unmarked
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("too hot", "too hot"),
        ("/out/großer-name_2.png", "/out/großer-name_2.png"),
        ("[x](javascript:alert(1))", r"\[x\](javascript:alert(1))"),
        ("![x](http://h/a.png)", r"!\[x\](http://h/a.png)"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("<!channel> & &lt;", "&lt;!channel&gt; &amp; &amp;lt;"),
        ("a | b\n# c", r"a \| b # c"),
        ("`a` *b* \\", r"\`a\` \*b\* \\"),
        ("\x1b[2J", r"\\x1b\[2J"),
    ],
)
def test_text_stays_text(text, shown):
    assert markdown(text) == shown


@pytest.mark.parametrize("text", ["too hot", "[x](y) <b> &amp; a | b", r"`a` *b* \ \["])
def test_a_line_is_read_back_as_it_was(text):
    assert unmarked(markdown(text)) == text


def test_a_link_leads_where_it_says_and_ends_where_it_ends():
    shown = r"[a\](javascript:x).png](http://h/a%29%28javascript%3Ax%29.png)"
    assert link("a](javascript:x).png", "http://h/a)(javascript%3Ax).png") == shown


def test_a_drivers_table_shows_reasons_as_they_are(studio):
    plan = plan_manifest(studio.simple())
    content = table(plan, {"a--b": Outcome("failed", "[x](javascript:alert(1)) <img onerror=x>")}, {})
    (row,) = json.loads(str(content.data))
    assert row["remark"] == r"\[x\](javascript:alert(1)) &lt;img onerror=x&gt;"
