"""Which servers take this host: by its password and by its clock."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect import settings
from prefect.settings import temporary_settings

from flows.server.admission import AdmissionError, check_admission, refusal
from flows.server.password import CLIENTS_VARIABLE, authorization


@contextmanager
def server(*, ahead_s=0.0, password=None, elsewhere=None):
    """One that answers whoever knows the password, by its own clock, or leads elsewhere; the URL of its API."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            if elsewhere:
                self.send_response(302)
                self.send_header("Location", elsewhere)
                self.end_headers()
                return
            known = password is None or self.headers["Authorization"] == authorization(password)["Authorization"]
            self.send_response(200 if known else 401)
            self.end_headers()

        def date_time_string(self, timestamp=None):
            return format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/api"
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_password(monkeypatch):
    monkeypatch.delenv(CLIENTS_VARIABLE, raising=False)


@pytest.mark.parametrize("ahead_s", [0, 20, -20])
def test_a_clock_that_is_nearly_right_is_taken(ahead_s):
    with server(ahead_s=ahead_s) as url:
        check_admission(url)


@pytest.mark.parametrize(("ahead_s", "told"), [(120, "s behind the server's"), (-120, "s ahead of the server's")])
def test_a_clock_that_is_off_is_refused_and_it_is_said_how_to_set_it(ahead_s, told):
    with server(ahead_s=ahead_s) as url, pytest.raises(AdmissionError, match=f"clock is 1[12][0-9] {told}.*NTP"):
        check_admission(url)


def test_a_missing_password_is_not_a_wrong_one(monkeypatch):
    with server(password="farm:right") as url:
        with pytest.raises(AdmissionError, match="wants to know who asks; set PREFECT_API_AUTH_STRING"):
            check_admission(url)
        monkeypatch.setenv(CLIENTS_VARIABLE, "farm:wrong")
        with pytest.raises(AdmissionError, match="refuses the user:password in PREFECT_API_AUTH_STRING"):
            check_admission(url)
        monkeypatch.setenv(CLIENTS_VARIABLE, "farm:right")
        check_admission(url)


def test_another_server_is_not_told_the_password(monkeypatch):
    monkeypatch.setenv(CLIENTS_VARIABLE, "farm:right")
    with server(password="farm:right") as url:
        check_admission(url)
        with server(elsewhere=url) as first, pytest.raises(AdmissionError, match="refuses the user:password"):
            check_admission(first)


@pytest.mark.parametrize("setting", ["PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"])
def test_what_else_prefects_client_knows_is_its_own_matter(setting, monkeypatch):
    """A profile's password, for one: the environment does not show it."""
    with server(password="farm:right") as url, temporary_settings({getattr(settings, setting): "farm:right"}):
        monkeypatch.delenv(CLIENTS_VARIABLE, raising=False)
        check_admission(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "no address", "http://[/api"])
def test_a_server_that_does_not_answer_refuses_nobody(url):
    check_admission(url)


def test_other_answers_are_the_servers_own_matter():
    assert refusal(500) == "Prefect's server answers with status 500; its log tells more"
