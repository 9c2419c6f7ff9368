"""The page about what GPUs need at least holds what is counted, and what binds."""

import json

from tests.bench import results, roofline
from tests.bench.work import Operation, Rates, Work


def test_it_writes_page_and_plot(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["roofline", "--sizes", "128", "--shared", ""])
    eager = {"way": "eager", "px": 128, "seconds": 0.01, "launches": 500}
    gpu = {"environment": {"device": "NVIDIA H100"}, "rows": [eager, {"way": "graph", "px": 128, "failed": "no"}]}
    (tmp_path / "gpu.json").write_text(json.dumps(gpu))
    roofline.main()
    text = (tmp_path / "roofline.md").read_text()
    assert "| H100 | 128 |" in text
    assert "| RTX 3090 | 71 | 35.6 | 0.936 |" in text
    assert "| roots |" in text
    assert "Measured on NVIDIA H100 at 128 px, a launch of an iteration took 20 µs" in text
    assert "## Several GPUs that share a picture" in text
    assert (tmp_path / "roofline.png").stat().st_size > 1000
    rows = json.loads((tmp_path / "roofline.json").read_text())["rows"]
    assert {row["binds"] for row in rows if row["card"] == "H100"} == {"launches"}


def test_what_takes_longest_binds():
    counts = {
        Operation("a", "mm", "bfloat16", (1,)): Work(1, 1000, 10),
        Operation("b", "copy_", "float32", (1,)): Work(2, 10, 400),
    }
    card = roofline.Card("one", Rates({"bfloat16": 100.0, "float32": 10.0}, bytes=2.0, launch_s=3.0), "")
    found = roofline.row(card, 128, counts)
    assert found["seconds"] == {"launches": 9.0, "operations": 11.0, "bytes": 205.0}
    assert (found["binds"], found["device_s"]) == ("bytes", 210.0)
    assert roofline.parts_of(card.rates, counts)["b"] == (200.0, Work(2, 10, 400))
