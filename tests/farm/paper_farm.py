"""A farm on paper: render runs that end as a test says, with a real storage. In place of Prefect, for drivers."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

from flows.farm.driver.reconciler import Reconciler
from flows.farm.driver.render_runs import RenderRequest, RenderRun
from flows.farm.driver.stored_results import StoredResults
from flows.farm.live_workers import LiveWorker
from flows.farm.names import LOST_MESSAGE, RENDER_POOLS, Needs
from flows.farm.pair_notes import PairNote, delete_note, write_note
from styletransfer.errors import StorageError
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import now
from styletransfer.renders.previews import preview_plan
from styletransfer.renders.storing import store
from tests.studio import pretend_previewed, pretend_rendered

ONE = Needs(1)


class PaperFarm:
    """What all drivers share: runs, workers, and the clock."""

    def __init__(self, manifest, slots=1):
        self.manifest = manifest
        self.slots, self.tags = {1: slots, 2: 0}, frozenset[str]()
        self.share, self.containers = 1, False
        self.clock = 0.0
        self.runs = {}
        self.attempts = {}
        self.rendered = []
        self.priorities = []
        self.beating = set()
        self._numbers = count(1)

    def driver(self, submission="night", *, force_before=None, only=(), until=None, priority=None, preview=None):
        """A driver that has planned and not begun."""
        plan = plan_manifest(self.manifest, only=only, force=force_before is not None)
        if preview is not None:
            plan = preview_plan(plan, preview)
        request = RenderRequest("", submission, plan.places, force_before, until=until, priority=priority)
        began = force_before or now() - timedelta(hours=1)
        runs = PaperRuns(self, submission)
        return Reconciler(plan, runs, StoredResults(plan, force_before), request, began, lambda: self.clock)  # type: ignore[arg-type]

    def live(self, phase=None):
        return [run for run in self.runs.values() if run.live and phase in (None, run.phase)]

    def submit(self, submission, pairs, needs=ONE):
        run = RenderRun(f"run-{next(self._numbers)}", "demo", "waiting", tuple(pairs), submission, needs)
        self.runs[run.id] = run
        return run

    def become(self, run, phase, message=""):
        self.runs[run.id] = replace(self.runs[run.id], phase=phase, message=message, since=now())

    # What a render run does

    def note(self, run, pair, state, **options):
        attempt = self.attempts.get((run.id, pair), 1)
        plain = {"fingerprint": None, "submission": run.submission, "run": run.id, "host": "h", "since": now()}
        write_note(self.places, PairNote(pair=pair, state=state, attempt=attempt, **plain, **options))

    def finish(self, run, *pairs):
        """The pairs are rendered."""
        planned = {each.id: each for each in plan_manifest(self.manifest, force=True).pairs}
        for pair in pairs:
            assert pair in run.pairs
            self.rendered.append(pair)
            store(pretend_rendered(planned[pair]), attempts=self.attempts.get((run.id, pair), 1))
            delete_note(self.places, pair)

    def preview(self, run, px):
        """The pairs' first scales are rendered, and that was all that was asked for."""
        self.become(run, "running")
        self.rendered += [record.id for record in pretend_previewed(self.manifest, px, run.pairs)]
        self.become(run, "completed", "held")

    def complete(self, run):
        self.become(run, "running")
        self.finish(run, *run.pairs)
        self.become(run, "completed", "done")

    def crash(self, run, pair, message="exited with status code: -9"):
        """Killed while it renders the pair."""
        self.become(run, "running")
        self.note(run, pair, "rendering")
        self.become(run, "crashed", message)

    def lose(self, run, pair):
        self.crash(run, pair, LOST_MESSAGE)

    @property
    def places(self):
        return plan_manifest(self.manifest).places


class PaperRuns:
    """The render runs as one driver sees them, as `driver.render_runs.RenderRuns`. `away`: nobody answers."""

    def __init__(self, farm, submission):
        self.farm, self.submission = farm, submission
        self.away = False

    def _ask(self):
        if self.away:
            raise StorageError("the server is away", transient=True)

    def live(self):
        self._ask()
        return self.farm.live()

    def read(self, run_ids):
        self._ask()
        return {run_id: self.farm.runs[run_id] for run_id in run_ids if run_id in self.farm.runs}

    def slots_in_service(self):
        self._ask()
        return [
            LiveWorker(f"h-slot{number}", RENDER_POOLS[gpus], self.farm.tags, self.farm.share, self.farm.containers)
            for gpus, count in self.farm.slots.items()
            for number in range(count)
        ]

    def beats_since(self, run_id, moment):
        return run_id in self.farm.beating

    def submit(self, group, attempts):
        self._ask()
        self.farm.priorities.append(group.priority)
        run = self.farm.submit(self.submission, group.ids, group.needs)
        self.farm.attempts |= {(run.id, pair): attempt for pair, attempt in attempts.items()}
        return run

    def cancel(self, run):
        self.farm.become(run, "cancelled" if run.phase == "waiting" else "cancelling")

    def take_back(self, run, reason):
        self.farm.become(run, "held", reason)

    def give_up(self, run, reason):
        self.farm.become(run, "crashed", reason)

    def bring_back(self, run):
        self.farm.become(run, "running")


def states(drive):
    """How the pairs of a driver stand, by id."""
    return {pair: outcome.state for pair, outcome in drive.outcomes.items()}


def only(runs):
    """The one that there is."""
    (run,) = runs
    return run
