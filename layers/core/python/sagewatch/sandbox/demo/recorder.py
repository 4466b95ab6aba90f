"""The event log: every event of both buses, in the order of arrival, one JSON line each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagewatch.sandbox.local_aws import LocalAws

QUEUE = "local-event-log"
_POLL_SECONDS = 1
_PATTERNS = {
    "default": {"source": ["aws.s3", "aws.sagemaker"]},
    "own": {"source": ["sagewatch"]},
}


class Recorder:
    """Hears what the functions hear.

    Parameters
    ----------
    aws
        The local AWS.
    bus
        Name of Sagewatch's own bus.
    log
        The file; written anew.
    """

    def __init__(self, aws: LocalAws, bus: str, log: Path) -> None:
        self._events = aws.client("events")
        self._sqs = aws.client("sqs")
        self._bus = bus
        self._log = log
        self._url = ""
        self._lock = threading.Condition()
        self._heard: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="recorder", daemon=True)

    def start(self) -> None:
        """Put a rule on each bus and begin to listen."""
        self._log.write_text("", encoding="utf-8")
        self._url = self._sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        for name, bus in (("default", "default"), ("own", self._bus)):
            rule = f"{QUEUE}-{name}"
            self._events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps(_PATTERNS[name]))
            self._events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "log", "Arn": arn}])
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(_POLL_SECONDS + 10)

    def heard(self, detail_type: str = "") -> list[dict[str, Any]]:
        """The events so far, of one type or of all."""
        with self._lock:
            return [e for e in self._heard if not detail_type or e["detail-type"] == detail_type]

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_seconds: float
    ) -> dict[str, Any] | None:
        """The first event for which ``wanted`` holds, past or coming; None when time is over."""
        with self._lock:
            self._lock.wait_for(lambda: any(map(wanted, self._heard)), timeout_seconds)
            return next(filter(wanted, self._heard), None)

    def follow(self) -> Iterator[dict[str, Any]]:
        """Every event, past and coming, until the recorder stops."""
        position = 0
        while not self._stop.is_set():
            with self._lock:
                self._lock.wait_for(lambda: len(self._heard) > position, 0.5)  # noqa: B023 (used at once)
                fresh = self._heard[position:]
            position += len(fresh)
            yield from fresh

    def _poll(self) -> None:
        while not self._stop.is_set():
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS
            )
            messages = answer.get("Messages", [])
            events = [json.loads(message["Body"]) for message in messages]
            with self._log.open("a", encoding="utf-8") as lines:
                lines.writelines(json.dumps(event) + "\n" for event in events)
            with self._lock:
                self._heard += events
                self._lock.notify_all()
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
