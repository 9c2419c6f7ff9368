"""`notify` sets messages up, tries them, and turns them off."""

import argparse
import io

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.variables import Variable

from flows.commands import notify as notify_command
from flows.farm import messages
from flows.farm.messages import NotifyError


def options(**values):
    given = {"webhook": None, "block": None, "test": False, "off": False, "no_test": False}
    return argparse.Namespace(**given | {"state": None, "verbose": False} | values)


def test_a_webhook_is_set_up_by_one_command_and_gets_a_test_message(hook, capsys):
    assert notify_command.run(options(webhook=hook.url)) == 0
    assert hook.messages == ["styletransfer: a test\nMessages about manifests will come this way."]
    assert capsys.readouterr().out.splitlines() == [
        "messages go through the block custom-webhook/nst-notify",
        "a test message was sent",
    ]


def test_the_url_may_come_by_standard_input(hook, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(hook.url + "\n"))
    notify_command.run(options(webhook="-", no_test=True))
    assert messages.send("a", "b")
    assert hook.paths == ["/services/T0SECRET"]


def test_any_notification_block_will_do(hook):
    own = {"name": "studio", "url": hook.url, "json_data": {"text": "{{body}}!"}}
    CustomWebhookNotificationBlock(**own).save("studio", overwrite=True)
    notify_command.run(options(block="custom-webhook/studio", no_test=True))
    messages.send("subject", "body")
    assert hook.messages == ["body!"]


def test_nothing_is_sent_when_nothing_is_set_up(farm):
    assert messages.send("a", "b") is False
    with pytest.raises(NotifyError, match="no messages are set up"):
        notify_command.run(options(test=True))


def test_messages_can_be_turned_off(hook, capsys):
    messages.use_webhook(hook.url)
    assert notify_command.run(options(off=True)) == 0
    assert Variable.get(messages.VARIABLE) is None
    with pytest.raises(NotifyError):
        messages.use_block("custom-webhook/nst-notify")  # the secret is gone, too
    assert messages.send("a", "b") is False
