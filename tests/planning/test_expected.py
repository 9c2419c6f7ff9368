"""What renders will take, by records whose times are known."""

from dataclasses import replace
from typing import Any

import pytest

from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.planning.expected import expected
from styletransfer.planning.plan import Plan, plan_manifest
from styletransfer.planning.speed import Basis, Speed
from styletransfer.records.records import Record, read_record, write_record
from styletransfer.renders.storing import store
from styletransfer.renders.summary import Outcome
from styletransfer.transfer.report import ScaleReport
from tests.studio import Studio, plan_one, pretend_rendered


def done(studio: Studio, s_per_px: float = 1e-3, **changes: Any) -> Record:
    """The pair `a--b` as if an iteration had taken so long per px at each of its scales, 23x17 and 32x24 px."""
    manifest = studio.simple()
    scales = tuple(
        ScaleReport(px, width, height, count, count * width * height * s_per_px)
        for px, width, height, count in ((23, 23, 17, 3), (32, 32, 24, 2))
    )
    record = store(replace(pretend_rendered(plan_one(manifest)), scales=scales, seconds=1.0))
    record = record.model_copy(update=changes)
    write_record(studio.url("out/demo/a--b.json"), record)
    assert read_record(studio.url("out/demo/a--b.json")) == record
    return record


def plan_with(studio: Studio, **settings: Any) -> Plan:
    """Of `a--b`, and of `c`, which is not done yet and has these settings."""
    pairs: list[dict[str, Any]] = [
        {"content": "in/a.png", "style": "in/b.png"},
        {"id": "c", "content": "in/a.png", "style": "in/b.png", "settings": settings},
    ]
    return plan_manifest(studio.manifest(*pairs))


def test_a_pair_of_the_same_work_takes_as_long(studio):
    done(studio)
    found = expected(plan_with(studio, seed=1))
    assert found.seconds == {"c": pytest.approx((3 * 23 * 17 + 2 * 32 * 24) * 1e-3)}
    assert (found.devices, found.pictures) == (("cpu",), 1)


def test_the_summary_has_it_before_the_render_and_beside_its_time(studio):
    done(studio)
    plan = plan_with(studio, seed=1)
    sheet, told = ContactSheet(plan), expected(plan).seconds["c"]
    assert [pair.expected_seconds for pair in sheet.write({}).pairs] == [None, told]
    record = store(pretend_rendered(plan.pairs[1]))
    (_, pair) = sheet.write({"c": Outcome("done", record=record)}).pairs
    assert (pair.seconds, pair.expected_seconds) == (record.seconds, told)


@pytest.mark.parametrize("end_scale", [30, 64])
def test_other_sizes_go_by_their_pixels(studio, end_scale):
    done(studio)
    plan = plan_with(studio, end_scale=end_scale)
    assert expected(plan).seconds["c"] == pytest.approx(plan.pairs[1].work.total * 1e-3)


def test_a_share_of_a_device_counts_as_much_of_a_slot(studio):
    done(studio, share=0.5)
    plan = plan_with(studio, seed=1)
    assert expected(plan).seconds["c"] == pytest.approx(plan.pairs[1].work.total * 0.5e-3)


@pytest.mark.parametrize("settings", [{"optimizer": "lbfgs"}, {"style_layers": {"relu2_1": 1}}])
def test_nothing_is_said_of_other_kinds_of_renders(studio, settings):
    done(studio)
    assert expected(plan_with(studio, **settings)).seconds == {}


def test_nothing_is_said_before_a_picture_is_done(studio):
    studio.simple()
    found = expected(plan_with(studio))
    assert (found.seconds, found.bytes) == ({}, None)


def test_records_of_devices_that_rendered_last_count(studio):
    record = done(studio)
    slower = done(studio, 1e-2, devices=("gpu",), id="c", finished=record.finished.replace(year=2001))
    write_record(studio.url("out/demo/c.json"), slower)
    write_record(studio.url("out/demo/a--b.json"), record)
    plan = plan_with(studio, seed=1)
    assert expected(plan).seconds["c"] == pytest.approx(plan.pairs[1].work.total * 1e-3)


def test_files_are_as_large_per_px_as_those_of_their_format(studio):
    record = done(studio)
    found = expected(plan_with(studio, end_scale=64))
    assert found.bytes == pytest.approx(record.output.size * 4, rel=0.01)


def of_one_optimizer(settings: Any) -> Basis | None:
    return Basis(Speed(0.0, 1e-2), "measured here") if settings.optimizer == "adam" else None


def test_without_records_it_goes_by_the_speed_of_a_device(studio):
    studio.simple()
    plan = plan_with(studio, optimizer="lbfgs")
    found = expected(plan, of_one_optimizer)
    assert found.seconds == {"a--b": pytest.approx(plan.pairs[0].work.total * 1e-2)}
    assert found.sources == {"a--b": "measured here"}


def test_records_come_before_speeds(studio):
    done(studio)
    found = expected(plan_with(studio, seed=1), of_one_optimizer)
    assert found.sources == {}
    assert found.seconds["c"] == pytest.approx((3 * 23 * 17 + 2 * 32 * 24) * 1e-3)


def test_the_summary_has_what_a_speed_tells(studio):
    studio.simple()
    sheet = ContactSheet(plan_with(studio, optimizer="lbfgs"), speed_of=of_one_optimizer)
    told = [pair.expected_seconds for pair in sheet.write({}).pairs]
    assert told == [pytest.approx((3 * 23 * 17 + 2 * 32 * 24) * 1e-2), None]


def test_regions_take_their_time(studio):
    studio.simple()
    studio.picture("in/mask.png", 3)
    styles = [{"image": "in/b.png", "region": "in/mask.png"}, {"image": "in/a.png"}]
    plan = plan_manifest(studio.manifest({"id": "two", "content": "in/a.png", "styles": styles}))
    assert plan.faults == ()
    found = expected(plan, lambda _: Basis(Speed(1.0, 0.0), "measured here"))
    assert found.seconds == {"two": pytest.approx(2 * (3 + 2))}
