"""Faults happen as often as injected; events have EventBridge's spelling."""

from __future__ import annotations

from typing import Any

from sagewatch.sandbox.sagemaker.events import (
    EventSender,
    build_endpoint_detail,
    build_job_detail,
    upper_snake,
)
from sagewatch.sandbox.sagemaker.faults import Fault, Faults


class RecordingBus:
    """An EventBridge that remembers."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> None:  # noqa: N803  AWS's spelling
        self.entries += Entries


def test_a_fault_is_taken_as_often_as_injected_and_only_for_its_operation() -> None:
    faults = Faults()
    faults.inject(Fault.THROTTLE, times=2, operation="UpdateEndpoint")
    assert faults.take(Fault.THROTTLE, "CreateModel") is None
    assert faults.take(Fault.THROTTLE, "UpdateEndpoint") is not None
    assert faults.take(Fault.THROTTLE, "UpdateEndpoint") is not None
    assert faults.take(Fault.THROTTLE, "UpdateEndpoint") is None


def test_a_fault_without_count_stays_until_it_is_cleared() -> None:
    faults = Faults()
    faults.inject(Fault.DOUBLE_EVENT, times=None)
    assert all(faults.take(Fault.DOUBLE_EVENT) for _ in range(5))
    faults.clear()
    assert faults.take(Fault.DOUBLE_EVENT) is None


def test_statuses_are_spelled_as_in_events() -> None:
    assert [upper_snake(s) for s in ("InService", "Updating", "UpdateRollbackFailed", "OutOfService")] == [
        "IN_SERVICE",
        "UPDATING",
        "UPDATE_ROLLBACK_FAILED",
        "OUT_OF_SERVICE",
    ]


def test_an_endpoints_detail_counts_milliseconds_and_has_no_tags() -> None:
    described = {
        "EndpointName": "e",
        "EndpointArn": "arn",
        "EndpointConfigName": "c",
        "EndpointStatus": "InService",
        "CreationTime": 1.5,
        "LastModifiedTime": 2.0,
    }
    detail = build_endpoint_detail(described)
    assert (detail["CreationTime"], detail["LastModifiedTime"]) == (1500.0, 2000.0)
    assert (detail["EndpointStatus"], detail["Tags"]) == ("IN_SERVICE", {})


def test_a_jobs_detail_keeps_the_apis_casing() -> None:
    detail = build_job_detail({"ProcessingJobStatus": "Completed", "CreationTime": 1.0, "Unknown": 1})
    assert detail == {"ProcessingJobStatus": "Completed", "CreationTime": 1000}


def test_events_are_lost_doubled_and_otherwise_sent_once() -> None:
    bus, faults = RecordingBus(), Faults()
    sender = EventSender(bus, faults, seed=1)
    faults.inject(Fault.LOSE_EVENT)
    sender.send("T", "lost", {})
    faults.inject(Fault.DOUBLE_EVENT)
    sender.send("T", "doubled", {})
    sender.send("T", "plain", {})
    assert [entry["Resources"][0] for entry in bus.entries] == ["doubled", "doubled", "plain"]


def test_a_delayed_event_that_is_still_waiting_is_dropped_at_the_end() -> None:
    bus, faults = RecordingBus(), Faults()
    sender = EventSender(bus, faults, seed=1)
    faults.inject(Fault.DELAY_EVENT, seconds=60)
    sender.send("T", "late", {})
    sender.stop()
    assert bus.entries == []
