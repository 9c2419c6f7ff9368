"""Which workers a host has, for its GPUs and its CPU."""

import pytest

from flows.commands.main import main
from flows.farm.workers import host_slots
from styletransfer.errors import NoSuchDeviceError


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(host_slots, "visible_gpus", lambda: ("4", "5", "6", "GPU-7"))
    monkeypatch.setattr(host_slots, "host_name", lambda: "harbour")


def seen(workers):
    return [(worker.name, worker.pool, worker.environment["CUDA_VISIBLE_DEVICES"]) for worker in workers]


def test_each_gpu_has_a_worker(four_gpus):
    assert seen(host_slots.render_workers("3,0", None)) == [
        ("harbour-gpu3", "nst-gpu1", "GPU-7"),
        ("harbour-gpu0", "nst-gpu1", "4"),
    ]
    assert len(host_slots.render_workers(None, None)) == len(host_slots.render_workers("all", None)) == 4


def test_two_gpus_have_a_worker(four_gpus):
    assert seen(host_slots.render_workers("all", None, 2)) == [
        ("harbour-gpu0+1", "nst-gpu2", "4,5"),
        ("harbour-gpu2+3", "nst-gpu2", "6,GPU-7"),
    ]


def test_a_slot_of_a_gpu_is_told_how_many_pairs_it_renders_at_a_time(four_gpus):
    for asked, told in ((1, "1"), (3, "3")):
        workers = host_slots.render_workers("0,1", None, renders_per_gpu=asked)
        assert seen(workers) == [("harbour-gpu0", "nst-gpu1", "4"), ("harbour-gpu1", "nst-gpu1", "5")]
        assert {worker.environment["NST_RENDERS_PER_GPU"] for worker in workers} == {told}
    with pytest.raises(NoSuchDeviceError, match=r"^--gpus-per-render and --renders-per-gpu: "):
        host_slots.render_workers("0,1", None, 2, 2)


def test_all_slots_of_a_host_have_the_tags_that_it_was_given(four_gpus):
    workers = host_slots.tagged(host_slots.render_workers("0,1", None), ["a100", "80gb"])
    assert [worker.tags for worker in workers] == 2 * [("a100", "80gb")]


@pytest.mark.parametrize(
    ("gpus", "per_render", "message"),
    [
        ("0,4", 1, "--gpus 0,4: '4' is not there. This machine has GPUs 0, 1, 2, 3."),
        ("1,1", 1, "--gpus 1,1: '1' is named twice"),
        (None, 3, "--gpus 0,1,2,3: 4 can't be shared out by 3"),
        ("0,1,2", 2, "--gpus 0,1,2: 3 can't be shared out by 2"),
        (",", 1, "--gpus ,: names none. This machine has 4."),
    ],
)
def test_gpus_that_cannot_be_had_are_told(four_gpus, gpus, per_render, message):
    with pytest.raises(NoSuchDeviceError) as raised:
        host_slots.render_workers(gpus, None, per_render)
    assert str(raised.value) == message


def test_without_gpus_the_cpu_renders(monkeypatch):
    monkeypatch.setattr(host_slots, "visible_gpus", lambda: ())
    assert [worker.pool for worker in host_slots.render_workers(None, None)] == ["nst-gpu1"]
    with pytest.raises(NoSuchDeviceError, match=r"^--gpus 0: '0' is not there. This machine has no GPU that torch"):
        host_slots.render_workers("0", None)


@pytest.mark.parametrize(("given", "threads"), [(None, "4"), ("1", "1")])
def test_shares_of_the_cpu_share_its_cores(monkeypatch, given, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(host_slots, "usable_cores", lambda: 9)
    workers = host_slots.render_workers(None, 2)
    assert [worker.environment["OMP_NUM_THREADS"] for worker in workers] == [threads, threads]
    assert [worker.environment["NST_SLOT"] for worker in workers] == ["cpu0", "cpu1"]
    assert [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["", ""]


def test_gpus_are_counted_as_torch_sees_them(monkeypatch):
    """On a machine without any: none, whatever the environment names."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert set(host_slots.visible_gpus()) <= {"2", "3"}


@pytest.mark.parametrize(
    "wrong",
    [["--cpu", "0"], ["--cpu", "1", "--gpus", "0"], ["--gpus-per-render", "0"], ["--renders-per-gpu", "all"]],
)
@pytest.mark.parametrize("command", ["worker", "up"])
def test_options_that_make_no_sense_are_refused(command, wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, *wrong])
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["deploy", "worker", "up"])
def test_help_shows_examples(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "examples:" in capsys.readouterr().out
