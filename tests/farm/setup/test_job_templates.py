"""Job templates of pools: whole, for each pool, without secrets, and nothing that a run could misuse."""

import re
from importlib import resources

import jsonschema
import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values

from flows.farm import names
from flows.farm.setup.job_templates import POOL_TYPES, job_template, run_environment

TYPES = [name for name in POOL_TYPES if name != "process"]

every_template = pytest.mark.parametrize(
    ("pool_type", "pool"), [(pool_type, pool) for pool_type in POOL_TYPES for pool in names.POOLS]
)


def placeholders(part):
    """Names in `{{ }}` anywhere in a configuration."""
    if isinstance(part, dict):
        return {name for value in part.values() for name in placeholders(value)}
    if isinstance(part, list):
        return {name for value in part for name in placeholders(value)}
    return set(re.findall(r"{{ ([\w.-]+) }}", part)) if isinstance(part, str) else set()


def filled(template, **values):
    """The configuration of a run, as Prefect's workers fill it: with defaults, and what a deployment gives."""
    properties = template["variables"]["properties"]
    defaults = {name: about["default"] for name, about in properties.items() if about.get("default") is not None}
    return apply_values(template["job_configuration"], {**defaults, **values})


def container(configuration):
    (found,) = configuration["job_manifest"]["spec"]["template"]["spec"]["containers"]
    return found


def test_there_is_a_template_of_each_type():
    shipped = (resources.files("flows.farm.setup") / "templates").iterdir()
    assert sorted(file.name for file in shipped) == sorted(f"{name}.json" for name in TYPES)


@every_template
def test_variables_are_those_that_are_used(pool_type, pool):
    template = job_template(pool_type, pool)
    used = {name for name in placeholders(template["job_configuration"]) if not name.startswith("prefect.blocks.")}
    assert used == set(template["variables"]["properties"])


@every_template
def test_a_run_chooses_neither_what_is_run_nor_with_what(pool_type, pool):
    template = job_template(pool_type, pool)
    chosen = {"command", "env", "working_dir", "image", "volumes", "labels", "service_account_name", "secret_name"}
    assert not chosen & set(template["variables"]["properties"])
    assert template["variables"]["additionalProperties"] is False
    evil = filled(template, **dict.fromkeys(chosen, "evil"))
    assert evil == filled(template)
    assert run_environment().items() <= evil["env"].items()


@every_template
def test_defaults_are_what_the_variables_may_be(pool_type, pool):
    schema = job_template(pool_type, pool)["variables"]
    jsonschema.Draft202012Validator.check_schema(schema)
    defaults = {name: about["default"] for name, about in schema["properties"].items() if "default" in about}
    jsonschema.validate(defaults, schema)


@every_template
def test_a_server_takes_it(farm, pool_type, pool):
    name = f"template-{pool_type}-{pool}"
    template = job_template(pool_type, pool)
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=name, type=pool_type, base_job_template=template))
        assert client.read_work_pool(name).base_job_template == template
        client.delete_work_pool(name)


@every_template
def test_no_secret_is_in_it(pool_type, pool):
    environment = filled(job_template(pool_type, pool))["env"]
    secrets = {name: value for name, value in environment.items() if "KEY" in name or "AUTH" in name}
    assert all(value.startswith("{{ prefect.blocks.secret.nst-") for value in secrets.values())


@pytest.mark.parametrize(("pool", "gpus"), [("nst-driver", None), ("nst-gpu1", 1), ("nst-gpu2", 2)])
def test_renders_ask_for_their_gpus_and_drivers_for_none(pool, gpus):
    pod = filled(job_template("kubernetes", pool))
    assert container(pod)["resources"]["limits"].get("nvidia.com/gpu") == gpus
    requests = filled(job_template("docker", pool))["container_create_kwargs"].get("device_requests", [])
    assert [request["Count"] for request in requests] == ([gpus] if gpus else [])


@pytest.mark.parametrize("pool", names.POOLS)
def test_containers_are_not_root_and_saved_before_they_end(pool):
    docker = filled(job_template("docker", pool))
    assert docker["command"] == "python -m flows.farm.workers.container_run"
    assert docker["container_create_kwargs"]["user"] == "10001:10001"
    pod = filled(job_template("kubernetes", pool))
    spec = pod["job_manifest"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["terminationGracePeriodSeconds"] > names.DRAIN_LIMIT_S
    assert container(pod)["args"] == "python -m flows.farm.workers.container_run"
    assert container(pod)["envFrom"] == [{"secretRef": {"name": "styletransfer-s3", "optional": True}}]
