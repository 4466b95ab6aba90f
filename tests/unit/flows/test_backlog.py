"""After an outage hours of captures come at once, in any order: each is judged, in the order of its own time."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RefusedError, RetryError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows import streams
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.streams import LATENESS, view_stream
from sagewatch.flows.tick import tick
from sagewatch.flows.uncounted import PATIENCE
from sagewatch.observability import get_logger
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.unit.flows.captures import draw_attacked, draw_clean, put_files
from tests.unit.flows.worlds import MONITORS, NOW, build_world

STREAM = Stream("signs", "AllTraffic")
WATCHED = MONITORS.replace("detectors: {", "detectors: {no-data: {after: 20m}, ")
OUTAGE = timedelta(hours=3)
MINUTE = timedelta(minutes=1)


def build_story(world):
    """Two hours of captures, one file each two minutes, with an attack in the second."""
    rng = random.Random(4)
    predictions = draw_clean(400, rng) + draw_attacked(60, rng) + draw_clean(140, rng)
    return put_files(world, predictions, NOW, every=timedelta(minutes=2))


def count(world, events):
    for event in events:
        handle(ingest_capture, event, world)


def keep(world, events):
    """Of the world's captures those alone of which these events tell: the others were never written."""
    keys = {event["detail"]["object"]["key"] for event in events}
    for bucket, key in list(world.objects.bodies):
        if key not in keys:
            del world.objects.bodies[bucket, key]
    return events


def tell(world):
    """What was found: identity, kind and whether it is over, in the order of the bus."""
    facts = [one for one in world.bus.events if one["detail-type"].startswith("Finding")]
    return [(one["detail"]["kind"], one["detail"]["finding_id"], one["detail-type"]) for one in facts]


def live(world, events):
    """Each file two minutes after it began, a tick a minute."""
    for event in events:
        for _ in range(2):
            world.now.move(MINUTE)
            tick(Ticked(world.now()), world)
        count(world, [event])


@pytest.mark.parametrize("seed", range(2))
def test_a_backlog_is_judged_in_the_order_of_its_own_time_whatever_order_it_comes_in(seed):
    straight, delayed = build_world(WATCHED), build_world(WATCHED)
    live(straight, build_story(straight))
    events = build_story(delayed)
    live(delayed, events[:15])
    delayed.now.move(OUTAGE)
    waiting = events[15:]
    random.Random(seed).shuffle(waiting)
    for at, event in enumerate(waiting):
        count(delayed, [event])
        if at % 10 == 0:
            delayed.now.move(MINUTE)
            tick(Ticked(delayed.now()), delayed)
    found = {name for kind, name, _ in tell(straight)}
    assert {kind for kind, _, _ in tell(straight)} == {"class-concentration"}
    # In a heap, a part of the files may look like an attack for a while; what holds in the end is the same.
    last = {name: state for _, name, state in tell(delayed)}
    assert found <= last.keys()
    assert {last[name] for name in last.keys() - found} <= {"Finding Cleared"}
    assert "no-data" not in {kind for kind, _, _ in tell(delayed)}
    one, other = view_stream(STREAM, straight).folded, view_stream(STREAM, delayed).folded
    assert other.late == ()
    assert other.traces == one.traces


def test_what_came_on_time_is_settled_by_the_clock_and_silence_is_told_as_ever():
    world = build_world(WATCHED)
    live(world, keep(world, build_story(world)[:20]))
    settled = world.state.load_checkpoint(STREAM)[0].since
    assert timedelta(0) < world.now() - settled <= LATENESS + 4 * MINUTE
    for _ in range(25):
        world.now.move(MINUTE)
        tick(Ticked(world.now()), world)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}


def test_silence_after_a_backlog_is_told_once_the_backlog_is_through():
    world = build_world(WATCHED)
    events = build_story(world)
    world.now.move(OUTAGE * 2)
    count(world, events)
    for _ in range(14):
        world.now.move(MINUTE)
        tick(Ticked(world.now()), world)
    assert "no-data" not in {kind for kind, _, _ in tell(world)}
    for _ in range(3):
        world.now.move(MINUTE)
        tick(Ticked(world.now()), world)
    assert {state for kind, _, state in tell(world) if kind == "no-data"} == {"Finding Raised"}


def test_a_tick_that_runs_before_the_first_file_of_a_backlog_tells_no_silence():
    world = build_world(WATCHED)
    events = build_story(world)
    live(world, events[:15])
    world.now.move(OUTAGE)
    pass_time(world, 14)
    assert tell(world) == []
    count(world, events[15:])
    pass_time(world, 10)
    assert {kind for kind, _, _ in tell(world)} == {"class-concentration"}


def test_a_record_of_a_clock_that_is_ahead_does_not_end_the_wait_for_captures():
    world = build_world(WATCHED)
    events = build_story(world)
    key = ("captures", events[14]["detail"]["object"]["key"])
    *lines, last = world.objects.bodies[key].decode().splitlines()
    record = json.loads(last)
    record["eventMetadata"]["inferenceTime"] = "2027-11-22T00:00:00Z"
    world.objects.bodies[key] = "".join(f"{line}\n" for line in [*lines, json.dumps(record)]).encode()
    live(world, events[:15])
    world.now.move(OUTAGE)
    pass_time(world, 14)
    assert tell(world) == []


@pytest.mark.parametrize("away", [timedelta(0), OUTAGE], ids=["we were there", "after our own outage"])
def test_captures_of_which_no_word_comes_are_waited_for_and_then_silence_is_told(away):
    world = build_world(WATCHED)
    live(world, build_story(world)[:15])
    world.now.move(away)
    counted_to, told_at = world.now() - away, None
    for _ in range(60):
        pass_time(world, 1)
        told_at = told_at or (world.now() if tell(world) else None)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}
    first_look = max(counted_to + away + MINUTE, counted_to + timedelta(minutes=19))
    assert timedelta(0) <= told_at - first_look - PATIENCE <= timedelta(minutes=2)


def test_a_damaged_row_of_the_wait_hides_no_silence():
    world = build_world(WATCHED)
    live(world, build_story(world)[:15])
    world.state.items.write([Write(Item("stream#signs#AllTraffic", "unread", b"{"), ANY_VERSION)])
    pass_time(world, 60)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}


def test_a_second_outage_of_ours_lets_the_captures_be_waited_for_anew():
    world = build_world(WATCHED)
    live(world, build_story(world)[:15])
    for _ in range(2):
        world.now.move(OUTAGE)
        pass_time(world, 10)
    assert tell(world) == []


def test_silence_is_told_at_once_after_our_own_outage_where_nothing_was_captured():
    world = build_world(WATCHED)
    live(world, keep(world, build_story(world)[:15]))
    world.now.move(OUTAGE)
    pass_time(world, 1)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}


def test_an_open_silence_is_neither_ended_nor_told_again_by_captures_that_wait():
    world = build_world(WATCHED)
    events = build_story(world)
    kept = dict(world.objects.bodies)
    live(world, keep(world, events[:15]))
    pass_time(world, 30)
    (raised,) = set(tell(world))
    world.objects.bodies.update(kept)
    world.now.move(OUTAGE)
    pass_time(world, 30)
    assert set(tell(world)) == {raised}


@pytest.mark.parametrize(
    "fault", [RefusedError("ListObjectsV2", "AccessDenied", "no"), RetryError("SlowDown")]
)
def test_silence_is_told_where_the_captures_cannot_be_listed(fault):
    world = build_world(WATCHED)
    live(world, build_story(world)[:15])

    def refuse(*_):
        raise fault

    world.objects.list_after = refuse
    world.now.move(OUTAGE)
    pass_time(world, 1)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}


def test_what_lies_beside_the_captures_and_what_others_capture_does_not_hide_silence():
    world = build_world(WATCHED)
    live(world, keep(world, build_story(world)[:15]))
    for name in ("signs/AllTraffic/notes.txt", "signs/Other/2026/11/21/13/00-00-000-x.jsonl", "signs2/a"):
        world.objects.bodies["captures", f"capture/{name}"] = b""
    world.now.move(OUTAGE)
    pass_time(world, 1)
    assert {(kind, state) for kind, _, state in tell(world)} == {("no-data", "Finding Raised")}


def pass_time(world, minutes, step=1):
    """Ticks, and the table's expiry."""
    for _ in range(0, minutes, step):
        world.now.move(MINUTE * step)
        for (pk, sk), row in list(world.state.items.rows.items()):
            if row.expires_at is not None and row.expires_at < world.now().timestamp():
                world.state.items.delete(pk, sk, row.version)
        tick(Ticked(world.now()), world)


def test_what_came_before_a_pause_is_settled_before_its_rows_expire():
    world = build_world()
    rng = random.Random(4)
    events = put_files(world, draw_clean(300, rng) + draw_attacked(60, rng), NOW, every=MINUTE)
    live(world, events)
    pass_time(world, 60)
    pass_time(world, 4 * 24 * 60, step=30)
    assert world.state.load_segments(STREAM, None) == []
    assert {state for _, _, state in tell(world)} == {"Finding Raised"}


def test_a_stream_of_ten_minutes_a_week_is_learned_and_judged():
    world = build_world()
    rng = random.Random(4)
    for week in range(3):
        drawn = draw_clean(100, rng) if week < 2 else draw_attacked(100, rng)
        live(world, put_files(world, drawn, world.now(), every=MINUTE, first=week * 100))
        pass_time(world, 30)
        pass_time(world, 7 * 24 * 60, step=180)
        assert world.state.load_segments(STREAM, None) == []
    assert {(kind, state) for kind, _, state in tell(world)} == {("class-concentration", "Finding Raised")}


def test_a_backlog_is_settled_by_the_clock_once_it_is_through():
    world = build_world(WATCHED)
    events = build_story(world)
    world.now.move(OUTAGE * 2)
    count(world, events)
    pass_time(world, int(LATENESS / MINUTE) + 1)
    assert (
        world.state.load_checkpoint(STREAM)[0].since == world.state.load_segments(STREAM, None)[-1].first_at
    )


def test_what_comes_when_later_captures_are_settled_is_counted_as_too_late_once_and_named(caplog):
    caplog.set_level("INFO", logger=get_logger().name)  # commands that ran before in this process are quieter
    world = build_world(WATCHED)
    first, second, third, *rest = build_story(world)
    count(world, [first])
    pass_time(world, 30)
    count(world, [third, third])
    pass_time(world, 30)
    assert [row for row in world.metrics.values if row[0] == "LateCaptures"] == []
    before = view_stream(STREAM, world).folded.traces
    count(world, [second, second])
    late = [row for row in world.metrics.values if row[0] == "LateCaptures"]
    assert late == [("LateCaptures", 1.0, "Count", (("Endpoint", "signs"), ("Variant", "AllTraffic")))]
    (said,) = [one for one in caplog.records if one.getMessage() == "capture_too_late"]
    assert (said.endpoint, said.variant, said.count) == ("signs", "AllTraffic", 10)
    assert view_stream(STREAM, world).folded.traces == before
    count(world, rest[:1])
    assert len([row for row in world.metrics.values if row[0] == "LateCaptures"]) == 1


def test_a_backlog_that_is_too_large_to_be_folded_at_once_is_judged_in_steps_and_to_the_same(monkeypatch):
    straight, delayed = build_world(WATCHED), build_world(WATCHED)
    live(straight, build_story(straight))
    monkeypatch.setattr(streams, "FOLDED_AT_ONCE", 200)
    events = build_story(delayed)
    delayed.now.move(OUTAGE * 2)
    random.Random(3).shuffle(events)
    count(delayed, events)
    assert delayed.state.load_checkpoint(STREAM)[0].since is None
    steps = []
    for _ in range(int(LATENESS / MINUTE) + 4):
        pass_time(delayed, 1)
        steps.append(delayed.state.load_checkpoint(STREAM)[0].since)
        # The silence of the hours since is told when the last step is done.
        assert ("no-data" in {kind for kind, _, _ in tell(delayed)}) == (steps[-1] == NOW + 118 * MINUTE)
    # Two hours of files, 20 of them at once.
    settled = sorted({one for one in steps if one is not None})
    assert settled == [NOW + 38 * MINUTE, NOW + 78 * MINUTE, NOW + 118 * MINUTE]
    one, other = view_stream(STREAM, straight).folded, view_stream(STREAM, delayed).folded
    assert other.traces == one.traces
    last = {name: state for _, name, state in tell(delayed)}
    assert {name for _, name, _ in tell(straight)} <= last.keys()
