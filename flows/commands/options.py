"""How a command line is read: one parser a command, and the options that several commands share.

Imports nothing heavy, for a fast --help.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, get_args

from flows.commands.settings_options import add_settings, as_typed, given_settings
from styletransfer.hints import did_you_mean, hint
from styletransfer.redaction import legible_lines

if TYPE_CHECKING:
    from styletransfer.manifest.pairs import Manifest

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses. 130 is what shells give a program that Ctrl-C ended."""

_NAMED_WEIGHTS: Final = ("imagenet", "random")

_SHARED: Final[Mapping[str, Mapping[str, Any]]] = {
    "run": {"metavar": "RUN", "help": "name of a manifest, or a run's id"},
    "--until": {
        "metavar": "TIME",
        "help": "07:00: what has not begun by then is left, what is running is checkpointed and left",
    },
    "--timezone": {"metavar": "ZONE", "help": "like Europe/Berlin (default: this host's)"},
    "--shared-filesystem": {"action": "store_true", "help": "every worker sees this host's paths"},
    "--watch": {
        "action": "store_true",
        "help": "show it in the browser while it is rendered, served to this machine alone",
    },
    "--wait": {"action": "store_true", "help": "follow the run to its end"},
    "--embed-inputs": {
        "action": "store_true",
        "help": "have the recipe inside each result tell where its inputs were, not their names alone",
    },
    "--state": {
        "metavar": "DIR",
        "help": "state folder of the `up` to speak to"
        " (default: the server of PREFECT_API_URL, else the `up` of STYLETRANSFER_STATE, else one's own)",
    },
}


class Parser(argparse.ArgumentParser):
    """Reads the arguments of one command. Wrong ones end the program, with its usage and what may be meant."""

    def __init__(self, prog: str, usage: str, description: str, text: str) -> None:
        """`usage` is what follows `prog`; `text` is shown as it is, below the options."""
        super().__init__(
            prog=prog,
            usage=f"{prog} {usage}",
            description=description,
            epilog=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.suggest_on_error = True  # for choices, from Python 3.14 on
        self._lists: dict[str, Callable[[str], bool]] = {}

    def add_list(self, *names: str, belongs: Callable[[str], bool], **details: Any) -> None:
        """An option of several words that leaves to the positionals those that don't belong to it."""
        self._lists |= dict.fromkeys(names, belongs)
        self.add_argument(*names, nargs="+", action=_Extend, default=[], **details)

    def add_shared(self, *names: str) -> None:
        """Arguments that several commands take alike."""
        for name in names:
            self.add_argument(name, **_SHARED[name])

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """The options, checked. Raises SystemExit."""
        given = sys.argv[1:] if args is None else list(args)
        self._check_names(given)
        options: argparse.Namespace
        # Intermixed, so that an ID that may be left out may follow an option; that would lose what is behind `--`.
        parse = self.parse_known_args if "--" in given else self.parse_known_intermixed_args
        options, extra = parse(self._positionals_first(given), namespace)
        if extra:
            self.error(f"too many arguments: {' '.join(extra)}")
        return options

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        said = legible_lines(message.removeprefix("argument "))  # what was typed may be a URL with a password
        self.exit(WRONG, f"error: {said}\nfor more: {self.prog} --help\n")

    def _check_names(self, arguments: Iterable[str]) -> None:
        """First of all: what follows an option that isn't one would be told of instead."""
        known = self._option_string_actions
        for argument in takewhile(lambda argument: argument != "--", arguments):
            name = argument.partition("=")[0]
            short_with_value = not argument.startswith("--") and argument[:2] in known
            is_option = re.match(r"--?[a-zA-Z][^ ]*$", name) and not short_with_value
            if is_option and name not in known:
                self.error(f"there is no option {name}{_meant(name, known)}")

    def _positionals_first(self, arguments: Iterable[str]) -> list[str]:
        """The arguments with words that a list would swallow put before its option: `--only a harbour.yaml`."""
        ordered: list[str] = []
        belongs, place = None, 0
        for argument in arguments:
            if argument in self._option_string_actions or argument == "--":
                place = len(ordered) if belongs is None else place  # a list may follow a list
                belongs = self._lists.get(argument)
            elif belongs is not None and not argument.startswith("-") and not belongs(argument):
                ordered.insert(place, argument)
                place += 1
                continue
            ordered.append(argument)
        return ordered


class _Extend(argparse.Action):
    """Adds the words to those that were given before; `a,b` are two."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:  # noqa: ARG002
        words = [word for text in values for word in text.split(",") if word]
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *words])


def _meant(option: str, known: Iterable[str]) -> str:
    """What may be meant by an option that there is not: one spelled nearly so, else what other programs call it."""
    slip = difflib.get_close_matches(option, list(known), n=1, cutoff=0.9)
    return f" (did you mean {slip[0]!r}?)" if slip else hint(option, known)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Reads a whole number in this range."""
    allowed = f"at least {least}" if most is None else f"from {least} to {most}"

    def number(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text) or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"is {text!r}; must be a whole number, {allowed}")
        return int(text)

    return number


# Options of several commands


def add_manifest_options(parser: Parser) -> None:
    """The manifest, and what takes the place of something in it."""
    parser.add_argument("manifest", metavar="MANIFEST", help="path or URL of the manifest (YAML)")
    add_only(parser, _is_no_manifest)
    parser.add_argument("--force", action="store_true", help="render again what is done")
    parser.add_argument("--output", metavar="FOLDER", help="path or URL, in place of the manifest's output")
    add_settings(parser)
    add_weights(parser, "in place of the manifest's")


def add_only(parser: Parser, belongs: Callable[[str], bool]) -> None:
    """Which pairs are meant; `belongs`: whether a word behind an id is another one."""
    only = "only the pairs with these ids, or ids that fit a pattern ('pagoda-*')"
    parser.add_list("--only", belongs=belongs, metavar="ID", help=only)


def _is_no_manifest(word: str) -> bool:
    return "/" not in word and not word.lower().endswith((".yaml", ".yml"))


def load(options: argparse.Namespace) -> Manifest:
    """The manifest that the command line asks for. One that isn't there is a ManifestError, too."""
    from styletransfer.errors import Fault, ManifestError, SettingsError, StorageError
    from styletransfer.manifest.reader import load_manifest

    settings = given_settings(options)
    try:
        manifest = load_manifest(
            options.manifest, output=options.output, weights=options.weights, settings=settings
        )
    except SettingsError as error:
        raise as_typed(error) from error
    except StorageError as error:
        if error.transient:
            raise
        raise ManifestError([Fault("", str(error))]) from error
    return manifest.embedding_inputs() if getattr(options, "embed_inputs", False) else manifest


def add_weights(parser: Parser, what: str, default: str | None = None) -> None:
    shown = "" if default is None else f" (default: {default})"
    parser.add_argument(
        "--weights",
        type=_weights,
        default=default,
        metavar="SOURCE",
        help=f"{what}: imagenet, random, random:SEED, or path or URL of a file{shown}",
    )


def _weights(text: str) -> str:
    """A source of weights; not a slip of one that has a name, which would be looked for as a file."""
    name = text.partition(":")[0]
    near = did_you_mean(name, _NAMED_WEIGHTS)
    if near and name not in _NAMED_WEIGHTS and not Path(text).exists():
        raise argparse.ArgumentTypeError(f"is {text!r}, and there is no such file{near}")
    return text


def add_devices(parser: Parser, text: str) -> None:
    parser.add_list("--devices", belongs=lambda word: not re.search("[./]", word), metavar="DEVICE", help=text)


def add_slots(parser: Parser) -> None:
    """Which slots of this host render."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gpus", metavar="LIST", help="GPUs to render on: 0,1,2 or all")
    which.add_argument("--cpu", type=whole_number(1), metavar="N", help="render N pairs side by side on the CPU")
    parser.add_argument(
        "--gpus-per-render",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="GPUs of a slot; from 2 on it serves pairs with `gpus: 2` and more (default: 1)",
    )
    what = "tag of the slots, for pairs with `requires: [TAG]`"
    parser.add_argument("--tag", type=_tag, action="append", default=[], metavar="TAG", help=what)
    add_renders_per_gpu(parser)


def add_renders_per_gpu(parser: Parser) -> None:
    parser.add_argument(
        "--renders-per-gpu",
        type=_renders_per_gpu,
        default=1,
        metavar="N",
        help="small pairs side by side on a GPU, or auto; experimental (default: 1)",
    )


def _renders_per_gpu(text: str) -> int:
    from styletransfer.machine.devices import RENDERS_PER_GPU

    return RENDERS_PER_GPU if text == "auto" else whole_number(1)(text)


def _tag(text: str) -> str:
    """As argparse has it."""
    from styletransfer.manifest.tags import parse_tag

    try:
        return parse_tag(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


def max_failed(text: str) -> int | str:
    """As argparse has it."""
    from styletransfer.manifest.max_failed import parse_max_failed

    try:
        return parse_max_failed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


def add_priority(parser: Parser) -> None:
    from styletransfer.manifest.schema import Priority

    parser.add_argument(
        "--priority", choices=get_args(Priority), help="who is rendered first (default: as the manifest says)"
    )
