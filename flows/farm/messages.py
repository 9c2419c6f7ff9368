"""Messages to people: of a manifest at its end, of one that can't be rendered, and whatever else there is to tell.

They go through a notification block of Prefect's, whose name is kept in a Prefect variable. The webhook's URL
is a secret of the block: it is in no parameter, log or message. That a message can't be sent costs a warning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final, cast

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.types import SecretDict
from prefect.variables import Variable

from flows.farm import times
from flows.farm.markdown import markdown
from flows.pairs.listeners import Result
from styletransfer import storage
from styletransfer.errors import StyleTransferError
from styletransfer.records.records import FarmReport, SummaryPair
from styletransfer.redaction import redacted

VARIABLE: Final = "nst_notify"
"""Prefect variable with the block that messages go through, `custom-webhook/nst-notify`."""

BLOCK_NAME: Final = "nst-notify"

TRIES: Final = 3
PAUSE_S: Final = 5.0
_MOST_FAILURES: Final = 20
_MOST_PLACES: Final = 5

log = logging.getLogger(__name__)


class NotifyError(StyleTransferError):
    """Messages can't be set up, or one could not be sent."""


# Where messages go


def use_webhook(url: str) -> None:
    """Send messages there from now on: a POST of `{"text": ...}`. Raises NotifyError."""
    if not url.startswith(("https://", "http://")):
        raise NotifyError("a webhook is a URL that begins with https:// or http://")
    block = CustomWebhookNotificationBlock(
        name=BLOCK_NAME,
        url="{{webhook}}",
        json_data={"text": "{{subject}}\n{{body}}"},
        secrets=SecretDict({"webhook": url}),
    )
    block.save(BLOCK_NAME, overwrite=True)
    _use(f"custom-webhook/{BLOCK_NAME}")


def use_block(name: str) -> None:
    """Send messages through the notification block `TYPE/NAME` from now on. Raises NotifyError."""
    _load(name)
    _use(name)


def _use(name: str) -> None:
    Variable.set(VARIABLE, name, overwrite=True)


def use_nothing() -> bool:
    """Send no messages any more; tells whether any were sent. Removes our block with its secret, not others."""
    used = block_in_use()
    if used == f"custom-webhook/{BLOCK_NAME}":
        Block.delete(used)
    return cast(bool, Variable.unset(VARIABLE))


def block_in_use() -> str | None:
    """The block that messages go through."""
    return cast("str | None", Variable.get(VARIABLE))


def _load(name: str) -> NotificationBlock:
    try:
        block = cast(Block, Block.load(name))
    except (ValueError, KeyError) as error:  # Prefect's way to say that there is none
        raise NotifyError(
            f"there is no notification block {name!r}; write TYPE/NAME, and see: prefect block ls"
        ) from error
    if not isinstance(block, NotificationBlock):
        raise NotifyError(f"block {name!r} sends no notifications")
    return block


# Sending


def send(subject: str, body: str) -> bool:
    """Send a message; False where none are wanted. Raises NotifyError, which tells no URL."""
    name = block_in_use()
    if name is None:
        return False
    block = _load(name)
    with _told_without_url(), _without_http_log(), block.raise_on_failure():
        notify = cast(Callable[[str, str], None], block.notify)  # declared a coroutine, but that it is elsewhere
        notify(redacted(body), redacted(subject))
    return True


def try_to_send(subject: str, body: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send a message if any are wanted, with a few tries; no failure is worth more than a warning."""
    for left in reversed(range(TRIES)):
        try:
            send(subject, body)
            return
        except Exception as error:  # noqa: BLE001  (a night's renders don't end for want of a message)
            reason = str(error) if isinstance(error, NotifyError) else type(error).__name__
            log.warning("no message was sent (%d more tries): %s", left, reason)
            if left:
                sleep(PAUSE_S)


@contextmanager
def _told_without_url() -> Iterator[None]:
    """Errors of the way to a webhook, in words that hold no URL, nor have a cause that does."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise NotifyError(f"the webhook answers with status {error.response.status_code}") from None
    except httpx.HTTPError as error:
        raise NotifyError(f"the webhook can't be reached ({type(error).__name__})") from None
    except httpx.InvalidURL:
        raise NotifyError("the webhook's URL is none") from None
    except NotificationError:  # what it says is Apprise's log, which may hold anything
        raise NotifyError("the service did not take the message") from None


@contextmanager
def _without_http_log() -> Iterator[None]:
    """httpx logs each request with its URL, for those who asked for much logging."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore", "apprise", "urllib3", "requests")]
    before = [(each, each.disabled) for each in loggers]
    for each in loggers:
        each.disabled = True
    try:
        yield
    finally:
        for each, disabled in before:
            each.disabled = disabled


# What they say


def end_message(result: Result, seconds: float) -> tuple[str, str]:
    """Subject and body for a manifest that is over."""
    failed = [pair for pair in result.pairs if pair.state == "failed"]
    head = f"{result.manifest}: {result.counts or 'no pairs'}"
    lines = [f"{result.given_up}"] if result.given_up else []
    lines += [f"time taken: {times.duration_text(seconds)}"]
    lines += [f"failed: {pair.id}: {_one_line(pair)}" for pair in islice(failed, _MOST_FAILURES)]
    if len(failed) > _MOST_FAILURES:
        lines.append(f"... and {len(failed) - _MOST_FAILURES} more")
    lines += [result.onward] if result.onward else []
    if left := sum(pair.state == "held" for pair in result.pairs) - len(result.previewed):
        lines.append(f"time was up: {left} left over; they go on when the manifest is rendered next")
    lines += _farm_lines(result.farm) if result.farm else ()
    return head, "\n".join([*lines, f"contact sheet: {markdown(result.index)}"])


def _farm_lines(farm: FarmReport) -> Iterator[str]:
    """What the manifest took of the farm."""
    if farm.forecast is not None:
        yield f"time forecast: {times.duration_text((farm.forecast - farm.began).total_seconds())}"
    share = "" if farm.utilisation is None else f", {farm.utilisation:.0%} of the time of {farm.slots:.3g} slots"
    yield f"rendering: {farm.slot_hours:.3g} slot-hours{share}"
    if farm.cost is not None:
        yield f"cost: {markdown(farm.cost)}"
    if farm.slowest:
        slowest = (f"{pair.id} {times.duration_text(pair.seconds)}" for pair in farm.slowest)
        yield f"slowest: {', '.join(slowest)}"
    if farm.failed_on:
        failed = (f"{markdown(on)} {count}" for on, count in islice(farm.failed_on.items(), _MOST_PLACES))
        yield f"pairs failed at first or for good on: {', '.join(failed)}"


def _one_line(pair: SummaryPair) -> str:
    return markdown((pair.reason or "for no known reason").partition("\n")[0])


def tell_wrong(manifest: str, faults: Sequence[str]) -> None:
    """A manifest that was to be rendered, and can't be."""
    shown = [*faults[:_MOST_FAILURES], *(["..."] if len(faults) > _MOST_FAILURES else [])]
    lines = map(markdown, [manifest, *shown])
    try_to_send(f"{markdown(storage.name(manifest))}: not rendered", "\n".join(lines))
