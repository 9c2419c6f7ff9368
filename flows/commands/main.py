"""The command line `styletransfer`: which command, and its errors as plain lines.

A command's modules are imported when it is called for, so that help and slips don't wait for heavy ones.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from styletransfer.errors import FaultsError, NoSuchDeviceError, StyleTransferError
from styletransfer.version import version

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses. 130 is what shells give a program that Ctrl-C ended."""


@dataclass(frozen=True)
class Command:
    """One command: what adds its options, what runs it (as `module:function`), and its line of help."""

    options: str
    run: str
    help: str


COMMANDS = {
    "render": Command(
        "flows.commands.manifest_options:add_render_options",
        "flows.commands.render:run",
        "render every pair of a manifest that is not done yet",
    ),
    "image": Command(
        "flows.commands.image_options:add_image_options", "flows.commands.image:run", "render one picture"
    ),
    "check": Command(
        "flows.commands.manifest_options:add_check_options",
        "flows.commands.check:run",
        "check a manifest and show what would be rendered",
    ),
    "submit": Command(
        "flows.commands.farm_options:add_submit_options",
        "flows.commands.farm_commands:submit",
        "hand a manifest to the farm",
    ),
    "schedule": Command(
        "flows.commands.farm_options:add_schedule_options",
        "flows.commands.farm_commands:schedule",
        "render a manifest, or all in a folder, night by night",
    ),
    "status": Command(
        "flows.commands.farm_options:add_status_options",
        "flows.commands.farm_commands:status",
        "show how runs, or slots, stand",
    ),
    "cancel": Command(
        "flows.commands.farm_options:add_cancel_options", "flows.commands.farm_commands:cancel", "end a run"
    ),
    "retry": Command(
        "flows.commands.farm_options:add_retry_options",
        "flows.commands.farm_commands:retry",
        "render the failed pairs of a run once more",
    ),
    "notify": Command(
        "flows.commands.farm_options:add_notify_options",
        "flows.commands.farm_commands:notify",
        "have a message sent at the end of each manifest",
    ),
    "clean": Command(
        "flows.commands.farm_options:add_clean_options",
        "flows.commands.farm_commands:clean",
        "remove what no run needs any more",
    ),
    "up": Command(
        "flows.commands.host_options:add_up_options", "flows.commands.up:run", "start a whole farm on this machine"
    ),
    "deploy": Command(
        "flows.commands.host_options:add_deploy_options",
        "flows.commands.farm_commands:deploy",
        "set a Prefect server up for a farm",
    ),
    "worker": Command(
        "flows.commands.host_options:add_worker_options",
        "flows.commands.worker:run",
        "have this machine render for a farm",
    ),
}

VERBOSE_HELP = "show the log, and where in the program an error arose"

EXAMPLES = """\
examples:
  styletransfer image harbour.jpg wave.png -o out.png
  styletransfer check manifests/quickstart.yaml
  styletransfer render manifests/quickstart.yaml

Each command has a --help of its own.
"""


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; only `command` gets its arguments, as only its module is loaded."""
    parser = argparse.ArgumentParser(
        prog="styletransfer",
        description="Neural style transfer, of one picture or of a manifest of many.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"styletransfer {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, known in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=known.help, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )
        if name == command:
            _load(known.options)(subparser)
            subparser.add_argument("-v", "--verbose", action="store_true", help=VERBOSE_HELP)
    return parser


def _load(place: str) -> Callable[..., Any]:
    """The function at `module:function`."""
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = next((argument for argument in arguments if argument in COMMANDS), None)
    options = make_parser(command).parse_args(arguments)
    try:
        status: int = _load(COMMANDS[options.command].run)(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except StyleTransferError as error:
        _show(error, str(error), verbose=options.verbose)
        return WRONG if isinstance(error, FaultsError | NoSuchDeviceError) else FAILED
    except Exception as error:  # noqa: BLE001  (a fault of ours: say so, too, in one line)
        where = "" if options.verbose else "; -v shows where"
        message = f"{type(error).__name__}: {error} (this is a fault of the program{where})"
        _show(error, message, verbose=options.verbose)
        return FAILED
    else:
        return status


def _show(error: Exception, message: str, *, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
