"""What a submission has done already, when another driver looked after it: found out again from storage."""

from __future__ import annotations

from datetime import datetime

from flows.farm.driver.pair_states import PairStates
from flows.farm.driver.render_runs import RenderRuns
from flows.farm.driver.stored_results import StoredResults


def recover(pairs: PairStates, results: StoredResults, runs: RenderRuns, submission: str, began: datetime) -> None:
    """Settle what is done or failed since the submission began; a former driver's runs are left to be judged."""
    for planned in pairs.plan.pairs:
        record = planned.record
        if record is not None and results.is_done(planned.id, record) and record.finished >= began:
            pairs.done(planned.id, record)
    ours = [note for note in results.all_notes().values() if note.submission == submission]
    former = runs.read({note.run for note in ours if pairs.board.is_open(note.pair)})
    for run in former.values():
        pairs.board.take(run.id, run.pairs)  # if it is over, it is judged like any other
    for note in ours:
        if note.is_failed and pairs.board.is_open(note.pair):
            pairs.failed(note)
