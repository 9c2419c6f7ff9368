"""What can go wrong on a farm, and whether a manifest came through it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from styletransfer.records.records import now
from tests.faults.account import TOLERANCE_S, Story
from tests.faults.cluster import Cluster, ClusterServer
from tests.faults.farm import CHECKPOINT_S, HOSTS, OFFICE, Farm, Host, Machine, Submission
from tests.waiting import until

PAIRS: Final = 5
"""Of each manifest: runs of two, of two, and of one."""

ITERATIONS: Final = int(os.environ.get("FAULTS_ITERATIONS", "400"))
"""At each of two scales: 8 s on one core, a minute where it has other things to do."""

DOWNTIME_S: Final = 20.0
"""Of a server that is restarted."""

OUTAGE_S: Final = 120.0

LONG_DOWNTIME_S: Final = 600.0
QUICK_DOWNTIME_S: Final = 120.0
"""Of a server that forgets meanwhile who was to be heard of: what ran out a minute before its start."""

POWER_CUT_S: Final = 300.0
QUICK_POWER_CUT_S: Final = 100.0

POWER_BACK_S: Final = 60.0
"""From the start of `up` after a power cut until the first pair is rendered again."""


@dataclass(frozen=True)
class Blow:
    """What was done: when, which pairs' processes did not survive it, and when the cause was gone.

    `back_s`: within how many seconds of that the first of those pairs has to be in hand again.
    """

    at: datetime
    pairs: tuple[str, ...] = ()
    over: datetime | None = None
    back_s: float | None = None


Strike = Callable[[Farm, Submission], Blow]


@dataclass(frozen=True)
class Fault:
    """`strike` waits for its moment. `saved`: who is hit can save its state, so that no work is repeated.

    `done`: what it does, for the report.
    """

    name: str
    done: str
    strike: Strike
    saved: bool = False
    on: type[Farm] = Farm
    """Which kind of farm: hosts with a server of their own, or another."""


@dataclass(frozen=True)
class Seen:
    """How a manifest came through. Seconds; `wrong` is what should not be, and has to be empty."""

    recovery_s: float
    repeated_s: float
    interval_s: float
    whole_s: float
    wrong: tuple[str, ...]


# What is done


def in_hand(farm: Farm, submission: Submission) -> tuple[Host, str]:
    """A host that renders a pair of which there is a checkpoint, and the pair."""

    def found() -> tuple[Host, str] | None:
        for note in submission.account.rendering(submission.pairs):
            host = farm.host_of(note.run)
            if host is not None and submission.account.is_checkpointed(note.pair):
                return host, note.pair
        return None

    return until(found, "a render with a checkpoint")


def kill_render(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    run = host.run
    assert run is not None
    run.kill()
    return Blow(now(), (pair,))


def freeze_render(farm: Farm, submission: Submission) -> Blow:
    """A render that stands still until another has its pair, and then goes on as if nothing had been."""
    host, pair = in_hand(farm, submission)
    run, run_id = host.run, host.run_id
    assert run is not None
    run.suspend()
    at = now()

    def is_elsewhere() -> bool:
        note = submission.account.note(pair)
        return note is not None and note.state == "rendering" and note.run != run_id

    try:
        until(is_elsewhere, "another run for the pair")
    finally:
        run.resume()
    return Blow(at, (pair,))


def kill_worker(farm: Farm, submission: Submission) -> Blow:
    host, _ = in_hand(farm, submission)
    worker = host.worker
    assert worker is not None
    worker.kill()
    return Blow(now())


def kill_both(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    run, worker = host.run, host.worker
    assert run is not None
    assert worker is not None
    worker.kill()
    run.kill()
    return Blow(now(), (pair,))


def lose_host(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    host.lose()
    return Blow(now(), (pair,))


def lose_host_before(farm: Farm, submission: Submission) -> Blow:
    """A host that has taken a run, and is gone before the flow began."""

    def taken() -> Host | None:
        for host in (farm.hosts[name] for name in HOSTS):
            states = {run["id"]: run["state"]["type"] for run in farm.renders(submission)}
            if states.get(host.run_id) == "PENDING":
                return host
        return None

    until(taken, "a run that is about to begin").lose()
    return Blow(now())


def terminate_render(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    run, at = host.run, now()
    assert run is not None
    run.terminate()
    return Blow(at, (pair,))


def terminate_worker(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    worker, at = host.worker, now()
    assert worker is not None
    worker.terminate()
    return Blow(at, (pair,))


def drain_host(farm: Farm, submission: Submission) -> Blow:
    host, pair = in_hand(farm, submission)
    at = now()
    host.terminate()
    return Blow(at, (pair,))


def restart_server(farm: Farm, submission: Submission) -> Blow:
    in_hand(farm, submission)
    at = now()
    farm.server.stop()
    time.sleep(DOWNTIME_S)
    farm.server.start()
    farm.server.wait()
    return Blow(at, over=now())


def kill_server(farm: Farm, submission: Submission) -> Blow:
    """One of the processes that answer."""
    assert isinstance(farm.server, ClusterServer)
    in_hand(farm, submission)
    farm.server.kill_one()
    return Blow(now())


def lose_host_and_server(farm: Farm, submission: Submission) -> Blow:
    """A host that is lost while the server is away for so long that its automations forget the host."""
    host, pair = in_hand(farm, submission)
    farm.server.stop()
    host.lose()
    at = now()
    time.sleep(QUICK_DOWNTIME_S if farm.quick else LONG_DOWNTIME_S)
    farm.server.start()
    farm.server.wait()
    return Blow(at, (pair,), over=now())


def cut_power(farm: Farm, submission: Submission) -> Blow:
    """All of a machine ends at once, and is started again later."""
    account = submission.account

    def saved() -> bool:
        notes = account.rendering(submission.pairs)
        return bool(notes) and all(account.is_checkpointed(note.pair) for note in notes)

    until(saved, "renders with checkpoints")
    farm.lose_all()
    at, pairs = now(), tuple(note.pair for note in account.rendering(submission.pairs))
    time.sleep(QUICK_POWER_CUT_S if farm.quick else POWER_CUT_S)
    over = now()
    farm.bring_hosts()
    return Blow(at, pairs, over, POWER_BACK_S)


def cut_storage(seconds: float) -> Strike:
    """S3 is gone for so long."""

    def cut(farm: Farm, submission: Submission) -> Blow:
        in_hand(farm, submission)
        at = now()
        farm.s3.cut()
        time.sleep(seconds)
        farm.s3.mend()
        return Blow(at, over=now())

    return cut


def kill_driver(farm: Farm, submission: Submission) -> Blow:
    in_hand(farm, submission)
    driver = farm.hosts[OFFICE].run
    assert driver is not None
    driver.kill()
    return Blow(now())


def kill_driver_and_worker(farm: Farm, submission: Submission) -> Blow:
    in_hand(farm, submission)
    office = farm.hosts[OFFICE]
    driver, worker = office.run, office.worker
    assert driver is not None
    assert worker is not None
    worker.kill()
    driver.kill()
    return Blow(now())


KILL_OF_A_RENDER: Final = Fault("kill -9 of a render", "SIGKILL to the process of a render run", kill_render)
LOSS_OF_A_HOST: Final = Fault(
    "loss of a host in mid-run", "SIGKILL to supervisor, worker and render at once; nothing comes back", lose_host
)


def s3_gone(seconds: float) -> Fault:
    return Fault(f"S3 gone for {seconds:.0f} s", "connections cut, and new ones refused", cut_storage(seconds))


FAULTS: Final = (
    KILL_OF_A_RENDER,
    Fault(
        "a render frozen until it is taken for lost",
        "SIGSTOP to the process of a render run, SIGCONT once another run has begun its pair",
        freeze_render,
    ),
    Fault("kill -9 of a worker", "SIGKILL to a worker; its render lives", kill_worker),
    Fault("kill -9 of a worker and its render", "SIGKILL to both", kill_both),
    LOSS_OF_A_HOST,
    Fault(
        "loss of a host before its run began",
        "the same, between a worker's taking a run and the flow's beginning",
        lose_host_before,
    ),
    Fault("SIGTERM to a render", "SIGTERM to the process of a render run", terminate_render, saved=True),
    Fault("SIGTERM to a worker", "SIGTERM to a worker that has a run", terminate_worker, saved=True),
    Fault("SIGTERM to a host's supervisor", "SIGTERM to `styletransfer worker`", drain_host, saved=True),
    Fault(
        f"server gone for {DOWNTIME_S:.0f} s and its start",
        "the server stopped, and started again on the same database",
        restart_server,
    ),
    Fault(
        "server gone for long, and a host lost meanwhile",
        f"the server stopped for {LONG_DOWNTIME_S / 60:.0f} min; SIGKILL to a whole host in the meantime",
        lose_host_and_server,
    ),
    Fault(
        "power cut of `up`",
        f"SIGKILL to server, workers and renders at once; `up` again {POWER_CUT_S / 60:.0f} min later",
        cut_power,
        on=Machine,
    ),
    Fault(
        "kill -9 of one server of two",
        "SIGKILL to one of two processes that answer, with Redis between them and a third for all else",
        kill_server,
        on=Cluster,
    ),
    s3_gone(OUTAGE_S),
    Fault("kill -9 of a driver", "SIGKILL to the process of a driver", kill_driver),
    Fault("kill -9 of a driver and its worker", "SIGKILL to both", kill_driver_and_worker),
)


# Whether it came through


def go_through(farm: Farm, fault: Fault, pairs: int = PAIRS, iterations: int = ITERATIONS) -> Seen:
    """Have a manifest rendered, hurt the farm in the meantime, and see what became of the manifest."""
    farm.bring_hosts()
    began = time.monotonic()
    submission = farm.submit(pairs, iterations)
    blow = fault.strike(farm, submission)
    farm.wait(submission)
    whole_s = time.monotonic() - began
    stories = submission.account.stories(submission.pairs)
    repeated_s = max((_repeated_s(story, blow) for story in stories if story.pair in blow.pairs), default=0.0)
    interval_s = max(CHECKPOINT_S, *(story.longest_interval_s for story in stories))
    wrong = [fact for story in stories for fact in _wrong_with(story, blow, submission)]
    if len({picture for story in stories for picture in story.pictures}) > 1:
        wrong.append("the pictures are not all the same")
    if repeated_s > (0 if fault.saved else interval_s) + TOLERANCE_S:
        wrong.append(f"{repeated_s:.0f} s of work were repeated")
    wrong += [fact for story in stories for fact in _not_resumed(farm, story, blow)]
    wrong += _not_back(stories, blow)
    return Seen(_recovery_s(stories, blow), repeated_s, interval_s, whole_s, tuple(wrong))


def _wrong_with(story: Story, blow: Blow, submission: Submission) -> list[str]:
    """No pair is lost, and none rendered twice to its end."""
    wrong = []
    if len(story.records) != 1 or len(story.pictures) != 1:
        wrong.append(f"{story.pair}: {len(story.records)} records, {len(story.pictures)} pictures")
    for record in story.records:
        scales = [scale.iterations for scale in record.scales]
        settings = submission.account.settings
        if scales != [settings["initial_iterations"], settings["iterations"]]:
            wrong.append(f"{story.pair}: {scales} iterations")
    if story.pair not in blow.pairs and len(story.begun) > 1:
        wrong.append(f"{story.pair}: begun {len(story.begun)} times, though nothing happened to it")
    if story.pair in blow.pairs and len(story.begun) != 2:
        wrong.append(f"{story.pair}: begun {len(story.begun)} times")
    return wrong


def _repeated_s(story: Story, blow: Blow) -> float:
    """Seconds of rendering that were lost, and so done again."""
    resumed = story.resumed(blow.at)
    if resumed is not None and any(blow.at <= each <= resumed.since for each in story.checkpoints):
        return 0.0  # saved after the blow
    return story.lost_s(blow.at)


def _not_resumed(farm: Farm, story: Story, blow: Blow) -> list[str]:
    """A pair that was hit goes on from its checkpoint: its run's log says so."""
    if story.pair not in blow.pairs:
        return []
    resumed = story.resumed(blow.at)
    if resumed is None:
        return [f"{story.pair}: not gone on with"]

    def told() -> bool:
        logs = farm.ask("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [resumed.run]}}})
        return any(f"{story.pair}: stylize: going on behind" in line["message"] for line in logs)

    try:
        until(told, "the log, which may come later than the picture", seconds=60)
    except AssertionError:
        return [f"{story.pair}: rendered from its beginning"]
    return []


def _not_back(stories: list[Story], blow: Blow) -> list[str]:
    """What was to be in hand again by then."""
    if blow.over is None or blow.back_s is None:
        return []
    resumed = [story.resumed(blow.at) for story in stories if story.pair in blow.pairs]
    first_s = min(((note.since - blow.over).total_seconds() for note in resumed if note), default=float("inf"))
    return [f"the first pair was in hand again after {first_s:.0f} s"] if first_s > blow.back_s else []


def _recovery_s(stories: list[Story], blow: Blow) -> float:
    """Until every pair that was hit is in hand again; where none was, until something is written again."""
    if blow.pairs:
        resumed = [story.resumed(blow.at) for story in stories if story.pair in blow.pairs]
        return max((note.since - blow.at).total_seconds() for note in resumed if note is not None)
    since = blow.over or blow.at
    times = [time for story in stories for time in (*story.checkpoints, *(each.finished for each in story.records))]
    return min(((each - since).total_seconds() for each in times if each >= since), default=0.0)
