"""How the pairs of one manifest stand with its driver: attempts, outcomes, the speed that finished ones show."""

from __future__ import annotations

from collections.abc import Collection

from flows.farm.driver.attempts import PairBoard
from flows.farm.driver.groups import Speed, needs_of
from flows.farm.live_workers import LiveWorker
from flows.farm.names import Needs, Place
from flows.farm.pair_notes import PairNote
from styletransfer.planning.plan import Plan
from styletransfer.records.records import Record
from styletransfer.renders.previews import outcome_of
from styletransfer.renders.summary import Outcome


class PairStates:
    """`outcomes`: how those pairs stand that are not as planned. `rendering`: the notes of those begun, by id.

    `slots`: those in service.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.planned = {planned.id: planned for planned in plan.pairs}
        self.slots: Collection[LiveWorker] = ()
        self.board = PairBoard((planned.id for planned in plan.having("queued")), self._places_for)
        self.outcomes: dict[str, Outcome] = {}
        self.rendering: dict[str, PairNote] = {}
        self.speed = Speed()
        self._in_containers: dict[Needs, bool] = {}

    def _places_for(self, pair: str) -> Collection[Place]:
        needs = needs_of(self.planned[pair])
        return [Place.of_worker(slot.name) for slot in self.slots if slot.has(needs)]

    def in_containers(self, needs: Needs) -> bool:
        """Whether runs with these needs begin in containers, as far as is known: their worker may be away."""
        if found := [slot.containers for slot in self.slots if slot.has(needs)]:
            self._in_containers[needs] = any(found)
        return self._in_containers.get(needs, False)

    def open(self) -> list[str]:
        """Pairs that have not come to their end."""
        return list(filter(self.board.is_open, self.board.standings))

    def done(self, pair: str, record: Record) -> None:
        self.speed.seen(self.planned[pair], record)
        self.settle(pair, outcome_of(record, record.attempts))

    def failed(self, note: PairNote) -> None:
        self.settle(note.pair, Outcome("failed", f"{note.reason} (on {note.place})", attempts=note.attempt))

    def settle(self, pair: str, outcome: Outcome) -> None:
        """The pair has come to its end."""
        state = "done" if outcome.is_preview else outcome.state
        assert state in ("done", "failed", "cancelled")
        self.board.settle(pair, state, outcome.reason or "")
        self.outcomes[pair] = outcome
        self.rendering.pop(pair, None)
