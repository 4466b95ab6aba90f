"""``Bus`` in EventBridge. Source: EventBridge API reference, PutEvents (10 entries, together 256 KB)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from botocore.config import Config

from sagewatch.aws.client import CONFIG, build_client, sorting_errors
from sagewatch.errors import RetryError
from sagewatch.ports import OutgoingEvent

_BATCH: Final = 10
_BATCH_BYTES: Final = 256 * 1024
# What the time and the characters around a field count for.
_AROUND_BYTES: Final = 200


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
        for batch in _cut_batches(entries):
            with sorting_errors():
                answer = self._client.put_events(Entries=batch)
            if answer["FailedEntryCount"]:
                codes = sorted({row["ErrorCode"] for row in answer["Entries"] if "ErrorCode" in row})
                raise RetryError(f"bus refused: {', '.join(codes)}")


def _cut_batches(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Requests as large as AWS takes them: so many entries, and so many bytes of all together."""
    batch: list[dict[str, Any]] = []
    taken = 0
    for entry in entries:
        size = _AROUND_BYTES + len(entry["DetailType"]) + len(entry["Detail"].encode())
        if batch and (len(batch) == _BATCH or taken + size > _BATCH_BYTES):
            yield batch
            batch, taken = [], 0
        batch.append(entry)
        taken += size
    if batch:
        yield batch
