"""Ports that mark what goes through them, and keep it beside the real thing: rows, objects, facts and messages.

A replay, a drill and the canary act through these (``rehearsal`` chooses); a person who is told sees what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from typing import Any, BinaryIO, Final

import msgspec

from sagewatch.events import MARK
from sagewatch.ports import (
    Bus,
    Chat,
    Hooks,
    Item,
    Items,
    Letters,
    Mail,
    Objects,
    OutgoingEvent,
    StoredObject,
    Wakeups,
    Write,
)

KEPT: Final = timedelta(days=7)
WORD: Final = "[REPLAY]"
_SUBJECT_LIMIT = 99
_SUMMARY_LIMIT = 1024
_KEY_LIMIT = 255


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

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write below the prefix, whatever the bucket, where nothing is there."""
        self._objects.create_object(self._bucket, self._prefix + key, body, content_type)
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

    def list_after(self, bucket: str, prefix: str, after: str, most: int) -> list[str]:
        """The first keys behind another, as if they lay there."""
        own = self._prefix if bucket == self._bucket else ""
        found = self._objects.list_after(bucket, own + prefix, own + after, most)
        return [key.removeprefix(own) for key in found]

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
        return self._mail.publish_mail(f"{WORD} {subject}"[:_SUBJECT_LIMIT], f"This is a replay.\n\n{body}")

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        """Nothing: a topic's readers are many."""


class MarkedLetters:
    """Composed mails whose subject says that they are a replay, in a thread of its own."""

    def __init__(self, letters: Letters, name: str) -> None:
        self._letters = letters
        self._name = name

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:
        """Send, marked."""
        mail = message_from_bytes(raw, policy=SMTP)
        changes = {"Subject": f"{WORD} {mail['Subject']}"}
        for header in ("References", "In-Reply-To"):
            changes[header] = str(mail[header]).replace("@", f".{self._name}@")
        for header, value in changes.items():
            del mail[header]
            mail[header] = value
        self._letters.send_letter(receiver, sender, to, mail.as_bytes())


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

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Post in the thread, marked: a reply may be shown to the whole channel."""
        self._chat.reply(receiver, handle, _mark(message))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chat, name)


class MarkedHooks:
    """PagerDuty, Slack's webhooks and anybody's own receiver, told that it is a replay.

    Keys that pair messages carry the replay's name: it can neither change nor resolve what is real.
    """

    def __init__(self, hooks: Hooks, name: str) -> None:
        self._hooks = hooks
        self._name = name

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Post, marked."""
        marks = {"pagerduty": self._mark_event, "webhook": self._mark_webhook}
        self._hooks.post_hook(target, marks.get(target.rpartition("/")[2], _mark)(body), at)

    def _mark_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        marked = {**event, "dedup_key": f"{self._name}/{event['dedup_key']}"[:_KEY_LIMIT]}
        if "payload" in event:
            summary = f"{WORD} {event['payload']['summary']}"[:_SUMMARY_LIMIT]
            details = {"Replay": self._name, **event["payload"].get("custom_details", {})}
            marked["payload"] = {**event["payload"], "summary": summary, "custom_details": details}
        return marked

    def _mark_webhook(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **body,
            "replay": self._name,
            "group": f"{self._name}/{body['group']}",
            "headline": f"{WORD} {body['headline']}",
        }


class NoMetrics:
    """``Metrics`` that nobody sees."""

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """Nothing."""


def _mark(message: Mapping[str, Any]) -> dict[str, Any]:
    note = {"type": "context", "elements": [{"type": "mrkdwn", "text": "*REPLAY* of recorded events"}]}
    marked = {**message, "text": f"{WORD} {message.get('text', '')}"}
    if "blocks" in message:
        marked["blocks"] = [note, *list(message["blocks"])[:49]]
    return marked
