"""A farm without a server, processes or storage: what a driver decides for hundreds of pairs in simulated time."""

from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace

from flows.farm.driver.attempts import PAUSES_S
from flows.farm.driver.reconciler import Reconciler
from flows.farm.driver.render_runs import RenderRequest, RenderRun
from flows.farm.live_workers import LiveWorker
from flows.farm.names import RENDER_POOLS, Place
from flows.farm.pair_notes import PairNote
from flows.farm.workers.slot_health import SlotHealth
from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now
from styletransfer.settings import Settings

TICK_S = 15.0
"""Between two steps of the driver; also what the start of a run takes."""

PLACES = OutputPlaces("/out", "demo")


@dataclass
class SimulatedSlot:
    """`broken`: how its runs end (`crash`: of the process in mid-render, `device`: before, `mount`: each pair).

    `damaged`: the slot is fine, and all its pairs are not.
    """

    place: Place
    broken: str | None = None
    health: SlotHealth = field(default_factory=SlotHealth)
    out_until: float = 0.0
    run: str | None = None
    left: list[str] = field(default_factory=list)
    next_at: float = 0.0


class SimulatedFarm:
    """In place of a driver's render runs and its results, with the slots that render, `pair_s` for each pair.

    The pictures of pairs that are `missing` are nowhere.
    """

    def __init__(self, pairs, slots, pair_s=300.0, max_failed=None, missing=()):
        self.clock, self.pair_s = 0.0, pair_s
        self.slots, self.missing = slots, missing
        self.runs, self.done, self.notes_left = {}, {}, {}
        self._numbers, self._news = count(1), True
        planned = tuple(_planned(f"p{number}") for number in range(pairs))
        manifest = Manifest("demo", "/demo.yaml", "/out", WeightsSource("random"), (), max_failed=max_failed)
        plan = Plan(manifest, PLACES, planned, ())
        request = RenderRequest("", "night", PLACES)
        self.driver = Reconciler(plan, self, self, request, now(), lambda: self.clock)  # type: ignore[arg-type]

    def drive(self, most_s):
        """Until all is over, or for so long."""
        while not self.driver.over and self.clock < most_s:
            if self._news or self.clock % PAUSES_S[-1] == 0:
                self._news = False
                self.driver.step()
            self.clock += TICK_S
            for slot in self.slots:
                self._work(slot)
        return self.driver.outcomes

    # What slots do

    def _work(self, slot):
        if slot.run is None and self.clock >= slot.out_until:
            waiting = [run for run in self.runs.values() if run.phase == "waiting"]
            if waiting:
                self._begin(slot, waiting[0])
        while slot.run is not None and self.clock >= slot.next_at:
            self._finish_pair(slot)

    def _begin(self, slot, run):
        self._news = True
        self.runs[run.id] = replace(run, phase="running", place=slot.place)
        if slot.broken is None:
            self._begin_well(slot, run)
            return
        if slot.broken == "crash":
            self._note(slot, run.id, run.pairs[0], "rendering")
        for pair in run.pairs if slot.broken in ("mount", "damaged") else ():
            if slot.broken == "mount":
                self._note_missing(slot, run.id, pair)
            else:
                self._note(slot, run.id, pair, "failed", reason="damaged")
        phase = "crashed" if slot.broken == "crash" else "failed"
        self._end(slot, run.id, phase, fruitful=slot.broken == "damaged")

    def _begin_well(self, slot, run):
        for pair in self.missing:
            if pair in run.pairs:
                self._note_missing(slot, run.id, pair)
        slot.left = [pair for pair in run.pairs if pair not in self.missing]
        if not slot.left:
            self._end(slot, run.id, "failed", fruitful=False)
            return
        slot.run, slot.next_at = run.id, self.clock + self.pair_s
        self._note(slot, run.id, slot.left[0], "rendering")

    def _note_missing(self, slot, run, pair):
        self._note(slot, run, pair, "failed", reason="there is no such file", of_host=True)

    def _finish_pair(self, slot):
        pair, self._news = slot.left.pop(0), True
        self.notes_left.pop(pair, None)
        self.done[pair] = SimpleNamespace(seconds=self.pair_s, state="done", slot_seconds=self.pair_s, attempts=1)
        if slot.left:
            slot.next_at += self.pair_s
            self._note(slot, slot.run, slot.left[0], "rendering")
        else:
            self._end(slot, slot.run, "completed", fruitful=True)
            slot.run = None

    def _note(self, slot, run, pair, state, **options):
        place = {"host": slot.place.host, "slot": slot.place.slot, "since": now()}
        self.notes_left[pair] = PairNote(
            pair=pair, fingerprint=pair, submission="night", run=run, state=state, **place, **options
        )

    def _end(self, slot, run, phase, *, fruitful):
        self.runs[run] = replace(self.runs[run], phase=phase, message="broken")
        slot.out_until = self.clock + (slot.health.ended(fruitful=fruitful) or 0.0)

    # What a driver asks

    def live(self):
        return [run for run in self.runs.values() if run.live]

    def read(self, run_ids):
        return {run_id: self.runs[run_id] for run_id in run_ids}

    def slots_in_service(self):
        there = [slot.place for slot in self.slots if self.clock >= slot.out_until]
        return [LiveWorker(f"{place.host}-{place.slot}", RENDER_POOLS[1]) for place in there]

    def submit(self, group, attempts):
        run = RenderRun(f"run-{next(self._numbers)}", "demo", "waiting", group.ids, "night", group.needs)
        self.runs[run.id] = run
        return run

    def cancel(self, run):
        self.runs[run.id] = replace(self.runs[run.id], phase="cancelled")

    def records(self, pairs):
        return {pair: self.done[pair] for pair in pairs if pair in self.done}

    def notes(self, pairs):
        return {pair: self.notes_left[pair] for pair in pairs if pair in self.notes_left}

    def changed(self, pairs):
        return {}

    def all_notes(self):
        return {}


def _planned(name):
    settings = Settings(end_scale=512, min_scale=512)
    pair = Pair(name, "c.png", (PairStyle("s.png"),), settings, "png", None, "normal", "pairs[0]")
    return _SimulatedPair(pair, PLACES, size=(512, 512), scales=(512,), fingerprint=name)


class _SimulatedPair(PlannedPair):
    work = SimpleNamespace(total=1e9)  # type: ignore[assignment]
