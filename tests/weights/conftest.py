"""What tests of weights share."""

from collections import OrderedDict

import pytest

from styletransfer.weights import loading


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, on disk and in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(loading, "_loaded", OrderedDict())
