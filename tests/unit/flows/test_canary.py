"""The canary goes the whole way to a receiver of its own; no person hears of it, and it leaves nothing open."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RejectedInputError, RetryError
from sagewatch.flows.tick import tick
from sagewatch.incident.model import State as Life
from sagewatch.marked import RehearsedItems
from sagewatch.memory.world import MemoryHooks
from sagewatch.rehearsal import ARRIVED, choose_world
from sagewatch.state import State
from tests.unit.flows.worlds import LISTENERS, MONITORS, NOW, build_world

NAME = "canary.2026-11-21T12:00:00Z"
DUE = {
    "source": "sagewatch",
    "detail-type": "Canary Due",
    "time": "2026-11-21T12:00:00Z",
    "detail": {"replay_name": NAME},
}
MUTED = """
windows:
  always: {mutes: ["severity=info"], every: "daily 11:00-20:00 UTC"}
flapping: {hold: 5m}
"""
VISIBLE_AGAIN = timedelta(seconds=181)


class CrashedError(RuntimeError):
    """The function died here."""


class Fragile:
    """A port whose n-th call of a method dies, before or after it has done its work."""

    def __init__(self, port, methods, dies_at, *, after):
        self._port, self._methods, self._left, self._after = port, methods, dies_at, after

    def __getattr__(self, name):
        method = getattr(self._port, name)
        if name not in self._methods:
            return method

        def call(*given, **named):
            self._left -= 1
            if self._left == 0 and not self._after:
                raise CrashedError
            result = method(*given, **named)
            if self._left == 0:
                raise CrashedError
            return result

        return call


def run(world, first=DUE, times=1, deaf=(), reverse=False):
    """Carry the canary as queues do: each flow has its own copy, and one that dies comes again when it is visible."""
    bus, done = world.bus, len(world.bus.events)
    todo = deque([(tick, first)] * times)
    for _ in range(400):
        if not todo:
            return
        flow, event = todo.popleft()
        try:
            handle(flow, event, choose_world(world, event))
        except (CrashedError, RetryError):
            world.now.move(VISIBLE_AGAIN)
            todo.append((flow, event))
        fresh, done = bus.events[done:], len(bus.events)
        for one in fresh[::-1] if reverse else fresh:
            todo += [(f, one) for f in LISTENERS[one["detail-type"]] if f.__name__ not in deaf] * times
    pytest.fail("it never comes to rest")


def count(world):
    return sum(value for name, value, _, _ in world.metrics.values if name == ARRIVED)


def list_incidents(world):
    return State(RehearsedItems(world.state.items, NAME, world.now())).list_incidents()


def check_nobody_heard(world):
    assert (world.chat.posted, world.mail.mails, world.mail.chats, world.hosting.calls) == ([], [], [], [])
    assert world.state.list_incidents() == []
    assert world.alerts.list_due() == []
    assert all(pk.startswith(f"replay#{NAME}#") for pk, _ in world.state.items.rows)
    assert all(item.expires_at is not None for item in world.state.items.rows.values())
    assert all(key.startswith(f"replays/{NAME}/") for _, key in world.objects.bodies)
    assert all(event["detail"]["replay_name"] == NAME for event in world.bus.events)


def check_arrived_and_over(world):
    assert count(world) >= 1
    assert [one.state for one in list_incidents(world)] == [Life.RESOLVED]
    check_nobody_heard(world)


def test_it_arrives_once_and_nobody_else_hears_and_nothing_stays_open():
    world = build_world()
    run(world)
    check_arrived_and_over(world)
    assert world.metrics.values == [(ARRIVED, 1.0, "Count", (("EventBus", "sagewatch"),))]
    assert [event["detail-type"] for event in world.bus.events] == [
        "Finding Raised",
        "Finding Cleared",
        "Incident Opened",
        "Incident Resolved",
    ]


def test_no_receiver_of_the_real_world_is_reached_not_even_one_called_canary_or_test():
    hooks = "  {}: {{webhook: {{url: 'https://example.com', secret: 'secret:sagewatch/s'}}, slack: {{channel: '#c', token: 'secret:sagewatch/t'}}}}\n"
    world = build_world(
        MONITORS.replace(
            "receivers:\n",
            "routes: {receiver: canary, routes: [{match: [severity=critical], receiver: ml-on-call}]}\nreceivers:\n"
            + hooks.format("canary")
            + hooks.format("test"),
        )
    )
    object.__setattr__(world, "hooks", MemoryHooks())
    run(world)
    check_arrived_and_over(world)
    assert world.hooks.posted == []


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_it_counts_once_however_often_and_in_whatever_order_its_events_come(times, reverse):
    world = build_world()
    run(world, times=times, reverse=reverse)
    check_arrived_and_over(world)
    assert count(world) == 1


def test_neither_a_window_nor_a_hold_of_monitors_keeps_it_back():
    world = build_world(MONITORS + MUTED)
    run(world)
    check_arrived_and_over(world)


@pytest.mark.parametrize("deaf", ["manage_incident", "deliver_alert"])
def test_a_function_that_does_not_run_is_noticed_by_its_absence(deaf):
    world = build_world()
    run(world, deaf=(deaf,))
    assert count(world) == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("port", "methods"),
    [
        ("items", ("write",)),
        ("bus", ("publish",)),
        ("objects", ("put_object",)),
        ("metrics", ("put",)),
    ],
    ids=["table", "bus", "evidence", "metric"],
)
def test_a_run_that_dies_at_any_call_is_taken_up_and_ends_all_the_same(port, methods, after):
    deaths = 0
    for dies_at in range(1, 100):
        world = build_world()
        if port == "items":
            fragile = Fragile(world.state.items, methods, dies_at, after=after)
            object.__setattr__(world, "state", State(fragile))
        else:
            fragile = Fragile(getattr(world, port), methods, dies_at, after=after)
            object.__setattr__(world, port, fragile)
        run(world)
        check_arrived_and_over(world)
        if fragile._left > 0:
            break
        deaths += 1
    assert deaths >= 1
    assert fragile._left > 0, "more calls than were tried"


def test_an_old_one_out_of_the_archive_stays_a_canary_and_says_nothing_about_now():
    world = build_world()
    world.now.move(timedelta(days=9))
    replayed = {**DUE, "replay-name": "live.20261130T120000Z"}
    run(world, replayed)
    assert count(world) == 0
    check_nobody_heard(world)


@pytest.mark.parametrize(
    "detail", [{}, {"replay_name": "rehearsal.20261121T120000Z"}, {"replay_name": "live.x"}]
)
def test_one_that_is_not_marked_as_canary_is_refused_before_anything_is_sent(detail):
    world = build_world()
    event = {**DUE, "detail": detail}
    with pytest.raises(RejectedInputError):
        handle(tick, event, choose_world(world, event))
    assert world.bus.events == []


def test_the_next_one_arrives_as_well():
    world = build_world()
    for minutes in range(0, 150, 15):
        at = f"{NOW + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
        run(world, {**DUE, "time": at, "detail": {"replay_name": f"canary.{at}"}})
        world.now.move(timedelta(minutes=15))
    assert count(world) == 10
