"""Whose a schedule is: its content tells, for names can meet.

An endpoint's name of 50 letters makes the very name that an earlier version cut longer ones to, and people name schedules
of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sagewatch.errors import SagewatchError
from sagewatch.monitoring.job import ENTRYPOINT
from sagewatch.monitoring.schedule import DUE


class NameTakenError(SagewatchError):
    """Another's schedule has the name that the endpoint's must have; nothing was changed.

    Parameters
    ----------
    schedule
        The name.
    owner
        The endpoint that Sagewatch looks at by it; empty where somebody else made it.
    """

    def __init__(self, schedule: str, owner: str) -> None:
        why = (
            f"is that of {owner}, named so by an earlier version. Run `sagewatch monitor delete {owner}` and `sagewatch monitor "
            f"create {owner}`, which gives it a name of its own, and then this again"
            if owner
            else "was not made by Sagewatch. Remove it, or leave this endpoint to it"
        )
        super().__init__(f"the schedule {schedule} {why}; nothing was changed")
        self.schedule = schedule
        self.owner = owner


def read_wake_up(schedule: Mapping[str, Any]) -> str:
    """The endpoint that a schedule of EventBridge wakes us for; empty where its message is none of ours.

    Examples
    --------
    >>> read_wake_up({"Target": {"Input": '{"detail-type": "Monitor Due", "detail": {"endpoint": "churn"}}'}})
    'churn'
    >>> read_wake_up({"Target": {"Input": "hello"}})
    ''
    """
    try:
        told = json.loads(schedule["Target"].get("Input", ""))
        return str(told["detail"]["endpoint"]) if told["detail-type"] == DUE else ""
    except (ValueError, KeyError, TypeError):
        return ""


def read_monitor(schedule: Mapping[str, Any]) -> str:
    """The endpoint that a schedule of SageMaker looks at with our program; empty where it was not made here.

    Examples
    --------
    >>> read_monitor({"MonitoringScheduleConfig": {"MonitoringJobDefinitionName": "theirs"}})
    ''
    """
    job = schedule.get("MonitoringScheduleConfig", {}).get("MonitoringJobDefinition", {})
    watched = [
        one.get("EndpointInput", {}).get("EndpointName", "") for one in job.get("MonitoringInputs", [])
    ]
    program = job.get("MonitoringAppSpecification", {}).get("ContainerEntrypoint")
    return str(watched[0]) if len(watched) == 1 and program == list(ENTRYPOINT) else ""


def read_reports(schedule: Mapping[str, Any]) -> str:
    """Where a schedule of SageMaker leaves its reports: which stack made it; empty where it does not say."""
    job = schedule.get("MonitoringScheduleConfig", {}).get("MonitoringJobDefinition", {})
    outputs = job.get("MonitoringOutputConfig", {}).get("MonitoringOutputs", [])
    return str(outputs[0].get("S3Output", {}).get("S3Uri", "")).rstrip("/") if outputs else ""
