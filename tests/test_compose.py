"""The compose files are what the Compose specification takes, and keep their promises: no root, no secrets."""

import json
import re
from importlib import metadata
from pathlib import Path

import jsonschema
import pytest
import yaml

from flows.commands.main import make_parser
from flows.farm.names import DRAIN_LIMIT_S
from tests.checkout import ROOT
from tests.faults.cluster import REGISTERS, SETTINGS

FILES = [ROOT / "compose.yaml", ROOT / "docs/deploy/compose.worker.yaml", ROOT / "docs/deploy/compose.cluster.yaml"]
SCHEMA = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


class Override(list):
    """A list that takes the place of another file's, where others are joined."""


class ComposeLoader(yaml.SafeLoader):
    """Takes `!reset`, which empties what another file has, for what it leaves."""

    def override(self, node: yaml.SequenceNode) -> Override:
        return Override(self.construct_sequence(node))


ComposeLoader.add_constructor("!reset", lambda _loader, _node: {})
ComposeLoader.add_constructor("!override", ComposeLoader.override)


def read(file):
    return yaml.load(file.read_text(encoding="utf-8"), ComposeLoader)


SERVICES = [
    pytest.param(service, id=f"{file.stem}-{name}")
    for file in FILES
    for name, service in read(file)["services"].items()
]
every_service = pytest.mark.parametrize("service", SERVICES)


def variables(text):
    """Names of what is taken from the environment."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text))


@every_file
def test_it_is_what_the_specification_takes(file):
    schema = json.loads(Path(str(metadata.distribution("check-jsonschema").locate_file(SCHEMA))).read_text())
    faults = jsonschema.Draft202012Validator(schema).iter_errors(read(file))
    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


@every_service
def test_no_service_is_root(service):
    """Our image has a user of its own."""
    ours = "styletransfer" in service["image"]
    assert ours or service["user"] in ("postgres", "redis", "10001:10001")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_our_image_is_not_root():
    assert re.search(r"^USER 10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", ["Dockerfile", "docs/deploy/styletransfer-server.service"])
def test_a_server_may_unpack_its_dashboard(file):
    """Prefect would beside its own code, which is root's: its pages were not found then."""
    (folder,) = re.findall(r"PREFECT_SERVER_UI_STATIC_DIRECTORY=(\S+)", (ROOT / file).read_text())
    assert folder.startswith(("/tmp/", "/var/lib/styletransfer-server/"))


def test_links_lead_to_where_browsers_find_the_dashboard():
    services = read(FILES[0])["services"]
    outside = services["server"]["environment"]["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"]
    for name in ("deploy", "driver", "worker", "cpu-worker"):
        assert services[name]["environment"]["PREFECT_UI_URL"] == outside, name


@every_service
def test_ports_are_open_on_this_host_alone(service):
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@every_service
def test_secrets_come_from_outside(service):
    for name, value in service.get("environment", {}).items():
        if re.search("KEY|PASSWORD|AUTH|DATABASE_CONNECTION", name):
            assert value is None or "${" in value, name


def test_the_clusters_servers_are_told_what_the_fault_suites_are():
    services = read(FILES[2])["services"]
    for name in ("migrate", "services", "api-1", "api-2"):
        environment = services[name]["environment"]
        assert {key: environment.get(key) for key in SETTINGS} == SETTINGS
    assert services["api-2"]["environment"][REGISTERS] == "false"
    assert REGISTERS not in services["api-1"]["environment"]


def test_lists_of_two_files_have_nothing_twice_when_joined():
    """Compose refuses the cluster's files otherwise."""
    one, several = (read(file)["services"] for file in (FILES[0], FILES[2]))
    for name in one.keys() & several.keys():
        for key, items in several[name].items():
            if isinstance(items, list) and not isinstance(items, Override):
                assert [item for item in items if item in one[name].get(key, [])] == [], f"{name}: {key}"


def test_nothing_starts_without_its_secrets():
    text = FILES[0].read_text()
    for name in ("POSTGRES_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING"):
        assert re.search(rf"\$\{{{name}:\?[^}}]+\}}", text), name
    assert read(FILES[0])["services"]["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]


@every_service
def test_what_stays_is_looked_after(service):
    """Checked, and started again; the image has a check of its own for workers with GPUs."""
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    assert "healthcheck" in service or "--gpus" in service["command"]


@every_service
def test_workers_have_the_time_to_drain(service):
    if "worker" in service.get("command", []):
        assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN_LIMIT_S + 15


@every_service
def test_commands_are_ones_that_are_taken(service):
    program, *arguments = service.get("command", ["postgres"])
    if program == "styletransfer":
        arguments = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", argument) for argument in arguments]
        make_parser(arguments[0]).parse_args(arguments[1:])


def test_the_example_of_settings_names_each_of_them():
    text = FILES[0].read_text()
    passed_on = set(re.findall(r"^  (AWS_\w+):$", text, re.MULTILINE))
    named = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert named == variables(text) | passed_on | {"COMPOSE_PROFILES"}


def test_the_example_of_settings_has_no_secrets():
    given = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert given["POSTGRES_PASSWORD"] == given["PREFECT_SERVER_API_AUTH_STRING"] == ""


def test_the_settings_are_ignored_by_git():
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()
