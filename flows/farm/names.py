"""What the parts of the farm agree on: names in Prefect, tags, periods. Imports no Prefect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from flows.server.environment import period_s
from styletransfer import storage
from styletransfer.manifest.schema import Priority
from styletransfer.records.output_places import OutputPlaces

GpuCount = Literal[1, 2]
"""GPUs that one render has to itself: one, or two and more."""

DRIVER_POOL: Final = "nst-driver"
RENDER_POOLS: Final[dict[GpuCount, str]] = {1: "nst-gpu1", 2: "nst-gpu2"}


def pool_for(gpus: int) -> GpuCount:
    """Which of the pools serves pairs that so many GPUs share, and slots of so many."""
    return 2 if gpus > 1 else 1


POOLS: Final = (DRIVER_POOL, *RENDER_POOLS.values())

MADE_LATER: Final = (RENDER_POOLS[2],)
"""Pools that a farm has once a worker for them has come: without one they stand red in the dashboard."""

QUEUES: Final[dict[Priority, int]] = {"high": 1, "normal": 2, "low": 3}
"""Queues of every pool, named after priorities, and their rank in Prefect, where 1 is served first."""

DEFAULT_QUEUE: Final = "default"
"""A queue that Prefect gives every pool, and which can't be deleted: nothing of ours goes there."""

DEFAULT_QUEUE_RANK: Final = 4

DRIVER_FLOW: Final = "render-manifest"
RENDER_FLOW: Final = "render-pairs"
INBOX_FLOW: Final = "render-inbox"
CLEAN_FLOW: Final = "clean"

ENTRYPOINTS: Final = {
    DRIVER_FLOW: "flows.farm.driver.flow.drive_manifest",
    RENDER_FLOW: "flows.farm.render.flow.render_pairs",
    INBOX_FLOW: "flows.farm.overnight.inbox.render_inbox",
    CLEAN_FLOW: "flows.farm.overnight.clean.clean",
}
"""Where workers find each flow. Servers store it with deployments: those of another version may say otherwise."""

DRIVER_DEPLOYMENT: Final = f"{DRIVER_FLOW}/farm"
RENDER_DEPLOYMENTS: Final[dict[GpuCount, str]] = {1: f"{RENDER_FLOW}/gpu1", 2: f"{RENDER_FLOW}/gpu2"}
INBOX_DEPLOYMENT: Final = f"{INBOX_FLOW}/farm"
CLEAN_DEPLOYMENT: Final = f"{CLEAN_FLOW}/farm"

SCHEDULE_TAG: Final = "nst-schedule"
"""On deployments that `styletransfer schedule` made, and their runs."""

TAG: Final = "nst"
"""On every run of ours: the automation that finds lost runs looks at these only."""

DRIVER_TAG: Final = "nst-driver"
RENDER_TAG: Final = "nst-render"

HELD: Final = "Held"
"""Name of the final state of a run that hands its pairs back, and of a driver whose time was up."""

PAUSED_TAG: Final = "nst-paused"
"""On a driver whose manifest is to pause."""

FARM_PAUSED_TAG: Final = "nst-farm-paused"
"""The same, as long as the farm is to."""

PAUSE_TAGS: Final = frozenset({PAUSED_TAG, FARM_PAUSED_TAG})

WORKER_LABEL: Final = "prefect.worker.name"
"""Prefect's label of a run with the worker that took it."""

OUTPUT_TAG: Final = "output:"
"""How the tag of an output begins."""

RUN_RETRIES: Final = 8
"""How often a run asks its server again: for 2, 4, ... 256 s, over 8 minutes, where Prefect gives up after one.

A render that ends while the server is away must not end Crashed for want of somebody to tell.
"""


LOST_AFTER_S: Final = period_s("NST_LOST_AFTER_S", 120)
"""A run not heard of for so long is taken for lost. At least three heartbeats, or healthy runs would be."""

LOST_MESSAGE: Final = f"not heard of for {LOST_AFTER_S} s"
"""Of the Crashed state of a run that was taken for lost."""

PENDING_LIMIT_S: Final = period_s("NST_PENDING_LIMIT_S", 180)
"""A run handed to a worker that has not begun after this is taken for lost: it never sent a heartbeat."""

CONTAINER_LIMIT_S: Final = period_s("NST_CONTAINER_LIMIT_S", 900)
"""The same for one that begins in a container: an image of some GB may have to be pulled before."""

NO_WORKER_S: Final = 300
"""Runs wait for a worker without limit; after this it is said that none is there."""

ATTEMPTS: Final = 3
"""Of a pair whose render run crashes while it is rendered."""

MOST_REVIVALS: Final = 5
"""How often a driver that crashed is begun again: one that can't even start would otherwise be for ever."""


class Needs(NamedTuple):
    """What a slot must have for a pair: GPUs, and tags."""

    gpus: GpuCount
    requires: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """`nst-gpu1`, `nst-gpu1 with the tags 80gb, a100`."""
        tags = f" with the tag{'s' * (len(self.requires) > 1)} {tags_text(self.requires)}" if self.requires else ""
        return f"{RENDER_POOLS[self.gpus]}{tags}"


def tags_text(tags: Iterable[str]) -> str:
    """`80gb, a100`."""
    return ", ".join(sorted(tags))


DRAIN_LIMIT_S: Final = 120
"""How long a run that was asked to end may take to save its state: an iteration may take a minute."""


class Place(NamedTuple):
    """One slot of one host, as `vm gpu0`; a worker is named after it, `vm-gpu0`."""

    host: str
    slot: str

    @classmethod
    def of_worker(cls, name: str) -> Place:
        host, _, slot = name.rpartition("-")
        return cls(host, slot)

    def __str__(self) -> str:
        return " ".join(filter(None, self))


FINISHED_VARIABLE: Final = "NST_FINISHED"
"""Environment variable with a folder where a render run leaves a file, named by its id, once a pair has come to its
end in it: its worker then knows that the slot is good for something."""

SLOT_VARIABLE: Final = "NST_SLOT"
"""Environment variable that tells a render run its slot's name on this host: `gpu0`, `gpu0+1`, `cpu1`."""

SHARES_VARIABLE: Final = "NST_RENDERS_PER_GPU"
"""Environment variable that tells a render run how many pairs it renders side by side on each GPU."""


def manifest_tag(name: str) -> str:
    """Tag of all runs for manifests of this name."""
    return f"manifest:{name}"


def output_tag(places: OutputPlaces) -> str:
    """Tag of all runs that write to the same folder. A hash: a location may be long, or hold what is private."""
    return f"{OUTPUT_TAG}{hashlib.sha256(places.folder.encode()).hexdigest()[:12]}"


def submission_tag(submission: str) -> str:
    """Tag of a driver, of the one that takes its place when it dies, and of their render runs."""
    return f"submission:{submission}"


def pair_tag(pair_id: str) -> str:
    """Tag of render runs of this pair alone."""
    return f"pair:{pair_id}"


def style_tag(styles: Iterable[str]) -> str:
    """Tag of render runs of one pair: names of its style pictures, from their URLs, without extension."""
    return "style:" + "+".join(storage.name(style).rpartition(".")[0] or storage.name(style) for style in styles)


def size_tag(end_scale: int) -> str:
    """Tag of render runs of one pair: its longest edge in px."""
    return f"size:{end_scale}"


_REQUIRES: Final = "requires:"


def requirement_tags(requires: Iterable[str]) -> list[str]:
    """Tags of a render run that name the tags which a slot must have for it."""
    return [f"{_REQUIRES}{tag}" for tag in sorted(requires)]


def required_by(run_tags: Iterable[str]) -> frozenset[str]:
    """The tags which a slot must have for a render run that has these of its own."""
    return frozenset(tag.removeprefix(_REQUIRES) for tag in run_tags if tag.startswith(_REQUIRES))


PROGRESS_ARTIFACT: Final = "progress"
"""What the progress of a driver or a render run is published as."""

NIGHT_KEY: Final = "nst-night"
"""Key of the artifact with the page of the night."""

LATEST_ARTIFACT: Final = "latest"
"""What a driver's last finished picture is published as."""
