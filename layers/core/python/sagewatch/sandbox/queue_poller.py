"""Polls one queue for one function, and deletes what was handled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.source_queue import SourceMapping, build_batch, kept_messages

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from sagewatch.sandbox.function_process import Answered, Failed

RECEIVE_AT_MOST = 10  # SQS's own limit for one call
POLL_SECONDS = 2


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the local runtime differs in pace from the real one.

    Parameters
    ----------
    retry_seconds
        A message that was not deleted is visible again after this (AWS: the queue's visibility timeout).
    window_at_most_seconds
        Upper limit for a mapping's batching window.
    speed_up
        A schedule's `rate(1 minute)` fires every 60 / speed_up seconds.
    """

    retry_seconds: int = 1
    window_at_most_seconds: float = 0.5
    speed_up: float = 30.0


class QueuePoller:
    """One event source mapping at work.

    Parameters
    ----------
    sqs
        A boto3 client.
    mapping
        Which queue, which function, how many at once.
    invoke
        Runs a function, named, on an event.
    stop
        Set when the worker ends.
    settings
        The worker's pace.
    """

    def __init__(
        self,
        sqs: Any,
        mapping: SourceMapping,
        invoke: Callable[[str, Any], Answered | Failed],
        stop: threading.Event,
        settings: WorkerSettings,
    ) -> None:
        self.url = str(sqs.get_queue_url(QueueName=mapping.queue_arn.split(":")[-1])["QueueUrl"])
        self._sqs = sqs
        self._mapping = mapping
        self._invoke = invoke
        self._stop = stop
        self._settings = settings

    def run(self) -> None:
        """Receive, invoke, delete; until the worker ends."""
        mapping = self._mapping
        name = mapping.function_arn.split(":function:")[1].split(":")[0]
        while not self._stop.is_set():
            messages = self._receive()
            if not messages:
                continue
            outcome = self._invoke(name, build_batch(messages, mapping))
            if self._stop.is_set():
                return
            ids = {message["MessageId"] for message in messages}
            self._settle(messages, kept_messages(outcome, ids, partial_responses=mapping.partial_responses))

    def _receive(self) -> list[dict[str, Any]]:
        """Messages for one batch: the first is waited for, the rest as long as the window lasts."""
        mapping = self._mapping
        messages: list[dict[str, Any]] = []
        window = min(mapping.window_seconds, self._settings.window_at_most_seconds)
        deadline = 0.0
        while len(messages) < mapping.batch_size and not self._stop.is_set():
            left = deadline - time.monotonic() if messages else float(POLL_SECONDS)
            if left < 0:
                break
            got = self._sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(RECEIVE_AT_MOST, mapping.batch_size - len(messages)),
                WaitTimeSeconds=0 if messages else POLL_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                if not got:
                    break
                deadline = time.monotonic() + window
            elif not got:
                time.sleep(min(0.1, max(left, 0.0)))
            messages += got
        return messages

    def _settle(self, messages: list[dict[str, Any]], kept: set[str]) -> None:
        for start in range(0, len(messages), RECEIVE_AT_MOST):
            part = messages[start : start + RECEIVE_AT_MOST]
            entries = {
                wanted: [
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(part)
                    if (message["MessageId"] in kept) is wanted
                ]
                for wanted in (True, False)
            }
            if entries[False]:
                self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries[False])
            for entry in entries[True]:
                self._sqs.change_message_visibility(
                    QueueUrl=self.url,
                    ReceiptHandle=entry["ReceiptHandle"],
                    VisibilityTimeout=self._settings.retry_seconds,
                )
