"""``Bus`` in EventBridge. Source: EventBridge API reference, PutEvents (10 entries, 256 KB)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from botocore.config import Config

from sagewatch.aws.client import CONFIG, build_client, sorting_errors
from sagewatch.errors import RetryError
from sagewatch.ports import OutgoingEvent

_BATCH = 10


class EventBridgeBus:
    """The bus ``sagewatch``.

    Parameters
    ----------
    name
        The bus.
    patience
        How long to wait for an answer.
    """

    def __init__(self, name: str, patience: Config = CONFIG) -> None:
        self._name = name
        self._client = build_client("events", patience)

    def publish(self, facts: Sequence[OutgoingEvent], at: datetime) -> None:
        """Put all facts on the bus; a partial failure, which comes inside HTTP 200, is a ``RetryError``."""
        entries = [
            {
                "Source": "sagewatch",
                "DetailType": fact.detail_type,
                "Detail": msgspec.json.encode(fact.detail).decode(),
                "EventBusName": self._name,
                "Time": at,
            }
            for fact in facts
        ]
        for start in range(0, len(entries), _BATCH):
            with sorting_errors():
                answer = self._client.put_events(Entries=entries[start : start + _BATCH])
            if answer["FailedEntryCount"]:
                codes = sorted({row["ErrorCode"] for row in answer["Entries"] if "ErrorCode" in row})
                raise RetryError(f"bus refused: {', '.join(codes)}")
