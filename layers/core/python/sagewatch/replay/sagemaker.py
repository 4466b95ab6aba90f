"""SageMaker on the virtual clock: what is asked for is done a while later, and an event says so.

Where the recording holds the event that ended it, that one ends it again; else it takes as long as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.replay.scene import HostedEndpoint

ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
JOB_CHANGE = "SageMaker Processing Job State Change"
Schedule = Callable[[datetime, dict[str, Any]], None]


class Pace(msgspec.Struct, frozen=True):
    """How long things take where no recording says."""

    swap: timedelta = timedelta(minutes=4)
    job: timedelta = timedelta(minutes=6)


class VirtualSageMaker(MemorySageMaker):
    """``Hosting`` and ``Jobs`` that settle by the events of a recording, or by their own.

    Parameters
    ----------
    now
        The virtual clock.
    schedule
        Takes an event that is to be delivered at a later time.
    awaits
        Whether the recording still holds an event of this type about this endpoint or job.
    """

    def __init__(
        self, now: Callable[[], datetime], schedule: Schedule, awaits: Callable[[str, str], bool], pace: Pace
    ) -> None:
        super().__init__()
        self._now = now
        self._schedule = schedule
        self._awaits = awaits
        self._pace = pace

    def host(self, name: str, hosted: HostedEndpoint) -> None:
        """Put an endpoint into service as it was recorded."""
        model, config = str(hosted.model["ModelName"]), str(hosted.config["EndpointConfigName"])
        arn = "arn:aws:sagemaker:eu-west-1:123456789012"
        self.models[model] = {"ModelArn": f"{arn}:model/{model}", **hosted.model}
        self.configs[config] = {"EndpointConfigArn": f"{arn}:endpoint-config/{config}", **hosted.config}
        self.endpoints[name] = {
            "EndpointName": name,
            "EndpointConfigName": config,
            "EndpointStatus": "InService",
        }

    def update_endpoint(self, name: str, config_name: str, *how: Any, **named: Any) -> None:
        """Start an update; its end comes by an event."""
        super().update_endpoint(name, config_name, *how, **named)
        if not self._awaits(ENDPOINT_CHANGE, name):
            detail = {"EndpointName": name, "EndpointStatus": "IN_SERVICE"}
            self._schedule(self._now() + self._pace.swap, _build(ENDPOINT_CHANGE, detail))

    def create_processing_job(self, request: Mapping[str, Any]) -> None:
        """Start a job; its end comes by an event."""
        super().create_processing_job(request)
        name = str(request["ProcessingJobName"])
        if not self._awaits(JOB_CHANGE, name):
            detail = {
                "ProcessingJobName": name,
                "ProcessingJobArn": f"arn:aws:sagemaker:::processing-job/{name.lower()}",
                "ProcessingJobStatus": "Completed",
            }
            self._schedule(self._now() + self._pace.job, _build(JOB_CHANGE, detail))

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event is about to be delivered: what it says is true from now on."""
        detail = event["detail"]
        if event["detail-type"] == ENDPOINT_CHANGE and detail["EndpointStatus"] in {
            "IN_SERVICE",
            "InService",
        }:
            self._settle_endpoint(str(detail["EndpointName"]))
        if event["detail-type"] == JOB_CHANGE:
            job = self.jobs.get(str(detail["ProcessingJobName"]))
            if job is not None:
                job["ProcessingJobStatus"] = detail["ProcessingJobStatus"]

    def _settle_endpoint(self, name: str) -> None:
        config = self._target.pop(name, None)
        if config is not None:
            self.endpoints[name] |= {"EndpointConfigName": config, "EndpointStatus": "InService"}


def find_subject(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """Type and name of what an event of SageMaker says has ended; None for a step on the way there."""
    detail = event.get("detail", {})
    if event.get("detail-type") == ENDPOINT_CHANGE and detail.get("EndpointStatus") in {
        "IN_SERVICE",
        "InService",
    }:
        return ENDPOINT_CHANGE, str(detail.get("EndpointName"))
    if event.get("detail-type") == JOB_CHANGE and detail.get("ProcessingJobStatus") != "InProgress":
        return JOB_CHANGE, str(detail.get("ProcessingJobName"))
    return None


def _build(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"source": "aws.sagemaker", "detail-type": kind, "detail": detail}
