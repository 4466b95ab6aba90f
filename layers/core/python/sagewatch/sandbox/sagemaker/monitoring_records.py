"""What the local SageMaker remembers of schedules and executions, and how it tells them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.monitoring_kinds import DEFAULT_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagewatch.sandbox.sagemaker.monitoring_run import PlannedRun
    from sagewatch.sandbox.sagemaker.store import JobRecord

PENDING_SECONDS = 0.3
NO_DATA = "Job inputs had no data"


@dataclass(slots=True)
class ExecutionRecord:
    """One run of a schedule; without a job it failed at once.

    `then` is the analysis that begins once the job, which joins captures with ground truth, has completed.
    """

    schedule: str
    endpoint: str
    scheduled: datetime
    created: float
    modified: float
    window_end: datetime
    definition_name: str | None = None
    job: JobRecord | None = None
    failure_reason: str | None = None
    monitoring_type: str = DEFAULT_KIND
    then: PlannedRun | None = None

    @property
    def status(self) -> str:
        """As SageMaker tells it: the job's, and whether its message speaks of violations."""
        if self.job is None:
            return "Failed"
        if self.then is not None and self.job.status == "Completed":
            return "InProgress"
        if self.job.status == "Completed" and (self.job.exit_message or "").startswith(
            "CompletedWithViolations"
        ):
            return "CompletedWithViolations"
        return self.job.status

    def summarise(self) -> dict[str, Any]:
        """As ListMonitoringExecutions has it."""
        summary = {
            "MonitoringScheduleName": self.schedule,
            "ScheduledTime": self.scheduled.timestamp(),
            "CreationTime": self.created,
            "LastModifiedTime": self.job.modified if self.job else self.modified,
            "MonitoringExecutionStatus": self.status,
            "EndpointName": self.endpoint or None,
            "ProcessingJobArn": self.job.arn if self.job else None,
            "FailureReason": self.job.failure_reason if self.job else self.failure_reason,
            "MonitoringJobDefinitionName": self.definition_name,
            "MonitoringType": self.monitoring_type,
        }
        return {key: value for key, value in summary.items() if value is not None}


@dataclass(slots=True)
class ScheduleRecord:
    """A schedule now. `due_from` is the time from which the next run is counted."""

    name: str
    arn: str
    config: Mapping[str, Any]
    endpoint: str
    created: float
    modified: float
    due_from: datetime
    stopped: bool = False
    ran_once: bool = False
    executions: list[ExecutionRecord] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Pending for a moment after each change, then Scheduled or Stopped."""
        if time.time() - self.modified < PENDING_SECONDS:  # noqa: TID251  an edge
            return "Pending"
        return "Stopped" if self.stopped else "Scheduled"

    @property
    def expression(self) -> str | None:
        """The cron expression; None where none was given."""
        expression = self.config.get("ScheduleConfig", {}).get("ScheduleExpression")
        return None if expression is None else str(expression)

    def describe(self) -> dict[str, Any]:
        """As DescribeMonitoringSchedule has it."""
        described = {
            "MonitoringScheduleArn": self.arn,
            "MonitoringScheduleName": self.name,
            "MonitoringScheduleStatus": self.status,
            "MonitoringType": self.config.get("MonitoringType", DEFAULT_KIND),
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "MonitoringScheduleConfig": self.config,
            "EndpointName": self.endpoint or None,
            "MonitoringJobDefinitionName": self.config.get("MonitoringJobDefinitionName"),
        }
        if self.executions:
            described["LastMonitoringExecutionSummary"] = self.executions[-1].summarise()
        return described
