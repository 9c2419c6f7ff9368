"""A folder on each kind of storage, and an S3 endpoint in the place of a small web server."""

import pytest


@pytest.fixture(params=["local", "s3", "memory"])
def folder(request, tmp_path) -> str:
    """A fresh folder to write into, on each kind of storage."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket').url}/out"
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"


@pytest.fixture
def broken_s3(web, aws_environment, monkeypatch):
    """An S3 endpoint that answers as a test tells it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return web
