"""The command line `styletransfer`: which command, and its errors as plain lines.

A command is a module of its name: `USAGE`, `HELP` and `add_options` say what it takes, `run` does it. It is
imported when it is called for, and imports what is heavy when it runs, so that help and slips don't wait.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

from flows import standard_streams
from flows.commands.options import FAILED, INTERRUPTED, WRONG, Parser
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.hints import did_you_mean
from styletransfer.redaction import legible_lines, redacted
from styletransfer.version import version

COMMANDS: Final = {
    "render": "render every pair of a manifest that is not done yet",
    "image": "render one picture",
    "check": "check a manifest and show what would be rendered",
    "preview": "render the first scales of every pair, to choose by",
    "recipe": "show how a picture was made, from its file",
    "history": "show the pictures that a pair had",
    "restore": "bring a former picture of a pair back",
    "submit": "hand a manifest to the farm",
    "approve": "have pairs of a run go on from their previews",
    "schedule": "render a manifest, or all in a folder, night by night",
    "status": "show the night: manifests and slots, or one run's pairs",
    "pause": "pause a manifest, or the farm",
    "resume": "have a manifest, or the farm, go on",
    "priority": "change who is rendered first",
    "slots": "show slots; drain, resume or restart some",
    "log": "show what a run has logged",
    "cancel": "end a run",
    "retry": "render the failed pairs of a run once more",
    "notify": "have a message sent at the end of each manifest",
    "clean": "remove what no run needs any more",
    "up": "start a whole farm on this machine",
    "deploy": "set a Prefect server up for a farm",
    "worker": "have this machine render for a farm",
    "doctor": "look whether this machine can render, and what to do if not",
    "completion": "print what a shell completes commands and options by",
}

HELP: Final = """\
commands:
{commands}

examples:
  styletransfer image harbour.jpg wave.png -o out.png
  styletransfer check manifests/quickstart.yaml
  styletransfer render manifests/quickstart.yaml

Each command has a --help of its own.
"""


def make_parser(command: str | None = None) -> Parser:
    """The parser of what follows the command; without one, of what stands in its place."""
    if command is None:
        listed = "\n".join(f"  {name:<12}{text}" for name, text in COMMANDS.items())
        about = "Neural style transfer, of one picture or of a manifest of many."
        parser = Parser("styletransfer", "COMMAND [options]", about, HELP.format(commands=listed))
        parser.add_argument("--version", action="version", version=f"styletransfer {version()}")
        return parser
    module, summary = _module(command), COMMANDS[command]
    parser = Parser(f"styletransfer {command}", module.USAGE, f"{summary[0].upper()}{summary[1:]}.", module.HELP)
    module.add_options(parser)
    text = "show the log, and where in the program an error arose"
    parser.add_argument("-v", "--verbose", action="store_true", help=text)
    return parser


def _module(command: str) -> Any:
    return import_module(f"flows.commands.{command}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. Raises SystemExit for help and wrong use."""
    standard_streams.make_lenient()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd files; what matters leaves as an error of ours
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] not in COMMANDS:
        _tell_commands(arguments)
    command, *rest = arguments
    options = make_parser(command).parse_args(rest)
    if options.verbose:  # until Prefect is imported, which writes the log then
        logging.basicConfig(format="%(asctime)s | %(levelname)-7s | %(name)s - %(message)s", level=logging.INFO)
    try:
        status: int = _module(command).run(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except StyleTransferError as error:
        _show(error, str(error), verbose=options.verbose)
        return WRONG if isinstance(error, UsageError) else FAILED
    except Exception as error:  # noqa: BLE001  (a fault of ours: say so, too, in one line)
        where = "" if options.verbose else "; -v shows where"
        message = f"{type(error).__name__}: {error} (this is a fault of the program{where})"
        _show(error, message, verbose=options.verbose)
        return FAILED
    else:
        return status


def _tell_commands(arguments: Sequence[str]) -> NoReturn:
    """For arguments that don't begin with a command: what there is. Raises SystemExit."""
    parser = make_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(WRONG)
    if not arguments[0].startswith("-"):
        meant = did_you_mean(arguments[0], COMMANDS) or f"; there are: {', '.join(COMMANDS)}"
        parser.error(f"there is no command {arguments[0]}{meant}")
    if any(argument in COMMANDS for argument in arguments):
        parser.error("the command comes first, its options follow")
    parser.parse_args(arguments)  # --help, --version
    parser.error("a command comes first")


def _show(error: Exception, message: str, *, verbose: bool) -> None:
    if verbose:
        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    for line in legible_lines(message).split("\n"):
        print(f"error: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
