"""Pages of a contact sheet, made of pairs and read again."""

from contextlib import suppress
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from styletransfer.contact_sheet.page import PageParts, page
from styletransfer.records.records import FormerVersion, Summary, SummaryInput, SummaryPair
from tests.waiting import until

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Page(HTMLParser):
    """A page: its elements (tag and attributes) and the text that people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.elements, self.text = html, list[tuple[str, dict[str, Any]]](), ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # neither style nor script
            self.text += data

    def find(self, tag: str, **wanted: str) -> list[dict[str, Any]]:
        return [has for name, has in self.elements if name == tag and wanted.items() <= has.items()]

    def cards(self) -> list[dict[str, Any]]:
        return [has for name, has in self.elements if name == "li" and "data-state" in has]

    def between(self, start: str, end: str) -> str:
        return self.html.partition(start)[2].partition(end)[0]


def make_pair(pair_id: str = "a--b", **changes: Any) -> SummaryPair:
    plain: dict[str, Any] = {
        "id": pair_id,
        "state": "done",
        "content": SummaryInput(url="/in/a.png", sha256="a" * 64),
        "styles": (SummaryInput(url="/in/b.png", weight=1, sha256="b" * 64),),
        "picture": f"{pair_id}.png",
        "sha256": "c" * 64,
        "format": "png",
        "width": 640,
        "height": 480,
        "seconds": 92.0,
        "finished": NOON,
    }
    return SummaryPair(**(plain | changes))


def make_summary(*pairs: SummaryPair, manifest: str = "demo", location: str = "/demo.yaml") -> Summary:
    return Summary(manifest=manifest, location=location, started=NOON, updated=NOON, pairs=pairs)


def make_page(*pairs: SummaryPair, pictures: PageParts | None = None, **changes: Any) -> Page:
    return Page(page(make_summary(*pairs, **changes), pictures or PageParts()))


# In a browser


FORMER = FormerVersion(
    fingerprint="f" * 64, format="png", sha256="e" * 64, width=320, height=240, finished=NOON, seconds=1.0,
    changed=("tv_weight: 2 -> 8",),
)  # fmt: skip


def comes_true(tab: Any, expression: str) -> None:
    """Waits for it from outside: the page's policy forbids what Playwright waits with."""
    from playwright.sync_api import Error

    def is_true() -> Any:
        with suppress(Error):  # while the page loads itself anew
            return tab.evaluate(expression)

    until(is_true, expression, 60)


def visible(tab: Any) -> list[str]:
    return [card.get_attribute("id") for card in tab.query_selector_all(".card") if card.is_visible()]
