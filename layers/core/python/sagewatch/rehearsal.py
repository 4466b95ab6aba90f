"""An event may be a replay, a drill or the canary: this says on which world the handlers then act.

EventBridge's replays carry ``replay-name``; what follows from them, drills and the canary carry ``replay_name`` in
their detail. The name's first word says what it is:

``rehearsal``
    Counts, finds and opens incidents in rows of its own, beside the real ones; touches no endpoint, measures
    nothing, and tells the receiver ``test`` alone, with every message marked.
``canary``
    A rehearsal that no person is told of: its only receiver is the metric ``CanaryArrived``.
``live``
    As if the events came for the first time: what was counted stays counted once, who was told stays told.

Source: EventBridge adds ``replay-name`` to each event that it replays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from sagewatch.diagnose.model import Policy
from sagewatch.events import (
    CANARY,
    MARK,
    ActionRequested,
    AlertDue,
    DiagnosisChanged,
    Fact,
    IncidentChanged,
)
from sagewatch.finding import build_content_key
from sagewatch.incident.routing import Route
from sagewatch.marked import (
    MarkedBus,
    MarkedChat,
    MarkedHooks,
    MarkedLetters,
    MarkedMail,
    MarkedWakeups,
    NoMetrics,
    RehearsedItems,
    RehearsedObjects,
)
from sagewatch.monitors import Monitors
from sagewatch.monitors.receivers import TEST_RECEIVER, Receiver, WebhookReceiver
from sagewatch.observability import get_logger
from sagewatch.ports import Metrics
from sagewatch.state import State
from sagewatch.world import World

LIVE: Final = "live"
REHEARSAL: Final = "rehearsal"
ARRIVED: Final = "CanaryArrived"
LATEST: Final = timedelta(days=1)
"""A canary that arrives later than this says nothing about now: somebody replays an archive."""
_ABOUT_INCIDENTS: Final = (ActionRequested, AlertDue, DiagnosisChanged, IncidentChanged)


def build_replay_name(at: datetime, *, live: bool, endpoint: str = "") -> str:
    """The name under which to start a replay; it is all that EventBridge tells the handlers.

    Examples
    --------
    >>> from datetime import UTC
    >>> build_replay_name(datetime(2026, 11, 21, 20, tzinfo=UTC), live=False)
    'rehearsal.20261121T200000Z'
    """
    scope = f".{build_content_key(endpoint)[:8]}" if endpoint else ""
    return f"{LIVE if live else REHEARSAL}.{at:%Y%m%dT%H%M%SZ}{scope}"


def read_replay_name(envelope: Mapping[str, Any]) -> str | None:
    """What an event belongs to: our own mark, or the replay that EventBridge says.

    Ours comes first: a drill or canary out of the archive stays one, also in a live replay. But what a live replay
    said is an archive's fact like any other: a later replay that is not live makes a rehearsal of it.

    Examples
    --------
    >>> read_replay_name({"replay-name": "rehearsal.2", "detail": {"replay_name": "live.1"}})
    'rehearsal.2'
    """
    detail = envelope.get("detail")
    ours = detail.get(MARK) if isinstance(detail, Mapping) else None
    theirs = envelope.get("replay-name")
    name = theirs if theirs and is_live(str(ours or "")) else ours or theirs
    return str(name) if name else None


def is_live(name: str) -> bool:
    """Whether what a replay of that name says acts as if it came for the first time."""
    return name.startswith(f"{LIVE}.")


def makes_its_own(envelope: Mapping[str, Any], fact: Fact) -> bool:
    """Whether a replayed fact is about an incident that only the real rows have.

    A rehearsal opens incidents of its own, and what it says of them comes by the bus, not out of the archive: the
    archive's word on others could only fail until it is a dead letter.
    """
    name = read_replay_name(envelope)
    if name is None or is_live(name):
        return False
    return "replay-name" in envelope and isinstance(fact, _ABOUT_INCIDENTS)


def choose_world(world: World, envelope: Mapping[str, Any]) -> World:
    """The world that an event acts on."""
    name = read_replay_name(envelope)
    if name is None:
        return world
    scoped = _narrow(world.monitors, name)
    if is_live(name):
        return _replace(world, monitors=scoped, bus=MarkedBus(world.bus, name))
    rehearsed = _replace(
        open_rehearsal(world, name),
        monitors=_keep_hands_off(scoped, _find_test_receiver(scoped)),
        bus=MarkedBus(world.bus, name),
        metrics=NoMetrics(),
        mail=MarkedMail(world.mail),
        chat=MarkedChat(world.chat),
        hooks=MarkedHooks(world.hooks, name),
        letters=MarkedLetters(world.letters, name),
        wakeups=MarkedWakeups(world.wakeups, name),
    )
    return _build_canary_world(rehearsed, world) if name.startswith(f"{CANARY}.") else rehearsed


def _build_canary_world(rehearsed: World, world: World) -> World:
    """Nobody but the metric hears, and nothing mutes it: no window, no inhibition."""
    receivers = {CANARY: Receiver(webhook=WebhookReceiver(url="", secret=""))}
    monitors = msgspec.structs.replace(
        _keep_hands_off(rehearsed.monitors, receivers), windows=(), inhibitions=()
    )
    receiver = CanaryReceiver(world.metrics, world.settings.event_bus)
    return _replace(rehearsed, monitors=monitors, hooks=receiver)


def open_rehearsal(world: World, name: str) -> World:
    """The world with the rows and the evidence of a rehearsal in place of the real ones."""
    beside = _replace(world, replay=name, state=State(RehearsedItems(world.state.items, name, world.now())))
    objects = RehearsedObjects(world.objects, world.settings.evidence_bucket, beside.evidence_prefix)
    return _replace(beside, objects=objects)


def _replace(world: World, **changes: Any) -> World:
    fields = {name: getattr(world, name) for name in World.__dataclass_fields__}
    return World(**{**fields, **changes})


def _narrow(monitors: Monitors, name: str) -> Monitors:
    """Only the endpoint that the replay was asked for, where it was asked for one."""
    scope = name.split(".")[2:3]
    if not scope:
        return monitors
    chosen = {
        key: endpoint
        for key, endpoint in monitors.endpoints.items()
        if build_content_key(key)[:8] == scope[0]
    }
    return msgspec.structs.replace(monitors, endpoints=chosen)


def _find_test_receiver(monitors: Monitors) -> dict[str, Receiver]:
    """The test receiver, without the stack's topics: their readers are many. HTML mails go to addresses of its own."""
    test = monitors.receivers.get(TEST_RECEIVER)
    if test is None:
        return {}
    return {TEST_RECEIVER: msgspec.structs.replace(test, mail=None, amazon_q=None)}


def _keep_hands_off(monitors: Monitors, receivers: Mapping[str, Receiver]) -> Monitors:
    """No diagnosis, and nobody is told but the given receiver, without Slack's buttons: they act on what is real.

    What clears is over at once: the tick, which ends an incident after its ``hold``, looks at the real rows.
    """
    return msgspec.structs.replace(
        monitors,
        endpoints={
            name: msgspec.structs.replace(endpoint, diagnosis=Policy(mode="off"))
            for name, endpoint in monitors.endpoints.items()
        },
        route=Route(receiver=next(iter(receivers), None)),
        receivers=dict(receivers),
        slack=None,
        flapping=msgspec.structs.replace(monitors.flapping, hold=timedelta(0)),
    )


class CanaryReceiver:
    """Where the canary arrives: ``Hooks`` that count. An alarm looks at the count (``resources/watch.js``).

    It counts the resolved message alone, which is sent after the firing one was taken and recorded. One that is sent
    again after a crash counts again; the alarm asks only whether there was any.
    """

    def __init__(self, metrics: Metrics, event_bus: str) -> None:
        self._metrics = metrics
        self._event_bus = event_bus

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Count the end of the way."""
        seconds = (at - datetime.fromisoformat(body["opened_at"])).total_seconds()
        told = {"receiver": target, "incident_id": body["incident_id"], "kind": body["event"]}
        get_logger().info("canary_told", duration_ms=round(1000 * seconds), **told)
        if body["event"] == "resolved" and seconds < LATEST.total_seconds():
            self._metrics.put({ARRIVED: 1.0}, "Count", EventBus=self._event_bus)
