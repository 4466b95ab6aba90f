"""S3, the bus, CloudWatch, SNS and Slack in memory: they keep what they were given."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, BinaryIO

import msgspec

from sagewatch.ports import OutgoingEvent, StoredObject, TitledPicture


class MemoryObjects:
    """``Objects`` in a dict of (bucket, key)."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str], bytes] = {}
        self.content_types: dict[tuple[str, str], str] = {}

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the bytes."""
        body = self.bodies.get((bucket, key))
        return None if body is None else io.BytesIO(body)

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Keep the bytes."""
        self.bodies[bucket, key] = body
        self.content_types[bucket, key] = content_type

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Keep the bytes unless there are some."""
        if (bucket, key) not in self.bodies:
            self.put_object(bucket, key, body, content_type)

    def list_objects(self, bucket: str, prefix: str) -> list[str]:
        """All keys below the prefix."""
        return [one.key for one in self.describe_objects(bucket, prefix)]

    def describe_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """All objects below the prefix."""
        return [
            StoredObject(key, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
            for (owner, key), body in sorted(self.bodies.items())
            if owner == bucket and key.startswith(prefix)
        ]

    def list_after(self, bucket: str, prefix: str, after: str, most: int) -> list[str]:
        """The first keys behind another."""
        return [key for key in self.list_objects(bucket, prefix) if key > after][:most]

    def presign(self, bucket: str, key: str, expires_seconds: int) -> str:
        """A link that only says what it would be."""
        return f"https://{bucket}.invalid/{key}?expires={expires_seconds}"


class MemoryBus:
    """``Bus`` that keeps events as EventBridge would deliver them."""

    def __init__(self, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.events: list[dict[str, Any]] = []
        self._account = account
        self._region = region

    def publish(self, facts: Sequence[OutgoingEvent], at: datetime) -> None:
        """Keep the facts."""
        for fact in facts:
            self.events.append(
                {
                    "id": f"memory-{len(self.events)}",
                    "source": "sagewatch",
                    "detail-type": fact.detail_type,
                    "account": self._account,
                    "region": self._region,
                    "time": at.isoformat(),
                    "detail": msgspec.to_builtins(fact.detail),
                }
            )


class MemoryMetrics:
    """``Metrics`` as a list."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float, str, tuple[tuple[str, str], ...]]] = []

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """Keep the values."""
        for name, value in values.items():
            self.values.append((name, value, unit, tuple(sorted(dimensions.items()))))


class MemoryMail:
    """``Mail`` as a list of (subject, body)."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []
        self.chats: list[Mapping[str, Any]] = []

    def publish_mail(self, subject: str, body: str) -> str:
        """Keep the mail."""
        self.mails.append((subject, body))
        return f"mail-{len(self.mails)}"

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        """Keep the notification."""
        self.chats.append(message)


class MemoryChat:
    """``Chat`` as a list of messages, each with its updates."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Mapping[str, Any]]] = []
        self.updated: list[tuple[str, str, Mapping[str, Any]]] = []
        self.replies: list[tuple[str, str, Mapping[str, Any]]] = []
        self.pictures: list[tuple[str, str, tuple[TitledPicture, ...]]] = []

    def upload_pictures(self, receiver: str, handle: str, pictures: Sequence[TitledPicture]) -> None:
        """Keep the pictures."""
        self.pictures.append((receiver, handle, tuple(pictures)))

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        """Keep the message."""
        self.posted.append((receiver, message))
        return f"{len(self.posted)}.000000"

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Keep the reply."""
        self.replies.append((receiver, handle, message))

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Keep the update."""
        self.updated.append((receiver, handle, message))


class MemoryLetters:
    """``Letters`` as a list of (sender, recipients, message)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[str, ...], bytes]] = []

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:  # noqa: ARG002
        """Keep the message."""
        self.sent.append((sender, tuple(to), raw))


class MemoryHooks:
    """``Hooks`` as a list of (target, body)."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Mapping[str, Any]]] = []

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:  # noqa: ARG002
        """Keep the body."""
        self.posted.append((target, body))


class MemoryWakeups:
    """``Wakeups`` as a list of (time, event), and the dead letters beside it."""

    def __init__(self) -> None:
        self.pending: list[tuple[datetime, OutgoingEvent]] = []
        self.dead: list[tuple[OutgoingEvent, str]] = []

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """Keep the fact until it is time."""
        self.pending.append((at + timedelta(seconds=after_seconds), fact))

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:  # noqa: ARG002
        """Keep the fact and the reason."""
        self.dead.append((fact, reason))


class MemoryClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by
