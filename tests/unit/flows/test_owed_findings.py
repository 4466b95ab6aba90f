"""Two workers that cross, and one that dies: whatever the order of their calls, the bus was told what is stored."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from itertools import product
from threading import Semaphore, Thread

import msgspec
import pytest

from sagewatch.errors import RetryError
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.ingest_report import judge_and_tell
from sagewatch.flows.lost_runs import notice_lost_runs
from sagewatch.memory.world import MemoryBus
from sagewatch.monitoring.policy import name_schedule
from sagewatch.quality.violations import Violation
from sagewatch.report.failure import Failure
from sagewatch.report.run import Run
from sagewatch.state import State
from tests.unit.flows.worlds import NOW, build_world

SCHEDULE = "hourly"
GOOD = []
BAD = [Violation(feature_name="age", constraint_check_type="baseline_drift_check", description="")]
FAILED = Failure("no_data", "")


def run_of(hour):
    end = NOW + timedelta(hours=hour)
    return Run(
        job=f"job-{hour}", kind="data-quality", schedule=SCHEDULE, endpoint="signs", variant="AllTraffic",
        status="Completed", message="", report_uri=f"s3://captures/reports/{hour}", start=end - timedelta(hours=1),
        end=end, ended_at=end + timedelta(minutes=15),
    )  # fmt: skip


def ingest(hour, outcome, world):
    retry_conflicts(lambda: judge_and_tell(run_of(hour), outcome, world))


class DiedError(Exception):
    """The function was ended."""


class Gate:
    """Lets one worker through, a call at a time; at its last call it dies."""

    def __init__(self, dies_at=None):
        self.left, self.go, self.waits, self.is_done = dies_at, Semaphore(0), Semaphore(0), False

    def __call__(self):
        self.waits.release()
        self.go.acquire()
        if self.left == 0:
            raise DiedError
        self.left = None if self.left is None else self.left - 1

    def step(self):
        self.go.release()
        self.waits.acquire()


class Gated:
    """A port, each of whose calls waits for its turn."""

    def __init__(self, port, gate):
        self._port, self._gate = port, gate

    def __getattr__(self, name):
        def call(*given):
            self._gate()
            return getattr(self._port, name)(*given)

        return call


class Worker:
    """One function that judges one run, in a thread of its own."""

    def __init__(self, work, world, dies_at=None):
        self.gate = Gate(dies_at)
        gated = dataclasses.replace(
            world, state=State(Gated(world.state.items, self.gate)), bus=Gated(world.bus, self.gate)
        )
        self._thread = Thread(target=self._run, args=(work, gated), daemon=True)
        self._thread.start()
        self.gate.waits.acquire()

    def _run(self, work, world):
        try:
            ingest(*work, world)
        except DiedError:
            pass
        finally:
            self.gate.is_done = True
            self.gate.waits.release()


def cross(works, world, order, dies_at=None):
    """Both at once, their calls in this order; the first dies at that call."""
    workers = [Worker(works[0], world, dies_at), Worker(works[1], world)]
    turns = list(order)
    while any(not worker.gate.is_done for worker in workers):
        worker = workers[turns.pop(0)] if turns else workers[workers[0].gate.is_done]
        if not worker.gate.is_done:
            worker.gate.step()


def list_told(world):
    """The findings that were told and whose end was not: hearers forget the order, and remember an end."""
    names = {"Finding Raised": set(), "Finding Cleared": set()}
    for event in world.bus.events:
        names[event["detail-type"]].add(event["detail"]["finding_id"])
    return names["Finding Raised"] - names["Finding Cleared"]


STORIES = {
    "bad, then clean": ([], (0, BAD), (1, GOOD)),
    "clean, then bad anew": ([(0, BAD)], (1, GOOD), (2, BAD)),
    "bad twice": ([], (0, BAD), (1, BAD)),
    "one event that came twice": ([], (0, BAD), (0, BAD)),
    "clean, then failed": ([(0, BAD)], (1, GOOD), (2, FAILED)),
    "failed, then clean": ([(0, BAD)], (1, FAILED), (2, GOOD)),
}


@pytest.mark.parametrize(
    ("length", "deaths"), [(7, [None]), (4, range(6))], ids=["both end", "one dies and comes again"]
)
@pytest.mark.parametrize(("before", "first", "second"), STORIES.values(), ids=STORIES)
def test_in_whatever_order_two_workers_cross_the_bus_is_told_what_is_stored(
    before, first, second, length, deaths
):
    expected = build_world()
    for work in (*before, first, second):
        ingest(*work, expected)
    wanted = expected.state.load_schedule(SCHEDULE).open.keys()
    for works, dies_at in product([(first, second), (second, first)], deaths):
        for order in product((0, 1), repeat=length):
            world = build_world()
            for work in before:
                ingest(*work, world)
            cross(works, world, order, dies_at)
            if dies_at is not None:
                ingest(*works[0], world)
            state = world.state.load_schedule(SCHEDULE)
            open_ = {finding.finding_id for finding in state.open.values()}
            assert (list_told(world), state.open.keys(), state.owed) == (open_, wanted, ())


MONITORS = """
version: 1
endpoints:
  signs: {quality: {every: 1h, scheduler: eventbridge, baseline: "s3://captures/baseline"}}
receivers:
  ml-on-call: {mail: {}}
"""


class ThrottledBus(MemoryBus):
    """A bus that takes nothing for now."""

    def publish(self, facts, at):
        raise RetryError("throttled")


def test_a_schedule_that_stopped_is_told_though_the_bus_did_not_take_it_at_first():
    """That it is known keeps it from being judged again, and no run of it comes any more."""
    world = build_world(MONITORS)
    quality, schedule = world.monitors.endpoints["signs"].quality, name_schedule("signs")
    notice_lost_runs("signs", quality, world)
    world.now.move(timedelta(hours=5))
    notice_lost_runs("signs", quality, dataclasses.replace(world, bus=ThrottledBus()))
    assert len(world.state.load_schedule(schedule).owed) == 1
    for _ in range(2):
        notice_lost_runs("signs", quality, world)
    assert [event["detail-type"] for event in world.bus.events] == ["Finding Raised"]
    assert world.state.load_schedule(schedule).owed == ()


def test_what_is_found_in_columns_with_names_without_end_is_taken_by_the_bus_and_by_the_table():
    """A header may be anything: else the schedule's findings would wait for ever behind one that nobody takes."""
    world = build_world()
    names = [f"{number}{chr(1) * 30_000}" for number in range(30)]
    ingest(0, [msgspec.structs.replace(BAD[0], feature_name=name) for name in names], world)
    ingest(1, FAILED, world)
    for event in world.bus.events:
        assert len(msgspec.json.encode(event["detail"])) < 100_000
    for row in world.state.items.rows.values():
        assert len(row.body) < 400_000
    raised = world.bus.events[0]["detail"]
    assert sorted(raised["counts"].values()) == [1] * 20
    assert raised["severity"] == "critical"
