"""From capture files to findings: each object counts once, in whatever order, however often it is told of."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import ConflictError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.streams import view_stream
from sagewatch.flows.tick import tick
from tests.unit.flows.captures import draw_attacked, draw_clean, put_file, put_files
from tests.unit.flows.worlds import NOW, build_world

STREAM = Stream("signs", "AllTraffic")


def findings(world, kind="Finding Raised"):
    return [event["detail"] for event in world.bus.events if event["detail-type"] == kind]


def ingest(world, events):
    for event in events:
        world.now.now = max(world.now.now, NOW + timedelta(seconds=len(world.state._items.rows) / 100))
        handle(ingest_capture, event, world)


def day(world, seed=1, clean=300, attacked=60, after=200):
    rng = random.Random(seed)
    predictions = draw_clean(clean, rng) + draw_attacked(attacked, rng) + draw_clean(after, rng)
    return put_files(world, predictions, NOW)


def test_clean_traffic_raises_nothing():
    world = build_world()
    ingest(world, put_files(world, draw_clean(1500, random.Random(3)), NOW))
    assert findings(world) == []


def test_an_attack_is_found_within_40_predictions_and_clears_when_it_is_over():
    world = build_world()
    ingest(world, day(world))
    raised, cleared = findings(world), findings(world, "Finding Cleared")
    assert [finding["subject"] for finding in raised] == ["14"]
    assert [finding["finding_id"] for finding in cleared] == [raised[0]["finding_id"]]
    assert raised[0]["window"]["predictions"] <= 40
    assert raised[0]["samples"][0]["bucket"] == "captures"


def test_an_object_told_of_many_times_counts_once():
    world = build_world()
    events = put_files(world, draw_clean(50, random.Random(1)), NOW)
    ingest(world, events * 3)
    assert sum(segment.predictions for segment in world.state.load_segments(STREAM, None)) == 50
    counted = [value for name, value, _, _ in world.metrics.values if name == "Predictions"]
    assert sum(counted) == 50


@pytest.mark.parametrize("seed", range(5))
def test_files_that_are_doubled_and_come_in_another_order_find_the_same(seed):
    straight, shaken = build_world(), build_world()
    ingest(straight, day(straight))
    events = day(shaken)
    # Learned first, as it is after a deployment; then everything twice, each up to twelve files out of place.
    rest = [event for event in events[10:] for _ in range(2)]
    rng = random.Random(seed)
    ingest(shaken, events[:10])
    ingest(shaken, [rest[n] for n in sorted(range(len(rest)), key=lambda n: n + rng.uniform(0, 24))])
    assert {f["finding_id"] for f in findings(shaken)} == {f["finding_id"] for f in findings(straight)}
    last = {f["finding_id"]: f for f in findings(shaken, "Finding Cleared")}
    assert last.keys() == {f["finding_id"] for f in findings(straight, "Finding Cleared")}
    shaken_view, straight_view = view_stream(STREAM, shaken), view_stream(STREAM, straight)
    assert shaken_view.folded.traces == straight_view.folded.traces


def test_the_same_class_names_and_states_survive_the_checkpoint():
    world = build_world()
    rng = random.Random(5)
    ingest(world, put_files(world, draw_clean(300, rng), NOW))
    world.now.move(timedelta(hours=1))
    ingest(world, put_files(world, draw_clean(100, rng), NOW + timedelta(hours=1), first=100))
    checkpoint, _ = world.state.load_checkpoint(STREAM)
    assert checkpoint.since is not None
    assert checkpoint.since >= NOW
    ingest(world, put_files(world, draw_attacked(60, rng), NOW + timedelta(hours=1, minutes=2), first=200))
    assert [finding["subject"] for finding in findings(world)] == ["14"]


def test_bad_lines_are_counted_and_quarantined_and_the_rest_counts():
    world = build_world()
    ingest(world, [put_file(world, draw_clean(20, random.Random(1)), NOW, spoil=(3, 7))])
    (key,) = world.objects.list_objects("evidence", "quarantine/")
    report = json.loads(world.objects.bodies["evidence", key])
    assert [(row["line"], row["reason"]) for row in report["lines"]] == [(4, "not_json"), (8, "not_json")]
    assert "tru" not in json.dumps(report["lines"][0]["object"])
    assert ("Predictions", 18.0) in [(name, value) for name, value, _, _ in world.metrics.values]


def test_lines_that_cannot_be_read_are_told_of_on_the_bus_without_what_is_in_them():
    world = build_world()
    event = put_file(world, draw_clean(20, random.Random(1)), NOW, spoil=(3, 7))
    ingest(world, [event])
    (told,) = findings(world, "Capture Rejected")
    assert told["source"] == f"s3://captures/{event['detail']['object']['key']}"
    assert told["report"].startswith("s3://evidence/quarantine/signs/")
    assert (told["predictions"], told["rejected"], told["reasons"]) == (18, 2, {"not_json": 2})
    assert (told["endpoint"], told["account"], told["region"]) == ("signs", "123456789012", "eu-west-1")
    assert "captureData" not in json.dumps(told)


@pytest.mark.parametrize("port", ["objects.put_object", "bus.publish", "state.put_segment"])
def test_rejected_lines_are_kept_and_told_though_the_function_dies_in_between(port, monkeypatch):
    world = build_world()
    event = put_file(world, draw_clean(20, random.Random(1)), NOW, spoil=(3,))
    owner, name = getattr(world, port.split(".")[0]), port.split(".")[1]
    real = getattr(owner, name)

    def die(*arguments):
        real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Killed):
            handle(ingest_capture, event, world)
    handle(ingest_capture, event, world)
    assert {told["source"] for told in findings(world, "Capture Rejected")} == {
        f"s3://captures/{event['detail']['object']['key']}"
    }
    assert len(world.objects.list_objects("evidence", "quarantine/")) == 1
    assert world.state.list_streams("signs") == [STREAM]
    assert sum(one.predictions for one in world.state.load_segments(STREAM, None)) == 19


def test_a_file_of_nothing_but_noise_is_counted_and_kept_from_nobody():
    world = build_world()
    event = put_file(world, [], NOW)
    world.objects.bodies["captures", event["detail"]["object"]["key"]] = b"\x00\xff\xfe" * 1000
    ingest(world, [event])
    assert ("RejectedLines", 1.0) in [(name, value) for name, value, _, _ in world.metrics.values]


def test_endpoints_that_nobody_watches_are_left_alone():
    world = build_world()
    event = put_file(world, ["1"], NOW)
    event["detail"]["object"]["key"] = event["detail"]["object"]["key"].replace("signs", "others")
    ingest(world, [event])
    assert world.state._items.rows == {}


def test_an_object_that_is_gone_is_no_error():
    world = build_world()
    event = put_file(world, ["1"], NOW)
    world.objects.bodies.clear()
    ingest(world, [event])
    assert world.state.load_segments(STREAM, None) == []


class Killed(BaseException):
    """The function is gone."""


def test_killed_after_any_write_and_told_again_it_finds_and_counts_the_same():
    whole = build_world()
    ingest(whole, day(whole, clean=200, attacked=30, after=0))
    wanted = {finding["finding_id"] for finding in findings(whole)}
    assert wanted
    for limit in range(60, 110, 7):
        world = build_world()
        events = day(world, clean=200, attacked=30, after=0)
        count = 0
        items, write = world.state._items, world.state._items.write

        def dying(writes, limit=limit, write=write):
            nonlocal count
            write(writes)
            count += 1
            if count == limit:
                raise Killed

        items.write = dying
        for event in events:
            try:
                handle(ingest_capture, event, world)
            except Killed:
                handle(ingest_capture, event, world)
        assert {finding["finding_id"] for finding in findings(world)} == wanted
        assert sum(segment.predictions for segment in world.state.load_segments(STREAM, None)) == 230


def test_a_checkpoint_that_somebody_else_moved_is_loaded_again():
    world = build_world()
    save, crossed = world.state.save_checkpoint, []

    def cross(stream, checkpoint, expect):
        if not crossed:
            crossed.append(True)
            raise ConflictError("item_was_changed")
        save(stream, checkpoint, expect)

    world.state.save_checkpoint = cross
    ingest(world, put_files(world, draw_clean(10, random.Random(1)), NOW))
    assert world.state.load_checkpoint(STREAM)[1] == 1


def test_captures_that_stay_away_are_noticed_by_the_tick_and_cleared_by_the_next_file():
    monitors = (
        "version: 1\nendpoints: {signs: {detectors: {no-data: {after: 30m}}}}\nreceivers: {a: {mail: {}}}"
    )
    world = build_world(monitors)
    ingest(world, put_files(world, draw_clean(50, random.Random(1)), NOW))
    world.now.now = NOW + timedelta(minutes=20)
    tick(Ticked(world.now()), world)
    assert findings(world) == []
    world.now.now = NOW + timedelta(minutes=40)
    tick(Ticked(world.now()), world)
    tick(Ticked(world.now()), world)
    assert [finding["kind"] for finding in findings(world)] == ["no-data"]
    ingest(world, [put_file(world, ["1"], NOW + timedelta(minutes=40), number=99)])
    assert [finding["kind"] for finding in findings(world, "Finding Cleared")] == ["no-data"]
