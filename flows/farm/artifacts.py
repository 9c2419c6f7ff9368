"""Artifacts of one flow run in Prefect's dashboard: made once, then updated in place, by a thread of their own.

Who publishes never waits for the server, and a server that is away costs no more than a warning.
"""

from __future__ import annotations

import base64
import logging
import math
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

log = logging.getLogger(__name__)

WRITE_S: Final = 5.0
"""Least seconds between two writes to the server."""

AWAY_S: Final = 30.0
"""The same, while the server is away."""

CLOSE_S: Final = 3.0
"""How long the end of a run waits for its last artifacts to be written."""

_TIMEOUT_S: Final = 30.0
_PAUSE_S: Final = 1.0  # between tries at the end

ArtifactType = Literal["progress", "markdown", "table"]

KEY_PREFIX: Final = "nst-"
"""Of the keys that artifacts go by. Those of all runs share theirs: the dashboard keeps a list of keys."""


@dataclass(frozen=True)
class Content:
    """What an artifact shows: `data` is a percentage, markdown, or a table as JSON, as its type has it."""

    type: ArtifactType
    data: str | float
    description: str = ""


Make = Callable[[], Content | None]
"""Makes the content when its turn has come; None to leave the artifact as it is."""


class Artifacts:
    """The artifacts of one flow run, written as long as the block that it opens.

    One write each `every_s` seconds, whatever is published: of each artifact the latest, and the one that has
    waited longest first. The last words of `close` don't wait for their turn.
    """

    def __init__(self, run_id: str, every_s: float = WRITE_S) -> None:
        self.run_id = run_id
        self.every_s = every_s
        self._waiting: dict[str, Make] = {}
        self._ids: dict[str, str] = {}
        self._news = threading.Condition()
        self._closed = threading.Event()
        self._give_up_at = math.inf
        self._away = False
        # The thread sees the flow run's settings, not those that happen to be the process's.
        self._thread = threading.Thread(target=copy_context().run, args=(self._keep_writing,), daemon=True)

    def publish(self, name: str, make: Make) -> None:
        """Show this as the run's artifact `name`, soon. Returns at once."""
        with self._news:
            self._waiting[name] = make  # in the place of what waits there
            self._news.notify_all()

    def __enter__(self) -> Artifacts:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self, wait_s: float | None = None) -> None:
        """Write what waits, unless that takes longer than `wait_s`, or else CLOSE_S."""
        wait_s = CLOSE_S if wait_s is None else wait_s
        self._give_up_at = time.monotonic() + wait_s
        self._closed.set()
        with self._news:
            self._news.notify_all()
        self._thread.join(wait_s)

    def _keep_writing(self) -> None:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),  # by then there would be something newer to tell
            get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_S}) as client,
        ):
            while (found := self._next()) is not None:
                began = time.monotonic()
                self._try_to_write(client, *found)
                pause = AWAY_S if self._away else self.every_s
                self._closed.wait(max(0.0, pause - (time.monotonic() - began)))
                if self._away and self._closed.is_set():
                    time.sleep(_PAUSE_S)

    def _next(self) -> tuple[str, Make] | None:
        """What has waited longest, as soon as there is something; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._closed.is_set())
            name = next(iter(self._waiting), None)
            given_up = time.monotonic() > self._give_up_at
            return None if name is None or given_up else (name, self._waiting.pop(name))

    def _try_to_write(self, client: SyncPrefectClient, name: str, make: Make) -> None:
        try:
            content = make()
            if content is not None:
                self._write(client, name, content)
        except Exception as error:  # noqa: BLE001  (nothing that goes wrong here may cost a render)
            if not self._away:
                log.warning("the dashboard is not kept up to date for now: %s: %s", type(error).__name__, error)
            self._away = True
            with self._news:
                self._waiting.setdefault(name, make)  # unless there is something newer
        else:
            self._away = False

    def _write(self, client: SyncPrefectClient, name: str, content: Content) -> None:
        """Straight to the API. Prefect's own functions send an event as well, with all of a picture in it."""
        known = self._ids.get(name)
        if known is None:
            made = ArtifactCreate(
                key=KEY_PREFIX + name,
                type=content.type,
                data=content.data,
                description=content.description,
                flow_run_id=UUID(self.run_id),
            )
            answer = client.request("POST", "/artifacts/", json=made.model_dump(mode="json", exclude_unset=True))
            self._ids[name] = answer.json()["id"]
        else:
            changed = ArtifactUpdate(data=content.data, description=content.description)
            body = changed.model_dump(mode="json", exclude_unset=True)
            client.request("PATCH", "/artifacts/{id}", path_params={"id": known}, json=body)


def data_url(jpeg: bytes) -> str:
    """The picture as a URL that needs no server."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
