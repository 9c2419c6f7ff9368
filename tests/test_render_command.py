"""What `styletransfer render` hands to the flow. The command itself, as a process: test_cli.py."""

import inspect
from pathlib import Path

from flows.cli import make_parser
from flows.render_command import _told_prefect


def told(*arguments):
    return _told_prefect(make_parser("render").parse_args(["render", *arguments]))


def test_prefect_is_told_no_credentials():
    """It keeps a run's parameters in its database, and shows them."""
    secret = "X-Amz-Signature=0123456789abcdef"
    parameters = told(
        *("https://user:word@studio.example/demo.yaml?" + secret, "--output", "s3://key:word@studio/out"),
        *("--weights", "https://studio.example/vgg19.pth?" + secret),
    )
    assert parameters["manifest"] == "https://studio.example/demo.yaml"
    assert parameters["weights"] == "https://studio.example/vgg19.pth"
    assert parameters["output"] == "s3://studio/out"
    assert not any(word in str(parameters) for word in ("word", "Signature"))


def test_prefect_is_told_everything_else_as_it_was_asked_for():
    parameters = told("demo.yaml", "--weights", "random:3", "--only", "one", "two", "--devices", "cpu", "--force")
    assert parameters == {
        "manifest": str(Path.cwd() / "demo.yaml"),
        "only": ["one", "two"],
        "force": True,
        "devices": ["cpu"],
        "weights": "random:3",
        "output": None,
    }


def test_every_parameter_of_the_flow_is_told():
    from flows.render import render_manifest

    assert told("demo.yaml").keys() == inspect.signature(render_manifest.fn).parameters.keys()
