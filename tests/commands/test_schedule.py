"""`schedule`: what is listed, removed and refused."""

import pytest

from tests.farm.commands import call
from tests.farm.inbox import BERLIN

pytestmark = pytest.mark.usefixtures("deployed")


def test_what_is_scheduled_is_listed_and_removed(bucket):
    source = f"{bucket.url}/box"
    call("schedule", source, "--cron", "0 22 * * 1-5", *BERLIN, "--until", "7:00")
    (line,) = [line for line in call("schedule", "--list").out.splitlines() if line.startswith(source)]
    assert [cell.strip() for cell in line.split("  ") if cell][:4] == [
        source,
        "0 22 * * 1-5",
        "Europe/Berlin",
        "07:00",
    ]
    done = call("schedule", "--remove", source)
    assert done.status == 0
    assert source not in call("schedule", "--list").out
    again = call("schedule", "--remove", source)
    assert again.status == 2
    assert "is not scheduled" in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "every night"], "--cron 'every night' is not understood; write minute, hour"),
        (["--cron", "0 25 * * *"], "--cron '0 25 * * *' is not understood"),
        (["--cron", "0 1 * * *", "--timezone", "Berlin"], "there is no time zone 'Berlin'"),
        (["--cron", "0 1 * * *", "--until", "later"], "'later' is no time of day"),
        ([], "say what to render and when"),
    ],
)
def test_a_schedule_that_is_none_is_told(studio, arguments, message):
    studio.put("box/notes.txt", b"")
    done = call("schedule", studio.url("box"), "--shared-filesystem", *arguments)
    assert done.status == 2
    assert message in done.err
    assert "manifests now" not in done.out
    assert "Traceback" not in done.err
