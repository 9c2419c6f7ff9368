"""What keeps a driver from submitting the same pairs twice: keys of their groups. What it does with live runs."""

from dataclasses import replace

from prefect import flow
from prefect.states import Completed, Running, Suspended

from flows.farm import names
from flows.farm.driver.render_runs import RenderRequest, RenderRuns, group_key
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.settings import Settings
from tests.farm.commands import unique

PLACES = OutputPlaces("/out", "demo")


def planned(name, fingerprint="a1"):
    pair = Pair(name, "c.png", (PairStyle("s.png"),), Settings(), "png", None, "normal", "pairs[0]")
    return PlannedPair(pair, PLACES, fingerprint=fingerprint)


def requiring(*tags):
    """The pair `p`, for slots with these tags."""
    found = planned("p")
    return replace(found, pair=replace(found.pair, requires=frozenset(tags)))


def test_the_same_pictures_at_the_same_place_have_the_same_key_in_any_order():
    one, two = planned("p"), planned("q", "b2")
    assert group_key(PLACES, [one, two], 1) == group_key(PLACES, [two, one], 1)


def test_pairs_of_other_names_have_another_key_though_their_pictures_are_the_same():
    """Else only one of them would be submitted, and the others wait for its end."""
    assert group_key(PLACES, [planned("p")], 1) != group_key(PLACES, [planned("q")], 1)


def test_other_pictures_attempts_and_places_have_other_keys():
    keys = {
        group_key(PLACES, [planned("p")], 1),
        group_key(PLACES, [planned("p", "b2")], 1),
        group_key(PLACES, [planned("p")], 2),
        group_key(OutputPlaces("/elsewhere", "demo"), [planned("p")], 1),
        group_key(PLACES, [requiring("a100")], 1),
        group_key(PLACES, [requiring("a100", "80gb")], 1),
        group_key(PLACES, [replace(planned("p"), scales=(128,), whole=(128, 181, 256))], 1),
        group_key(PLACES, [replace(planned("p"), scales=(128, 181), whole=(128, 181, 256))], 1),
    }
    assert len(keys) == 8


@flow
def some_flow() -> None:
    """Stands for a render run, which is never begun here."""


def test_a_render_run_that_is_suspended_goes_on_and_says_what_to_do(client):
    places = OutputPlaces("/out", unique("night"))
    run = client.create_flow_run(some_flow, tags=[names.RENDER_TAG, names.output_tag(places)])
    client.set_flow_run_state(run.id, Running(), force=True)
    client.set_flow_run_state(run.id, Suspended(), force=True)
    (seen,) = RenderRuns(client, RenderRequest("demo.yaml", "submission", places)).live()
    assert (seen.id, seen.phase) == (str(run.id), "running")
    state = client.read_flow_run(run.id).state
    way = f"pause its manifest: styletransfer pause {places.manifest_name}"
    assert (state.is_running(), state.message) == (True, f"a render run can't be suspended; {way}")
    client.set_flow_run_state(run.id, Completed(), force=True)
