"""`render` as a process: its own server, its last lines, Ctrl-C, SIGTERM and SIGHUP."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from styletransfer.renders.checkpoints import WORTH_S
from tests.commands.programs import Started, command, environment, write_manifest
from tests.processes import embedded_servers
from tests.studio import damaged_file


@pytest.fixture
def studio(two_pictures):
    return two_pictures


@pytest.mark.slow
def test_render_by_itself(run, studio, prefect_home):
    """No server is configured: it brings its own, and leaves nothing running."""
    studio.put("broken.png", damaged_file(4))
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "b.png"},
        {"id": "two", "content": "broken.png", "style": "b.png"},
    )
    mine = {"PREFECT_HOME": str(prefect_home)}
    done = run("render", "demo.yaml", **mine)
    assert done.stderr == ""
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "one: started on cpu: 32x24 px, 2 scales, 5 iterations" in lines
    assert any(re.fullmatch(r"one: done in \S+ s, 32x24 px", line) for line in lines)
    reason = f"{studio.root}/broken.png: damaged, can't be decoded: image file is truncated (0 bytes not processed)"
    assert lines[-3:] == [
        "demo: 1 done, 1 failed",
        f"failed: two: {reason}",
        f"contact sheet: {studio.root}/out/demo/index.html",
    ]
    assert embedded_servers(prefect_home) == []

    # Nothing to do: no Prefect is started for that.
    done = run("render", "demo.yaml", "--only", "one", **mine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "demo: 1 skipped"
    assert "Prefect" not in done.stdout


@pytest.fixture
def rendering(run, studio, prefect_home):
    """`render` of three pairs: one was done before, one of two long ones is being rendered."""
    long = {"initial_iterations": 100_000}
    pair = {"content": "a.png", "style": "b.png"}
    write_manifest(
        studio, {**pair, "id": "quick"}, *({**pair, "id": name, "settings": long} for name in ("slow", "later"))
    )
    assert run("render", "demo.yaml", "--only", "quick", PREFECT_HOME=str(prefect_home)).returncode == 0
    with subprocess.Popen(
        command("render", "demo.yaml"),
        cwd=studio.root,
        env=environment(PREFECT_HOME=str(prefect_home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        started = Started(process)
        try:
            started.read_until("(slow|later): started")
            yield started
        finally:
            process.kill()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(rendering, studio, prefect_home):
    """As a terminal does it: SIGINT to all processes of the group, once."""
    os.killpg(rendering.process.pid, signal.SIGINT)
    rest, _ = rendering.process.communicate(timeout=120)
    output = rendering.output + rest.decode()
    assert rendering.process.returncode == 130, output
    assert "demo: 1 queued, 1 skipped, 1 cancelled" in output
    assert "the same command goes on from where it stood" in output
    assert "Traceback" not in output
    summary = json.loads(studio.read("out/demo/summary.json"))
    assert sorted(pair["state"] for pair in summary["pairs"]) == ["cancelled", "queued", "skipped"]
    assert studio.has("out/demo/quick.png")
    files = [path.name for path in Path(studio.root, "out/demo").rglob("*")]
    assert {name for name in files if not name.startswith(".")} >= {"quick.png", "quick.json", "index.html"}
    assert not any(name.startswith(("slow.", "later.")) or ".partial" in name for name in files)
    assert embedded_servers(prefect_home) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_lost_terminal_end_it_orderly(rendering, studio, prefect_home, number):
    time.sleep(WORTH_S + 1)
    rendering.process.send_signal(number)
    rendering.process.communicate(timeout=120)
    assert rendering.process.returncode != 0
    assert embedded_servers(prefect_home) == []
    summary = json.loads(studio.read("out/demo/summary.json"))
    assert sorted(pair["state"] for pair in summary["pairs"]) == ["cancelled", "queued", "skipped"]
    assert any(Path(studio.root, "out/demo/.checkpoints").iterdir())
