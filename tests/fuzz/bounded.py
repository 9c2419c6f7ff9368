"""One case after the other in a process bounded in memory and time: how each ended."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import torch

from styletransfer.errors import StyleTransferError

MEMORY_BYTES: Final = 1536 * 2**20
"""On top of what the program has mapped before it looks at a case: PyTorch's own libraries are larger than this."""
TIME_S: Final = 10
"""Of processor time: a case that only waits is given as long on a clock, and what a busy machine takes besides."""

DONE: Final = "done"
REFUSED: Final = "refused"

_BUSY_S: Final = 50
_CASES_PER_PROCESS: Final = 200

Attempt = Callable[[bytes, Path], None]
"""Has the program read a case, in an empty folder. What it refuses leaves as a StyleTransferError."""


class Bounded:
    """Tries cases by `attempt`, each for `time_s` at most. Close it, or use it as a context."""

    def __init__(self, attempt: Attempt, time_s: int = TIME_S) -> None:
        self._attempt = attempt
        self._time_s = time_s
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.fuzz.kinds"])
        self._process: BaseProcess | None = None
        self._tried = 0

    def ending(self, case: bytes) -> str:
        """`done`, `refused`, or what must not be: an error's traceback, a signal, a time that ran out.

        What must not be is seen in a process that has read nothing else.
        """
        how = self._ending(case)
        if how in (DONE, REFUSED) and self._tried < _CASES_PER_PROCESS:
            return how
        first = self._tried == 1
        self.close()
        return how if first or how in (DONE, REFUSED) else self._ending(case)

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._cases.close()
        self._process, self._tried = None, 0

    def __enter__(self) -> Bounded:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ending(self, case: bytes) -> str:
        process = self._process or self._start()
        self._tried += 1
        try:
            self._cases.send_bytes(case)
            if self._cases.poll(self._time_s + _BUSY_S):
                return self._cases.recv_bytes().decode("utf-8", "replace")
        except (EOFError, OSError):
            process.join()
            return f"ended with status {process.exitcode}"
        return f"not ended after {self._time_s + _BUSY_S} s"

    def _start(self) -> BaseProcess:
        self._cases, childs = self._processes.Pipe()
        process = self._processes.Process(target=_serve, args=(self._attempt, childs, self._time_s), daemon=True)
        process.start()
        childs.close()
        self._process = process
        return process


def _serve(attempt: Attempt, cases: Connection, time_s: int) -> None:
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (as long as the process)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, mapped + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)  # several that wait for one another on a busy machine use up a case's processor time
    while True:
        case = cases.recv_bytes()
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + time_s, resource.RLIM_INFINITY))
        with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
            os.environ.update(HOME=folder, STYLETRANSFER_CACHE_DIR=f"{folder}/cache")
            os.chdir(folder)
            how = _try(attempt, case, Path(folder))
            os.chdir("/")
        cases.send_bytes(how.encode("utf-8", "replace"))


def _try(attempt: Attempt, case: bytes, folder: Path) -> str:
    try:
        attempt(case, folder)
    except StyleTransferError:
        return REFUSED
    except BaseException:  # noqa: BLE001  (whatever it is, it is what is looked for)
        return traceback.format_exc()
    return DONE
