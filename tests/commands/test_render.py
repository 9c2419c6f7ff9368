"""`render` and `check` when a storage is out of reach or the weights are none: what is tried again, and the end."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import save

from flows.commands.main import main
from styletransfer.storage import retries
from tests.checkout import ROOT
from tests.commands.programs import write_manifest
from tests.networks import shallow_network
from tests.state_dicts import pth
from tests.studio import SHALLOW, Studio, pretend_all

AWAY = "http://127.0.0.1:9/a.png"
GOOD = {"id": "good", "content": "in/a.png", "style": "in/b.png"}


@pytest.fixture
def studio(tmp_path, monkeypatch):
    monkeypatch.setattr(retries, "DELAYS_S", [0.01, 0.02, 0.03])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    studio = Studio(str(tmp_path))
    studio.picture("in/a.png", 1)
    studio.picture("in/b.png", 2)
    return studio


def text_of(*pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return json.dumps({**head, "pairs": list(pairs), **keys}).encode()


def states(studio):
    found = json.loads(studio.read("out/demo/summary.json"))["pairs"]
    return {pair["id"]: (pair["state"], pair["reason"]) for pair in found}


class Away(http.server.BaseHTTPRequestHandler):
    """Serves a manifest after it has been unavailable so many times."""

    left = 0
    text = b""

    def do_GET(self):
        Away.left, away = Away.left - 1, Away.left > 0
        self.send_response(503 if away else 200)
        self.send_header("Content-Length", "0" if away else str(len(self.text)))
        self.end_headers()
        if not away:
            self.wfile.write(self.text)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def web():
    """Address of a manifest on the web."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/demo.yaml"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_manifest_out_of_reach_is_tried_again(studio, web, capsys):
    (record,) = pretend_all(studio.manifest(GOOD, defaults=SHALLOW))
    pair = {**GOOD, "content": studio.url("in/a.png"), "style": studio.url("in/b.png")}
    Away.text, Away.left = text_of(pair, output=studio.url("out")), 2
    assert main(["render", web]) == 0
    output = capsys.readouterr().out
    assert output.count("; trying again in 0 s") == 2
    assert "demo: 1 skipped" in output
    assert record.id == "good"
    Away.left = 4
    assert main(["render", web]) == 1
    assert "answered with status 503" in capsys.readouterr().err
    Away.left = 1
    assert main(["check", web]) == 1  # `check` doesn't wait


def test_an_input_out_of_reach_fails_its_pair_alone(studio, capsys):
    pretend_all(studio.manifest(GOOD, defaults=SHALLOW))
    manifest = studio.put("demo.yaml", text_of(GOOD, {"id": "bad", "content": AWAY, "style": "in/b.png"}))
    assert main(["render", manifest]) == 1
    output = capsys.readouterr().out
    assert output.count("; trying again in 0 s") == 3
    assert "demo: 1 skipped, 1 failed" in output
    assert f"failed: bad: pairs[1].content (line 1) cannot look at {AWAY}: no connection" in output
    assert [state for state, _ in states(studio).values()] == ["skipped", "failed"]
    assert main(["check", manifest]) == 1  # nothing is wrong with the manifest
    assert f"error: pairs[1].content (line 1) cannot look at {AWAY}" in capsys.readouterr().err


WHOLE = save(shallow_network("relu2_1"))
SPOILT = save({**shallow_network("relu2_1"), "features.0.bias": torch.full((64,), torch.nan)})
NO_WEIGHTS = {
    "another network": (pth({"features.0.weight": torch.zeros(3)}), "features.0.weight has shape [3]; must be"),
    "cut short": (WHOLE[:-1], "neither a safetensors file nor"),
    "overlapping": (WHOLE.replace(b'"data_offsets":[0,', b'"data_offsets":[4,'), "neither a safetensors file nor"),
    "not finite": (SPOILT, "features.0.bias holds NaN or infinity"),
}


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(("contents", "message"), NO_WEIGHTS.values(), ids=NO_WEIGHTS)
def test_check_finds_all_that_is_wrong_with_weights(studio, bucket, capsys, remote, contents, message):
    place = Studio(bucket.url) if remote else studio
    place.put("other", contents)
    manifest = studio.put("demo.yaml", text_of(GOOD, weights=place.url("other")))
    assert main(["check", manifest]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_weights_that_are_none_fail_every_pair_in_the_summary(studio):
    torch.save({"features.0.weight": torch.zeros(3)}, studio.url("other.pth"))
    manifest = studio.put("demo.yaml", text_of(GOOD, weights="other.pth"))
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.commands.main", "render", manifest],
        env={
            **known,
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": studio.url("prefect"),
            "XDG_STATE_HOME": studio.url("state"),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    state, reason = states(studio)["good"]
    assert state == "failed"
    assert "other.pth: not VGG-19's: features.0.weight has shape [3]; must be [64, 3, 3, 3]" in reason
    assert reason in done.stderr


def test_a_picture_that_is_there_under_another_id_is_not_rendered_again(studio, capsys):
    write = {"defaults": SHALLOW}
    pretend_all(studio.simple(**write))
    place = write_manifest(studio, {"content": "in/a.png", "style": "in/b.png"}, **write)
    assert main(["render", place]) == 0
    capsys.readouterr()
    assert main(["render", place, "--set", "seed=[0]"]) == 0
    said = capsys.readouterr().out
    assert "a--b-seed0: the same picture as a--b, and taken from there\n" in said
    assert "demo: 1 skipped\n" in said
    assert studio.read("out/demo/a--b-seed0.png") == studio.read("out/demo/a--b.png")
