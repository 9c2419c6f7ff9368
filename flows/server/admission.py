"""Whether a server takes this host for one of its own: its password, and its clock. Asks without Prefect's client.

A server that does not answer refuses nobody: whoever serves it waits for it.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from flows.server.password import CLIENTS_VARIABLE, authorization
from styletransfer.errors import UsageError

MOST_OFF_S: Final = 30.0
"""By which a host's clock may differ from the server's: its renders tell by it what was done since when."""

_TIMEOUT_S: Final = 10.0

_FORBIDDEN: Final = (401, 403)


class AdmissionError(UsageError):
    """The server does not take this host."""


def check_admission(api_url: str) -> None:
    """Raises AdmissionError for a password that the server does not take, or a clock that is off."""
    before = datetime.now(UTC)
    answer = _ask(api_url)
    after = datetime.now(UTC)
    if answer is None:
        return
    if answer.status_code in _FORBIDDEN and not _knows_another_way():
        raise AdmissionError(refusal(answer.status_code))
    date = _date(answer.headers)
    if date is None:
        return
    behind_s = max((date - after).total_seconds(), min(0.0, (date - before).total_seconds()))
    if abs(behind_s) > MOST_OFF_S:
        raise AdmissionError(_off(behind_s))


def servers_version(api_url: str) -> str | None:
    """Prefect's version on the server, empty if it does not tell; None if none answers."""
    answer = _ask(api_url)
    if answer is None:
        return None
    with contextlib.suppress(ValueError):
        if answer.is_success and isinstance(version := answer.json(), str):
            return version
    return ""


def _knows_another_way() -> bool:
    """Whether Prefect's client asks with more than the environment's password: from a profile, a key, headers."""
    if os.environ.get(CLIENTS_VARIABLE):
        return False
    from prefect.settings import get_current_settings  # loads all of Prefect, and is seldom needed

    settings = get_current_settings()
    return bool(settings.api.auth_string or settings.api.key or settings.client.custom_headers)


def refusal(status: int) -> str:
    """What a server's answer with this status means, and what to do."""
    if status not in _FORBIDDEN:
        return f"Prefect's server answers with status {status}; its log tells more"
    if os.environ.get(CLIENTS_VARIABLE):
        return f"the server refuses the user:password in {CLIENTS_VARIABLE}; it has another"
    return f"the server wants to know who asks; set {CLIENTS_VARIABLE} to user:password"


def _off(behind_s: float) -> str:
    way = "behind" if behind_s > 0 else "ahead of"
    return (
        f"this host's clock is {abs(behind_s):.0f} s {way} the server's, and may be {MOST_OFF_S:.0f} s off; "
        "have both set by NTP: timedatectl set-ntp true"
    )


def _ask(api_url: str) -> httpx.Response | None:
    """The server's answer about its version; None where there is none.

    Where that leads to another server, that one is not told the password.
    """
    password = os.environ.get(CLIENTS_VARIABLE)
    headers = authorization(password) if password else {}
    url = f"{api_url.rstrip('/')}/admin/version"
    try:
        return httpx.get(url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, OSError):  # it is away, or can't be asked in this way
        return None


def _date(headers: httpx.Headers) -> datetime | None:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    return None
