"""EventBridge's archives of a stack: replays started and waited for, and events read out of an archive.

An archive cannot be read, only replayed; so reading one replays it to a rule and a queue made for that alone,
which wakes no function, and both are removed again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sagewatch.errors import RejectedInputError, SagewatchError
from sagewatch.replay.recording import Event

ARCHIVE_OF = {
    "CaptureRule": "CaptureArchive",
    "TensorsRule": "CaptureArchive",
    "EndpointStateRule": "SageMakerArchive",
    "ExplainJobRule": "SageMakerArchive",
    "MonitoringJobRule": "SageMakerArchive",
    "FindingRule": "FactArchive",
    "DiagnosedIncidentRule": "FactArchive",
    "AlertRule": "FactArchive",
    "IncidentActionRule": "FactArchive",
    "DiagnosisActionRule": "FactArchive",
}
"""The archive out of which each rule of ``resources/events.yml`` is played; ``FactArchive`` is of our own bus."""

REHEARSED = ("CaptureRule", "MonitoringJobRule", "FindingRule")
"""The rules of which a rehearsal shows anything: from them on it makes incidents of its own, and moves no endpoint."""

ARCHIVES = ("CaptureArchive", "SageMakerArchive", "FactArchive")
ARRIVES_WITHIN = timedelta(minutes=10)
"""How late an event may come into an archive: AWS says to wait so long before it is replayed."""
_WAIT_SECONDS = 2
_EMPTY_ANSWERS = 3
_OVER = frozenset({"COMPLETED", "CANCELLED", "FAILED"})


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as EventBridge remembers it: of which stretch, when, and how it stands."""

    name: str
    state: str
    start: datetime
    end: datetime
    played_at: datetime


class ReplayFailedError(SagewatchError):
    """EventBridge did not play an archive to its end."""

    def __init__(self, name: str, state: str, reason: str) -> None:
        super().__init__(f"The replay {name} ended as {state.lower()}: {reason or 'no reason was given'}.")
        self.state = state


class Archives:
    """A stack's archives.

    Parameters
    ----------
    stack
        Its name.
    bus
        Its own bus.
    """

    def __init__(self, stack: str, bus: str) -> None:
        import boto3

        session = boto3.session.Session()
        self._events = session.client("events")
        self._sqs = session.client("sqs")
        self._resources = session.client("cloudformation")
        self._stack = stack
        self._bus = bus

    def replay(self, name: str, rule: str, start: datetime, end: datetime, poll_seconds: float = 2.0) -> None:
        """Play an archive's stretch to one of the stack's rules, and wait for its end.

        Raises
        ------
        ReplayFailedError
            It did not complete.
        """
        own = ARCHIVE_OF[rule] == "FactArchive"
        bus = self._bus if own else "default"
        physical = self._find(rule).rpartition("|")[2].rpartition("/")[2]
        arn = self._events.describe_rule(Name=physical, EventBusName=bus)["Arn"]
        self._play(name, ARCHIVE_OF[rule], arn, start, end, poll_seconds)

    def read(self, archive: str, name: str, start: datetime, end: datetime) -> Iterator[Event]:
        """The events of a stretch, in no particular order."""
        bus = self._bus if archive == "FactArchive" else "default"
        with self._listen(name, bus) as (rule_arn, queue_url):
            self._play(name, archive, rule_arn, start, end, 2.0)
            # The replay is over when its events are out; the rule hands the last of them to the queue after that.
            silent = 0
            while silent < _EMPTY_ANSWERS:
                answer = self._sqs.receive_message(
                    QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS
                )
                messages = answer.get("Messages", [])
                silent = 0 if messages else silent + 1
                for message in messages:
                    self._sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                    yield json.loads(message["Body"])

    def list_played(self, kinds: Sequence[str]) -> list[Played]:
        """What was played of the stack's archives, the latest first; EventBridge forgets it after 90 days.

        Parameters
        ----------
        kinds
            First words of the names.
        """
        ours = {self._describe_archive(archive)["ArchiveArn"] for archive in ARCHIVES}
        found = [
            Played(
                name=row["ReplayName"],
                state=row["State"],
                start=row["EventStartTime"],
                end=row["EventEndTime"],
                played_at=row["ReplayStartTime"],
            )
            for kind in kinds
            for row in self._list_replays(f"{kind}.")
            if row["EventSourceArn"] in ours
        ]
        return sorted(found, key=lambda one: (one.played_at, one.name), reverse=True)

    def _list_replays(self, prefix: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            answer = self._events.list_replays(NamePrefix=prefix, **more)
            yield from answer["Replays"]
            if not answer.get("NextToken"):
                return
            more = {"NextToken": answer["NextToken"]}

    def _play(
        self, name: str, archive: str, rule_arn: str, start: datetime, end: datetime, poll_seconds: float
    ) -> None:
        found = self._describe_archive(archive)
        self._events.start_replay(
            ReplayName=name,
            EventSourceArn=found["ArchiveArn"],
            EventStartTime=start,
            EventEndTime=end,
            Destination={"Arn": found["EventSourceArn"], "FilterArns": [rule_arn]},
        )
        while True:
            seen: dict[str, Any] = self._events.describe_replay(ReplayName=name)
            if seen["State"] in _OVER:
                break
            time.sleep(poll_seconds)
        if seen["State"] != "COMPLETED":
            raise ReplayFailedError(name, seen["State"], seen.get("StateReason", ""))

    @contextmanager
    def _listen(self, name: str, bus: str) -> Iterator[tuple[str, str]]:
        """A queue of our own behind a rule that takes only this replay's events."""
        plain = name.replace(".", "-")
        # Each is removed again from when it is there on, whatever goes wrong with the next one.
        with ExitStack() as made:
            url = self._sqs.create_queue(QueueName=plain)["QueueUrl"]
            made.callback(self._sqs.delete_queue, QueueUrl=url)
            queue_arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])[
                "Attributes"
            ]["QueueArn"]
            pattern = json.dumps({"replay-name": [name]})
            rule_arn = self._events.put_rule(Name=plain, EventBusName=bus, EventPattern=pattern)["RuleArn"]
            made.callback(self._events.delete_rule, Name=plain, EventBusName=bus)
            allowed = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
            target = {"Id": "reader", "Arn": queue_arn}
            self._events.put_targets(Rule=plain, EventBusName=bus, Targets=[target])
            made.callback(self._events.remove_targets, Rule=plain, EventBusName=bus, Ids=["reader"])
            yield rule_arn, url

    def _describe_archive(self, logical: str) -> dict[str, Any]:
        return dict(self._events.describe_archive(ArchiveName=self._find_archive(logical)))

    def _find_archive(self, logical: str) -> str:
        """Its name: CloudFormation's, which carries the logical one where CloudFormation does not tell."""
        name = self._find(logical)
        if name:
            return name
        names = [row["ArchiveName"] for row in self._events.list_archives()["Archives"]]
        return next((one for one in names if logical in one), logical)

    def _find(self, logical: str) -> str:
        """Physical name of one of the stack's resources."""
        for page in self._resources.get_paginator("list_stack_resources").paginate(StackName=self._stack):
            for row in page["StackResourceSummaries"]:
                if row["LogicalResourceId"] == logical:
                    return str(row["PhysicalResourceId"])
        raise RejectedInputError(f"has no {logical}", where=f"stack {self._stack}")


def find_complete(until: datetime, now: datetime) -> datetime:
    """Until when an archive holds all of a window: the newest minutes may still come."""
    return min(until, now - ARRIVES_WITHIN)


def tell_newest(until: datetime, now: datetime) -> str:
    """What a window may lack that reaches into the newest minutes; empty where it does not."""
    complete = find_complete(until, now)
    if complete == until:
        return ""
    return (
        f"Events of after {complete:%Y-%m-%d %H:%M:%S} UTC may be missing: they reach an archive up to 10 minutes late. "
        f"For all of them run this again in 10 minutes with --to {min(until, now):%Y-%m-%dT%H:%M:%SZ}."
    )


def read_archives(stack: str, bus: str, now: datetime, start: datetime, end: datetime) -> list[Event]:
    """The events of a window, of all the stack's archives, in no particular order.

    Parameters
    ----------
    now
        Goes into the names of the replays that read them.
    """
    archives = Archives(stack, bus)

    def read(archive: str) -> list[Event]:
        return list(archives.read(archive, f"record.{now:%Y%m%dT%H%M%S}.{archive.lower()}", start, end))

    # Side by side: reading one is mostly waiting.
    with ThreadPoolExecutor(len(ARCHIVES)) as pool:
        return [event for found in pool.map(read, ARCHIVES) for event in found]
