"""What who has no password, and what web pages, get from a real server as `up` has it: nothing."""

import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psutil
import pytest

from flows.farm import names
from flows.farm.markdown import markdown
from flows.server.connection import Farm, record
from flows.server.password import authorization
from tests.farm.commands import deploy_all

NOBODY = "00000000-0000-0000-0000-000000000000"

ASKED = [
    ("GET", "/admin/version"),
    ("GET", "/version"),
    ("POST", "/admin/database/clear"),
    ("POST", "/deployments/filter"),
    ("POST", f"/deployments/{NOBODY}/create_flow_run"),
    ("POST", "/flow_runs/filter"),
    ("POST", "/flow_runs/"),
    ("POST", "/block_documents/filter"),
    ("POST", "/work_pools/"),
    ("PATCH", "/work_pools/nst-driver"),
    ("GET", "/variables/name/health"),
    ("POST", "/health"),
    ("GET", "//health/../admin/version"),
]


@pytest.fixture
def asked(local_server):
    """Ask the server as nobody; what it answers."""
    with httpx.Client(base_url=local_server.api_url, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_without_the_password_nothing_is_told(asked, method, path):
    body = {"json": {"include_secrets": True}} if method != "GET" else {}
    for headers in ({}, authorization("farm:guess"), {"Authorization": "Bearer guess"}):
        answer = asked.request(method, path, headers=headers, **body)
        assert answer.status_code in (401, 404, 405)
        assert answer.json() in ({"exception_message": "Unauthorized"}, {"detail": "Not Found"})


def test_a_probe_hears_that_it_is_healthy_and_no_more(asked):
    assert [asked.get(path).text for path in ("/health", "/ready")] == ["true", '{"message":"OK"}']


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
    ids=lambda headers: next(iter(headers.values())),
)
def test_other_names_and_origins_are_refused_even_with_the_password(asked, local_server, headers):
    headers = {**authorization(local_server.password), **headers}
    for method, path in ASKED:
        assert asked.request(method, path, headers=headers).status_code == 403
    assert asked.get("/health", headers=headers).status_code == 403


def test_the_password_is_in_no_command_line_and_in_no_log(local_server):
    secrets = [local_server.password, b64encode(local_server.password.encode()).decode()]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    told = [*lines, local_server.log.read_text()]
    assert [line for line in told for secret in secrets if secret in line] == []


def test_the_database_is_its_users_alone(local_server):
    assert (local_server.folder / "prefect").stat().st_mode & 0o077 == 0


def test_a_command_that_knows_the_state_folder_is_let_in(farm, local_server, tmp_path):
    deploy_all(farm)
    record(Farm.mine(local_server.api_url, local_server.password_file), tmp_path)
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "flows.commands.main", "status", "--state"]
    environment = {**known, "PREFECT_HOME": str(tmp_path / "prefect")}

    def told(state):
        return subprocess.run([*command, str(state)], env=environment, capture_output=True, text=True, timeout=300)

    done = told(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "farm.json").write_text(Farm.mine(local_server.api_url).model_dump_json())
    assert "set PREFECT_API_AUTH_STRING" in told(tmp_path).stderr


# In a browser

STRANGER = """
async (told) => {
    const attempts = {
        list: fetch(told.api + "/deployments/filter", {method: "POST", body: "{}"}),
        secrets: fetch(told.api + "/block_documents/filter", {method: "POST", body: '{"include_secrets": true}'}),
        start: fetch(told.api + told.start, {method: "POST", body: told.command}),
        typed: fetch(told.api + told.start, {
            method: "POST", body: told.command, headers: {"Content-Type": "application/json"},
        }),
        unread: fetch(told.api + told.start, {method: "POST", body: told.command, mode: "no-cors"}),
        authorized: fetch(told.api + told.start, {
            method: "POST", body: told.command, headers: {"Authorization": told.authorization},
        }),
        socket: new Promise((open, closed) => {
            const socket = new WebSocket(told.api.replace("http", "ws") + "/events/out", ["prefect"]);
            socket.onopen = () => open({status: 101});
            socket.onerror = () => closed("closed");
        }),
        form: new Promise((loaded) => {
            const form = document.createElement("form");
            const frame = document.createElement("iframe");
            frame.name = form.target = "form";
            form.action = told.api + told.start;
            form.method = "POST";
            form.enctype = "text/plain";
            const field = document.createElement("input");
            field.name = told.command.slice(0, -1) + ', "x": "';
            field.value = '"}';
            form.append(field);
            document.body.append(form, frame);
            frame.onload = () => loaded({status: 0, text: () => ""});
            form.submit();
        }),
        frame: new Promise((loaded) => {
            const frame = document.createElement("iframe");
            frame.src = told.api.replace("/api", "/");
            frame.onload = () => loaded({status: 0, text: () => ""});
            document.body.append(frame);
        }),
    };
    const got = {};
    for (const [name, attempt] of Object.entries(attempts)) {
        try {
            const answer = await attempt;
            got[name] = answer.status + " " + (answer.status === 101 ? "" : await answer.text());
        } catch (error) {
            got[name] = "closed";
        }
    }
    return got;
}
"""

NOTHING = {
    **dict.fromkeys(("list", "secrets", "start", "typed", "authorized", "socket"), "closed"),
    **dict.fromkeys(("unread", "form", "frame"), "0 "),
}
"""What the stranger has seen of each attempt: opaque answers where a browser gives some."""


class Page(BaseHTTPRequestHandler):
    """Somebody's web page."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>kittens</title>")

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """Port of another web server of this host, under all its addresses."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(local_server, owner) -> str:
    """Path of what strangers would like to ask: to start a driver."""
    command = [sys.executable, "-m", "flows.commands.main", "deploy"]
    done = subprocess.run(command, env=local_server.environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return f"/deployments/{owner('GET', f'/deployments/name/{names.DRIVER_DEPLOYMENT}')['id']}/create_flow_run"


@pytest.mark.browser
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "evil.example"])
def test_a_page_of_another_origin_reads_and_starts_nothing(tab, start, owner, local_server, elsewhere, host):
    before = owner("POST", "/flow_runs/count", {})
    tab.goto(f"http://{host}:{elsewhere}/")
    told = {
        "api": local_server.api_url,
        "start": start,
        "command": '{"parameters": {"manifest": "/none.yaml"}}',
        "authorization": authorization(local_server.password)["Authorization"],  # not even if it knew
    }
    assert tab.evaluate(STRANGER, told) == NOTHING
    assert owner("POST", "/flow_runs/count", {}) == before


@pytest.mark.browser
def test_a_name_that_leads_here_shows_nothing_of_the_server(tab, local_server):
    address = local_server.address.replace("127.0.0.1", "evil.example")
    assert tab.goto(address).status == 403
    asked = "async () => (await fetch('/api/health')).status"
    assert tab.evaluate(asked) == 403


SOCKET = """
([api, token]) => new Promise((told, closed) => {
    const socket = new WebSocket(api.replace("http", "ws") + "/events/out", ["prefect"]);
    socket.onopen = () => socket.send(JSON.stringify({type: "auth", token}));
    socket.onmessage = (message) => told(JSON.parse(message.data).type);
    socket.onerror = socket.onclose = () => closed("closed");
})
"""
"""As the dashboard hears of events."""


@pytest.mark.browser
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_dashboard_asks_once_and_shows_runs(tab, start, owner, local_server, name):
    run = owner("POST", start, {"parameters": {"manifest": "/none.yaml"}, "name": "kitten"})
    try:
        address = local_server.address.replace("127.0.0.1", name)
        tab.goto(f"{address}/v2/runs")
        tab.fill("input[type=password]", local_server.password)
        tab.keyboard.press("Enter")
        tab.wait_for_selector("input[type=password]", state="detached")
        tab.goto(f"{address}/v2/runs")
        tab.wait_for_selector("text=kitten")
        tab.goto(f"{address}/runs/flow-run/{run['id']}")  # the other dashboard, as messages link it
        tab.wait_for_selector("text=kitten")
        assert tab.evaluate(SOCKET, [local_server.api_url, local_server.password]) == "auth_success"
    finally:
        owner("DELETE", f"/flow_runs/{run['id']}")


HOSTILE = "[click](javascript:alert(1)) <img src=x onerror=alert(1)> <a href=//evil.example>here</a> |**bold**"
FOREIGN = "main a[href*=evil], a[href^=javascript], img[src=x]"


@pytest.mark.browser
@pytest.mark.parametrize(("shown", "found"), [(markdown(HOSTILE), 0), (HOSTILE, 1)], ids=["escaped", "as it is"])
def test_what_strangers_wrote_stays_text_in_an_artifact(tab, owner, local_server, shown, found):
    """The second case shows that the dashboard would make links of it."""
    table = f"| pair | reason |\n| --- | --- |\n| a | {shown} |\n\nend of table"
    made = owner("POST", "/artifacts/", {"key": "nst-hostile", "type": "markdown", "data": table})
    said = []

    def hear(dialog):
        said.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", hear)
    try:
        tab.goto(f"{local_server.address}/v2/runs")
        tab.fill("input[type=password]", local_server.password)
        tab.keyboard.press("Enter")
        tab.wait_for_selector("input[type=password]", state="detached")
        for page in (f"/v2/artifacts/artifact/{made['id']}", f"/artifacts/artifact/{made['id']}"):
            tab.goto(local_server.address + page)
            tab.wait_for_selector("text=end of table")
            assert min(tab.locator(FOREIGN).count(), 1) == found, tab.content()
            assert found or tab.get_by_text(HOSTILE).count()
        assert not said
    finally:
        owner("DELETE", f"/artifacts/{made['id']}")
