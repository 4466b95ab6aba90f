"""``Wakeups`` in SQS: the alert queue with a delay, and its dead letters. Source: SQS API reference, SendMessage."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime

import msgspec

from sagewatch.aws.client import build_client, sorting_errors
from sagewatch.ports import OutgoingEvent

DELAY_AT_MOST = 900
REASON_LIMIT = 1000
# What SendMessage takes in a body or an attribute: #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF.
_NOT_TAKEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class SqsWakeups:
    """The queue that wakes ``deliver_alert``.

    Parameters
    ----------
    queue_url, dead_letters_url
        The queue and its dead-letter queue.
    """

    def __init__(self, queue_url: str, dead_letters_url: str) -> None:
        self._queue_url = queue_url
        self._dead_letters_url = dead_letters_url
        self._client = build_client("sqs")

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """Deliver the fact after so long, rounded up to the second: not before a Retry-After is over."""
        delay = min(max(math.ceil(after_seconds), 0), DELAY_AT_MOST)
        with sorting_errors():
            self._client.send_message(
                QueueUrl=self._queue_url, MessageBody=_build_envelope(fact, at), DelaySeconds=delay
            )

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:
        """Keep the fact among the dead letters; the attribute ``Reason`` says why, in words."""
        with sorting_errors():
            self._client.send_message(
                QueueUrl=self._dead_letters_url,
                MessageBody=_build_envelope(fact, at),
                MessageAttributes={"Reason": {"DataType": "String", "StringValue": _clean(reason)}},
            )


def _clean(reason: str) -> str:
    """The reason as SQS takes it: a receiver's answer may hold anything."""
    return _NOT_TAKEN.sub("\ufffd", reason)[:REASON_LIMIT] or "unknown"


def _build_envelope(fact: OutgoingEvent, at: datetime) -> str:
    """The fact as the bus would have brought it."""
    return json.dumps(
        {
            "source": "sagewatch",
            "detail-type": fact.detail_type,
            "time": at.isoformat(),
            "detail": json.loads(msgspec.json.encode(fact.detail)),
        }
    )
