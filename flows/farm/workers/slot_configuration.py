"""How a slot's worker starts the process of a run: as its pool says, and no flow of another version."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from prefect.client.orchestration import PrefectClient
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessJobConfiguration

from flows.farm.names import ENTRYPOINTS
from styletransfer.errors import StyleTransferError
from styletransfer.version import version

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse


class SlotConfiguration(ProcessJobConfiguration):
    """Starts the run's process directly, as the pool's job template says: whatever a run or deployment asks for.

    Without a command of our own Prefect 3.8 starts another Python before it, to look for code to fetch and for
    packages to install: 4 s per run, and nothing to find.
    """

    @classmethod
    async def from_template_and_values(
        cls, base_job_template: dict[str, Any], values: dict[str, Any], client: PrefectClient | None = None
    ) -> Self:
        del values  # a command, an environment: who may start a run need not be who may do anything here
        configuration: Self = await super().from_template_and_values(base_job_template, {}, client=client)
        return configuration

    def prepare_for_flow_run(
        self, flow_run: FlowRun, deployment: DeploymentResponse | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Raises StyleTransferError, which the run's state then tells, for a flow that this version has not."""
        if deployment is not None:
            check_entrypoint(deployment.entrypoint)
        self.command = self.command or command_to_string([sys.executable, "-m", "prefect.engine"])
        super().prepare_for_flow_run(flow_run, deployment, *args, **kwargs)


def check_entrypoint(entrypoint: str | None) -> None:
    """Raises StyleTransferError where another version of ours has deployed the flow."""
    if str(entrypoint).startswith("flows.") and entrypoint not in ENTRYPOINTS.values():
        raise StyleTransferError(
            f"the server was set up by another version: it has {entrypoint}, which styletransfer {version()} has "
            "not; run `styletransfer deploy` with the version that the workers have"
        )
