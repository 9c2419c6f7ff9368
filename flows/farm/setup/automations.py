"""What the Prefect server does by itself when a run is lost: it says so, and may begin a driver again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger, ResourceSpecification
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, Posture

from flows.farm.names import (
    CONTAINER_LIMIT_S,
    DRIVER_TAG,
    LOST_AFTER_S,
    LOST_MESSAGE,
    MOST_REVIVALS,
    PENDING_LIMIT_S,
    TAG,
)

_RUNS: Final[dict[str, Any]] = {"prefect.resource.id": ["prefect.flow-run.*"]}
_ENDS: Final = ("Completed", "Failed", "Cancelled", "Crashed")

REVIVED_AFTER_S: Final = 10
"""Between a driver's end and its next beginning: one that can't even start must not start all the time."""

PARAMETERS_AGAIN: Final = {
    "__prefect_kind": "json",
    "value": {
        "__prefect_kind": "jinja",
        "template": "{{ dict(flow_run.parameters, submission=flow_run.parameters.submission or flow_run.id|string,"
        " revivals=(flow_run.parameters.revivals or 0) + 1) | tojson }}",
    },
}
"""For RunDeployment: the parameters of the run that set it off, the submission that it was, and the count.

The server begins no run whose parameters are not the deployment's: so it ends with the greatest `revivals`.
"""


REVIVAL: Final = "nst: revive drivers"


def automations(*, containers: bool = False) -> tuple[AutomationCore, ...]:
    """What every farm needs. `containers`: drivers begin in such."""
    limit_s = CONTAINER_LIMIT_S if containers else PENDING_LIMIT_S
    return (
        AutomationCore(
            enabled=True,  # said, or an update leaves one paused that was
            name="nst: crash lost runs",
            description=f"A run of the farm not heard of for {LOST_AFTER_S} s is lost: its host may be gone.",
            trigger=_silence(("heartbeat",), ("heartbeat", *_ENDS), TAG, LOST_AFTER_S),
            actions=[_crash(LOST_MESSAGE)],
        ),
        AutomationCore(
            enabled=True,
            name="nst: crash drivers that never began",
            description=f"A driver handed to a worker that is not running {limit_s} s later is lost. "
            "It has not sent a heartbeat yet. Drivers look after their render runs in the same way.",
            trigger=_silence(("Pending", "Submitting"), ("Running", *_ENDS), DRIVER_TAG, limit_s),
            actions=[_crash(f"did not begin within {limit_s} s")],
        ),
    )


def revival(driver_deployment: UUID) -> AutomationCore:
    """Where drivers run in containers, which no worker of ours starts: what is run again for one that crashed.

    What the server begins has no name and no tags until it has looked for them itself.
    """
    return AutomationCore(
        enabled=True,
        name=REVIVAL,
        description="A driver that crashed is run again with the same parameters, "
        f"{MOST_REVIVALS} times at most. It renders nothing twice.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match=ResourceSpecification(_RUNS),
            match_related=_tagged(DRIVER_TAG),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=driver_deployment,
                parameters=PARAMETERS_AGAIN,
                schedule_after=timedelta(seconds=REVIVED_AFTER_S),
            )
        ],
    )


def _silence(after: Iterable[str], expect: Iterable[str], tag: str, within_s: int) -> EventTrigger:
    """None of the events `expect` within so long after one of `after`, of a run with this tag."""
    return EventTrigger(
        after={f"prefect.flow-run.{name}" for name in after},
        expect={f"prefect.flow-run.{name}" for name in expect},
        match=ResourceSpecification(_RUNS),
        match_related=_tagged(tag),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )


def _tagged(tag: str) -> ResourceSpecification:
    return ResourceSpecification(
        {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}
    )


def _crash(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(name=None, state=StateType.CRASHED, message=message)
