"""A browser's tab, and the server's owner beside it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flows.server.password import authorization


@pytest.fixture
def tab(browser) -> Iterator[Any]:
    tab = browser.new_page()
    tab.set_default_timeout(300_000)  # on a machine with other things to do
    yield tab
    tab.close()


@pytest.fixture
def owner(local_server):
    """Ask the server with the password; what it answers. Prefect's client wants the loop that the browser has."""
    headers = authorization(local_server.password)
    with httpx.Client(base_url=local_server.api_url, headers=headers, timeout=60, trust_env=False) as client:

        def ask(method, path, body=None):
            answer = client.request(method, path, json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else None

        yield ask
