"""Commands as a user starts them: as processes, or their `main` right here."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass

from tests.checkout import ROOT
from tests.studio import SHALLOW

QUICKLY = shlex.split(
    "--weights random -s 32 -ms 20 -ii 3 -i 2 --content-layers relu2_1 --style-layers relu1_1=1 relu2_1=1"
)
"""Options of a render that takes no time."""

LONG = ["-ii", "100000"]


def command(*arguments):
    """A command as a process of its own."""
    return [sys.executable, "-W", "error::ResourceWarning", "-m", "flows.commands.main", *arguments]


def environment(**more):
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**known, "PYTHONPATH": str(ROOT), **more}


@dataclass(frozen=True)
class Called:
    returncode: int
    stdout: str
    stderr: str


@dataclass
class Started:
    """A process and what it has written so far."""

    process: subprocess.Popen
    output: str = ""

    def read_until(self, pattern):
        """Reads on until the output matches."""
        assert self.process.stdout is not None
        while not re.search(pattern, self.output):
            read = os.read(self.process.stdout.fileno(), 65536)
            assert read, self.output
            self.output += re.sub(r"\x1b\[[\d;?]*\w", "", read.decode(errors="replace"))  # without colours


def write_manifest(studio, *pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return studio.put("demo.yaml", json.dumps({**head, "pairs": list(pairs), **keys}).encode())
