"""Job templates of pools: how they have a run started, and in which environment.

How a run is started, its pool says and not the run: a run that chose its command could have a worker do anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, Literal, get_args

from prefect.client.schemas.objects import WorkPool
from prefect.workers.process import ProcessWorker

from flows.farm import names
from flows.server import environment

PoolType = Literal["process", "docker", "kubernetes"]
POOL_TYPES: Final = get_args(PoolType)

_DANGEROUS: Final = ("command", "env", "working_dir", "image", "volumes")

OUR_COMMAND: Final = "python -m flows."
"""How what starts a run in a container begins, where it is ours."""


def run_environment() -> dict[str, str]:
    """Environment variables for the runs, whatever their worker's are: without its heartbeats a run seems lost."""
    common = {name: value for name, value in environment.farm_environment().items() if "WORKER" not in name}
    return {**common, "PREFECT_CLIENT_MAX_RETRIES": str(names.RUN_RETRIES)}


def job_template(pool_type: PoolType, pool: str) -> dict[str, Any]:
    """The job template of a new pool."""
    if pool_type == "process":
        nothing = {"type": "object", "properties": {}, "additionalProperties": False}
        return {"job_configuration": {"env": run_environment()}, "variables": nothing}
    text = (resources.files("flows.farm.setup") / "templates" / f"{pool_type}.json").read_text(encoding="utf-8")
    template: dict[str, Any] = json.loads(text)
    template["job_configuration"]["env"] |= run_environment()
    if pool == names.DRIVER_POOL:
        del template["variables"]["properties"]["gpus"]
        _without_gpus(template["job_configuration"], pool_type)
    else:
        gpus = next(gpus for gpus, name in names.RENDER_POOLS.items() if name == pool)
        template["variables"]["properties"]["gpus"]["default"] = gpus
    return template


def default_command(template: Mapping[str, Any]) -> object:
    """What a pool's job template starts a run with."""
    configured = template.get("job_configuration", {}).get("command")
    default = template.get("variables", {}).get("properties", {}).get("command", {}).get("default")
    return default if configured == "{{ command }}" else configured


def has_prefects_template(pool: WorkPool) -> bool:
    """Whether it is a process pool with Prefect's own job template, which no operator has changed."""
    default = ProcessWorker.get_default_base_job_template()
    variables = pool.base_job_template.get("variables", {}).get("properties", {})
    return (
        pool.type == "process"
        and pool.base_job_template.get("job_configuration") == default["job_configuration"]
        and all(about.get("default") in (None, True) for about in variables.values())
    )


def chosen_by_runs(pool: WorkPool) -> list[str]:
    """Those of a pool's job variables by which whoever starts a run can have a worker do anything."""
    placeholders = re.findall(r"{{ *(\w+) *}}", json.dumps(pool.base_job_template.get("job_configuration", {})))
    return [name for name in _DANGEROUS if name in placeholders]


def _without_gpus(configuration: dict[str, Any], pool_type: PoolType) -> None:
    """Take away what asks for GPUs: hosts without any could not start a container that does."""
    if pool_type == "docker":
        del configuration["container_create_kwargs"]["device_requests"]
    else:
        (container,) = configuration["job_manifest"]["spec"]["template"]["spec"]["containers"]
        del container["resources"]["limits"]["nvidia.com/gpu"]
