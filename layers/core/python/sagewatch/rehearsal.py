"""An EventBridge replay reaches the same handlers; this says on which world they then act.

A replay is a rehearsal unless its name begins with ``live``: it counts, finds and opens incidents in rows of its
own, beside the real ones; it touches no endpoint, measures nothing, and tells the receiver ``test`` alone, with
every message marked. A live one acts as if the events came for the first time: what was counted stays counted
once, who was told stays told. Source: EventBridge adds ``replay-name`` to each event that it replays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final

import msgspec

from sagewatch.diagnose.model import Policy
from sagewatch.finding import build_content_key
from sagewatch.incident.routing import Route
from sagewatch.monitors import Monitors
from sagewatch.ports import (
    Bus,
    Chat,
    Item,
    Items,
    Mail,
    Objects,
    OutgoingEvent,
    StoredObject,
    Wakeups,
    Write,
)
from sagewatch.state import State
from sagewatch.world import World

TEST_RECEIVER: Final = "test"
MARK: Final = "replay_name"
KEPT: Final = timedelta(days=7)
LIVE: Final = "live"
REHEARSAL: Final = "rehearsal"
_SUBJECT_LIMIT = 99


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
    """The replay that an event belongs to: EventBridge's own mark, or ours on what followed from it."""
    detail = envelope.get("detail")
    ours = detail.get(MARK) if isinstance(detail, Mapping) else None
    name = envelope.get("replay-name") or ours
    return str(name) if name else None


def choose_world(world: World, envelope: Mapping[str, Any]) -> World:
    """The world that an event acts on."""
    name = read_replay_name(envelope)
    if name is None:
        return world
    scoped = _narrow(world.monitors, name)
    if name.startswith(f"{LIVE}."):
        return _replace(world, monitors=scoped, bus=MarkedBus(world.bus, name))
    bucket = world.settings.evidence_bucket
    return _replace(
        world,
        monitors=_keep_hands_off(scoped),
        state=State(RehearsedItems(world.state.items, name, world.now())),
        objects=RehearsedObjects(world.objects, bucket, f"replays/{name}/"),
        bus=MarkedBus(world.bus, name),
        metrics=NoMetrics(),
        mail=MarkedMail(world.mail),
        chat=MarkedChat(world.chat),
        wakeups=MarkedWakeups(world.wakeups, name),
    )


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


def _keep_hands_off(monitors: Monitors) -> Monitors:
    """No diagnosis, and nobody is told but the test receiver; it never mails, for a topic's readers are many."""
    test = monitors.receivers.get(TEST_RECEIVER)
    receivers = (
        {TEST_RECEIVER: msgspec.structs.replace(test, mail=None, html_mail=None, amazon_q=None)}
        if test
        else {}
    )
    return msgspec.structs.replace(
        monitors,
        endpoints={
            name: msgspec.structs.replace(endpoint, diagnosis=Policy(mode="off"))
            for name, endpoint in monitors.endpoints.items()
        },
        route=Route(receiver=TEST_RECEIVER if test else None),
        receivers=receivers,
    )


class RehearsedItems:
    """The table's rows of one replay: the same keys behind a prefix, gone after a week."""

    def __init__(self, items: Items, name: str, now: datetime) -> None:
        self._items = items
        self._prefix = f"replay#{name}#"
        self._expires = int((now + KEPT).timestamp())

    def get(self, pk: str, sk: str) -> Item | None:
        """The row, or None."""
        row = self._items.get(self._prefix + pk, sk)
        return None if row is None else self._bare(row)

    def query(self, pk: str, sk_from: str = "", sk_to: str = "\U0010ffff") -> list[Item]:
        """The rows of a partition in order."""
        return [self._bare(row) for row in self._items.query(self._prefix + pk, sk_from, sk_to)]

    def write(self, writes: Sequence[Write]) -> None:
        """All or none."""
        self._items.write([
            Write(msgspec.structs.replace(one.item, pk=self._prefix + one.item.pk, expires_at=self._expires), one.expect)
            for one in writes
        ])  # fmt: skip

    def delete(self, pk: str, sk: str, expect: int) -> None:
        """Remove one row."""
        self._items.delete(self._prefix + pk, sk, expect)

    def _bare(self, row: Item) -> Item:
        return msgspec.structs.replace(row, pk=row.pk.removeprefix(self._prefix))


class RehearsedObjects:
    """S3, where what a replay writes as evidence lies below a prefix of its own."""

    def __init__(self, objects: Objects, bucket: str, prefix: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._prefix = prefix

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the bytes: the replay's own, or those of the first time."""
        own = self._objects.open_object(bucket, self._prefix + key) if bucket == self._bucket else None
        return own or self._objects.open_object(bucket, key)

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write below the prefix, whatever the bucket."""
        self._objects.put_object(self._bucket, self._prefix + key, body, content_type)
        del bucket

    def list_objects(self, bucket: str, prefix: str) -> list[str]:
        """All keys below the prefix, as if they lay there."""
        return [one.key for one in self.describe_objects(bucket, prefix)]

    def describe_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """All objects below the prefix, as if they lay there."""
        if bucket != self._bucket:
            return self._objects.describe_objects(bucket, prefix)
        own = self._objects.describe_objects(bucket, self._prefix + prefix)
        return [msgspec.structs.replace(one, key=one.key.removeprefix(self._prefix)) for one in own]

    def presign(self, bucket: str, key: str, expires_seconds: int) -> str:
        """A link to the replay's own object."""
        own = self._prefix + key if bucket == self._bucket else key
        return self._objects.presign(bucket, own, expires_seconds)


class MarkedFact:
    """A fact that follows from a replay, and says so."""

    def __init__(self, fact: OutgoingEvent, name: str) -> None:
        self._fact = fact
        self._name = name

    @property
    def detail_type(self) -> str:
        """The event's name."""
        return self._fact.detail_type

    @property
    def detail(self) -> object:
        """The event's body, with the replay's name in it."""
        return {**msgspec.to_builtins(self._fact.detail), MARK: self._name}


class MarkedBus:
    """The bus, on which everything carries the replay's name."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._name = name

    def publish(self, facts: Sequence[OutgoingEvent], at: datetime) -> None:
        """Put all facts on the bus, marked."""
        self._bus.publish([MarkedFact(fact, self._name) for fact in facts], at)


class MarkedWakeups:
    """``Wakeups`` that carry the replay's name."""

    def __init__(self, wakeups: Wakeups, name: str) -> None:
        self._wakeups = wakeups
        self._name = name

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """Deliver the fact after so long, marked."""
        self._wakeups.wake(MarkedFact(fact, self._name), at, after_seconds)

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:
        """Keep the fact among the dead letters, marked."""
        self._wakeups.give_up(MarkedFact(fact, self._name), at, reason)


class MarkedMail:
    """Mail whose subject says that it is a replay."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    def publish_mail(self, subject: str, body: str) -> str:
        """Send, marked."""
        return self._mail.publish_mail(f"[REPLAY] {subject}"[:_SUBJECT_LIMIT], f"This is a replay.\n\n{body}")

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        """Nothing: a topic's readers are many."""


class MarkedChat:
    """Slack messages that say that they are a replay."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        """Post, marked."""
        return self._chat.post_message(receiver, _mark(message))

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Change a posted message, marked."""
        self._chat.update_message(receiver, handle, _mark(message))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chat, name)


class NoMetrics:
    """``Metrics`` that nobody sees."""

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """Nothing."""


def _mark(message: Mapping[str, Any]) -> dict[str, Any]:
    note = {"type": "context", "elements": [{"type": "mrkdwn", "text": "*REPLAY* of recorded events"}]}
    marked = {**message, "text": f"[REPLAY] {message.get('text', '')}"}
    if "blocks" in message:
        marked["blocks"] = [note, *list(message["blocks"])[:49]]
    return marked
