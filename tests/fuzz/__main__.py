"""All kinds, many cases of each: `make fuzz`. What went wrong is kept in `found/`, smallest form, and told.

    python -m tests.fuzz [KIND ...]     those kinds; all without

FUZZ_CASES: of each kind (10,000). FUZZ_SEED: another number, other cases (0).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.bounded import DONE, REFUSED, Bounded
from tests.fuzz.kinds import KINDS, Kind

FOUND: Final = Path(__file__).parent / "found"


def kept_cases(name: str) -> list[bytes]:
    """Cases that once went wrong."""
    return [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]


def fuzz(kind: Kind, cases: int, start: int, kept: list[bytes]) -> tuple[Counter[str], dict[str, bytes]]:
    """How many cases ended in which way, and an example of each way that must not be."""
    endings: Counter[str] = Counter()
    wrong: dict[str, bytes] = {}

    def look(case: bytes) -> None:
        how = bounded.ending(case)
        last = how.strip().splitlines()[-1][:200]
        endings[last] += 1
        if how not in (DONE, REFUSED) and len(case) < len(wrong.get(how, case + b" ")):
            wrong[how] = case

    quiet = settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with Bounded(kind.attempt) as bounded:
        for case in kept:
            look(case)
        seed(start)(quiet(given(kind.cases())(look)))()
    return endings, wrong


def main(names: list[str]) -> int:
    """Returns the exit status."""
    cases, start = int(os.environ.get("FUZZ_CASES", "10000")), int(os.environ.get("FUZZ_SEED", "0"))
    found = 0
    for name in names or KINDS:
        endings, wrong = fuzz(KINDS[name], cases, start, kept_cases(name))
        print(f"{name}: {', '.join(f'{count} {how}' for how, count in endings.most_common())}", flush=True)
        for how, case in wrong.items():
            place = FOUND / name / hashlib.sha256(case).hexdigest()[:16]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(case)
            print(f"--- {place}\n{how}", flush=True)
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
