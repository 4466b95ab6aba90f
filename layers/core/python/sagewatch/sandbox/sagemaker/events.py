"""SageMaker's events on the default bus: their details, and a sender that can lose, double, delay and shuffle them.

Source: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.faults import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
JOB_CHANGE = "SageMaker Processing Job State Change"
JOB_EVENT_KEYS = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingJobName",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
    "ExperimentConfig",
    "ProcessingJobArn",
    "ProcessingJobStatus",
    "ExitMessage",
    "FailureReason",
)
JOB_EVENT_TIMES = ("ProcessingEndTime", "ProcessingStartTime", "LastModifiedTime", "CreationTime")


def upper_snake(status: str) -> str:
    """An API status in the spelling of events.

    Examples
    --------
    >>> upper_snake("InService")
    'IN_SERVICE'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()


def milliseconds(seconds: float) -> float:
    """Unix seconds as events count them."""
    return round(seconds * 1000)


def build_endpoint_detail(described: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of an endpoint's state change, from what DescribeEndpoint answers."""
    return {
        "EndpointName": described["EndpointName"],
        "EndpointArn": described["EndpointArn"],
        "EndpointConfigName": described["EndpointConfigName"],
        "ProductionVariants": [
            {key: value for key, value in variant.items() if key != "DeployedImages"}
            for variant in described.get("ProductionVariants", [])
        ],
        "EndpointStatus": upper_snake(described["EndpointStatus"]),
        "CreationTime": float(milliseconds(described["CreationTime"])),
        "LastModifiedTime": float(milliseconds(described["LastModifiedTime"])),
        "Tags": {},
    }


def build_job_detail(described: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of a job's state change, from what DescribeProcessingJob answers."""
    detail = {key: described[key] for key in JOB_EVENT_KEYS if key in described}
    detail |= {key: milliseconds(described[key]) for key in JOB_EVENT_TIMES if key in described}
    return detail


class EventSender:
    """Puts state changes on the default bus, as wrongly as it is told.

    Parameters
    ----------
    events
        A boto3 client of EventBridge.
    faults
        What is to go wrong.
    seed
        For the order of shuffled events.
    """

    def __init__(self, events: Any, faults: Faults, seed: int) -> None:
        self._events = events
        self._faults = faults
        self._random = random.Random(seed)
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()

    def send(self, detail_type: str, arn: str, detail: Mapping[str, Any]) -> None:
        """Send one event: usually once, at once."""
        if self._faults.take(Fault.LOSE_EVENT):
            LOG.info("event_lost %s %s", detail_type, arn)
            return
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": detail_type,
            "Resources": [arn],
            "Detail": json.dumps(detail),
        }
        copies = 2 if self._faults.take(Fault.DOUBLE_EVENT) else 1
        for _ in range(copies):
            delay = self._delay()
            if delay <= 0:
                self._put(entry)
            else:
                timer = threading.Timer(delay, self._put, [entry])
                timer.daemon = True
                with self._lock:
                    self._timers.append(timer)
                timer.start()

    def stop(self) -> None:
        """Forget what is still to be sent."""
        with self._lock:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    def _delay(self) -> float:
        delayed = self._faults.take(Fault.DELAY_EVENT)
        shuffled = self._faults.take(Fault.SHUFFLE_EVENT)
        fixed = delayed.seconds if delayed else 0.0
        return fixed + (self._random.uniform(0, shuffled.seconds) if shuffled else 0.0)

    def _put(self, entry: dict[str, Any]) -> None:
        self._events.put_events(Entries=[entry])
