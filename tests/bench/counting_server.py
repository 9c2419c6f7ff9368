"""The farm's own server, which counts what it is asked: `GET /counts` gives that, since the last time.

    python -m tests.bench.counting_server --port 4200
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any, Final

import uvicorn

from flows.server import local_server_process

PATH: Final = "/counts"

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/nst_slot_)\w+")


class Counting:
    """An ASGI application that counts requests by who asks (a flow's name, else a worker's) and for what."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._counts: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == PATH:
            await self._tell(send)
            return
        if scope["type"] in ("http", "websocket"):
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            who = headers.get("x-prefect-flow-name") or headers.get("x-prefect-worker-name") or "others"
            what = scope.get("method", "WEBSOCKET")
            self._counts[who, f"{what} {_ID.sub('ID', scope['path'])}"] += 1
        await self._app(scope, receive, send)

    async def _tell(self, send: Any) -> None:
        times = os.times()
        told = {"cpu_s": times.user + times.system, "counts": [[*key, n] for key, n in self._counts.items()]}
        self._counts.clear()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def main() -> None:
    run = uvicorn.run
    uvicorn.run = lambda app, **options: run(Counting(app), **options)
    local_server_process.main()


if __name__ == "__main__":
    main()
