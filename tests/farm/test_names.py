"""Names and periods that the parts of the farm agree on."""

import subprocess
import sys
from typing import get_args

from flows.farm import names
from flows.server import environment
from styletransfer.manifest.schema import Priority
from styletransfer.records.output_places import OutputPlaces


def test_every_priority_has_a_queue_before_prefects_own():
    assert set(names.QUEUES) == set(get_args(Priority))
    assert sorted(names.QUEUES, key=lambda name: names.QUEUES[name]) == ["high", "normal", "low"]
    assert max(names.QUEUES.values()) < names.DEFAULT_QUEUE_RANK


def test_a_run_is_lost_after_three_heartbeats_at_least():
    """Fewer, and Prefect's automation would crash healthy runs."""
    assert 3 * environment.HEARTBEAT_S <= names.LOST_AFTER_S
    assert environment.farm_environment()["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(environment.HEARTBEAT_S)


def test_an_output_has_one_tag_whatever_the_pairs():
    harbour = names.output_tag(OutputPlaces("s3://studio/renders", "harbour"))
    assert harbour == names.output_tag(OutputPlaces("s3://studio/renders", "harbour"))
    assert harbour != names.output_tag(OutputPlaces("s3://studio/renders", "boats"))
    assert len(harbour) == len("output:") + 12


def test_a_style_is_tagged_by_its_pictures_names():
    assert names.style_tag(["s3://studio/styles/wave.v2.png", "/styles/ink"]) == "style:wave.v2+ink"


def test_what_a_run_requires_is_known_from_its_tags():
    tags = ["nst", "style:wave", *names.requirement_tags({"a100", "80gb"})]
    assert tags[2:] == ["requires:80gb", "requires:a100"]
    assert names.required_by(tags) == {"a100", "80gb"}
    assert names.required_by(["nst"]) == frozenset()


def test_what_is_needed_is_told():
    assert str(names.Needs(1)) == "nst-gpu1"
    assert str(names.Needs(2, frozenset({"a100"}))) == "nst-gpu2 with the tag a100"
    assert str(names.Needs(1, frozenset({"a100", "80gb"}))) == "nst-gpu1 with the tags 80gb, a100"


def test_names_do_not_wait_for_prefect():
    code = "import sys, flows.farm.names; sys.exit('prefect' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
