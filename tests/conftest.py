"""Shared fixtures: a real S3 server over HTTP in a process of its own, a bucket for each test; a web server."""

import logging
import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from flows.server.local_server import LocalServer
from tests.farm.webhook import Webhook, webhook
from tests.ports import free_port
from tests.s3 import s3_server
from tests.storage.web_server import Web
from tests.studio import Studio
from tests.told import told_of

# How long an example takes says more about the machine than about the code.
settings.register_profile("project", deadline=None, max_examples=50)
settings.load_profile("project")

# Where a script starts tests in the background its shell has them ignore Ctrl-C, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_files_of_the_user() -> Iterator[None]:
    """What earlier runs left in the user's cache must not decide a test, nor tests what is left there."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STYLETRANSFER_CACHE_MB", "0")
        environment.delenv("STYLETRANSFER_CACHE_DIR", raising=False)
        yield


@pytest.fixture(autouse=True)
def no_run_to_log_to(request: pytest.FixtureRequest) -> Iterator[None]:
    """In a test without a server our loggers send nothing to one, whatever ran in this process before.

    Prefect gives them a handler for good when it is first imported by a test with the farm's environment. Outside
    of a run that handler turns each line into a warning.
    """
    with pytest.MonkeyPatch.context() as patch:
        if {"prefect_server", "standing_server"}.isdisjoint(request.fixturenames):
            for name in ("flows", "styletransfer"):
                patch.setattr(logging.getLogger(name), "handlers", [])
        yield


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket. `client` is boto3's: it reads and writes as another host would."""

    name: str
    client: Any

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, contents: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=contents)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 server (moto) that runs for the whole session."""
    with s3_server() as address:
        yield address


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, and nothing of the developer's own AWS set-up."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="session")
def s3_client(s3_endpoint: str) -> Iterator[Any]:
    """boto3's client of the S3 server: another host, as far as the code under test can tell."""
    import boto3

    session = boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    client = session.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    yield client
    client.close()


@pytest.fixture
def bucket(
    s3_endpoint: str, s3_client: Any, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    """A fresh, empty bucket on the S3 server; AWS_ENDPOINT_URL and credentials are set for it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=name)
    return Bucket(name, s3_client)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A small web server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A folder of pictures and manifests on disk."""
    return Studio(str(tmp_path))


@pytest.fixture(params=["disk", "s3"])
def any_studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    """The same on disk, and in a bucket."""
    return Studio(str(tmp_path) if request.param == "disk" else request.getfixturevalue("bucket").url)


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server as `up` has it, with a password of its own. Nothing in this process is told of it: see `farm`."""
    names = [name for name in os.environ if name.startswith("PREFECT_")]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delenv(name)
        patch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS", "10")  # a minute is long to wait for runs
        server = LocalServer(tmp_path_factory.mktemp("server"), free_port())
        server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def prefect_server(local_server: LocalServer) -> str:
    """The URL of its API."""
    return local_server.api_url


@pytest.fixture
def farm(local_server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same, for Prefect in this process and, by the environment, in those it starts. Shared: mind the names."""
    with told_of(local_server, tmp_path / "prefect", monkeypatch):
        yield local_server.api_url


@pytest.fixture
def hook(farm: str) -> Iterator[Webhook]:
    """A webhook that hears what is sent; afterwards messages go nowhere again."""
    from flows.farm import messages

    with webhook() as made:
        yield made
    messages.use_nothing()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Knows evil.example by the address 127.0.0.1, as a name's owner can bring about.

    No longer than a module: as long as it runs, no other event loop can in this thread.
    """
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    executable = next(filter(None, found), None)
    if executable is None:
        pytest.skip("needs chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    switches = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
    switches.append("--host-resolver-rules=MAP evil.example 127.0.0.1")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=executable, args=switches)
        yield started
        started.close()
