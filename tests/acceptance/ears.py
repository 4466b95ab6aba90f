"""Receivers that write down what they hear, and fail as they are told to."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sagewatch.errors import DeliveryError
from sagewatch.memory.world import MemoryClock
from sagewatch.ports import TitledPicture


class Killed(BaseException):
    """The function is gone in the middle of its work."""


@dataclass(frozen=True)
class Heard:
    """A message as it arrived."""

    at: datetime
    target: str
    kind: str
    text: str


@dataclass
class Ears:
    """All receivers' channels: SNS mail and Slack."""

    clock: MemoryClock
    heard: list[Heard] = field(default_factory=list)
    broken: dict[str, tuple[datetime, Callable[[str], DeliveryError]]] = field(default_factory=dict)
    throttled: dict[str, list[int]] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[datetime, str]] = field(default_factory=list)
    threads: list[tuple[datetime, str, str]] = field(default_factory=list)
    topic: str = "on-call"

    def break_until(self, target: str, end: datetime, build: Callable[[str], DeliveryError]) -> None:
        self.broken[target] = (end, build)

    def throttle(self, target: str, times: int, retry_after: int) -> None:
        self.throttled[target] = [retry_after] * times

    def lose_answers(self, target: str, times: int) -> None:
        """So many messages are taken, and whoever sent them never learns it."""
        self.unanswered[target] = times

    def hear(self, target: str, kind: str, text: str) -> None:
        """Take a message, or fail, or take it and fail to say so."""
        self.asked.append((self.clock.now, target))
        if self.throttled.get(target):
            seconds = self.throttled[target].pop()
            raise DeliveryError(target, "ratelimited", recoverable=True, after_seconds=seconds)
        end, build = self.broken.get(target, (self.clock.now, DeliveryError))
        if self.clock.now < end:
            raise build(target)
        self.heard.append(Heard(self.clock.now, target, kind, text))
        if self.unanswered.get(target):
            self.unanswered[target] -= 1
            raise DeliveryError(target, "HTTP 504", recoverable=True, perhaps_taken=True)

    # Mail ---------------------------------------------------------------------------------------------

    def publish_mail(self, subject: str, body: str) -> str:
        state = subject[1:].split("]", maxsplit=1)[0]
        kind = {
            "FIRING": "firing",
            "RESOLVED": "resolved",
            "NO LONGER JUDGED": "unjudged",
            "STILL FIRING": "repeated",
            "WORSE": "worsened",
            "COMES AND GOES": "digest",
        }.get(state, state.lower())
        self.hear(f"{self.topic}/mail", kind, subject + "\n" + body)
        return "m"

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        kind = message["metadata"]["eventType"].removeprefix("sagewatch-")
        self.hear(f"{self.topic}/amazon_q", kind, json.dumps(message, ensure_ascii=False))

    # Chat ---------------------------------------------------------------------------------------------

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        self.hear(f"{receiver}/slack", self._read_kind(message), json.dumps(message, ensure_ascii=False))
        return f"C1:{len(self.heard)}"

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        kind = self._read_kind(message)
        kind = "updated" if kind == "firing" else kind
        self.hear(f"{receiver}/slack", kind, json.dumps(message, ensure_ascii=False))

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        again = "worsened" if " WORSE " in message["text"] else "repeated"
        kind = again if message.get("reply_broadcast") else "thread"
        if kind == "thread":
            self.threads.append((self.clock.now, handle, message["text"]))
        else:
            self.hear(f"{receiver}/slack", kind, json.dumps(message, ensure_ascii=False))

    def upload_pictures(self, receiver: str, handle: str, pictures: Sequence[TitledPicture]) -> None:
        """Into a thread; Slack counts uploads by themselves, so they are heard, or refused, as a channel of their own."""
        titles = ", ".join(one.title for one in pictures)
        self.hear(f"{receiver}/uploads", "pictures", f"{handle} {titles}")

    @staticmethod
    def _read_kind(message: Mapping[str, Any]) -> str:
        if "COMES AND GOES" in message["text"]:
            return "digest"
        if " NO LONGER JUDGED " in message["text"]:
            return "unjudged"
        return "resolved" if " RESOLVED " in message["text"] else "firing"

    # Letters ------------------------------------------------------------------------------------------

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        state = re.search(r"\[([A-Z ]+)", str(mail["subject"]))[1].lower()
        pictures = sum(part.get_content_type() == "image/png" for part in mail.walk())
        self.hear(receiver, state, f"{mail['subject']} {pictures} pictures")

    # Hooks --------------------------------------------------------------------------------------------

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        kind = body.get("event_action") or body.get("event")
        if kind is None:
            kind = self._read_kind(body)
        self.hear(target, kind, json.dumps(body, ensure_ascii=False))
