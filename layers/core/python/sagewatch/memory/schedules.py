"""``Schedules`` in memory: executions and schedules are what a test says they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class MemorySchedules:
    """Monitoring schedules in dicts.

    Attributes
    ----------
    executions
        Summaries as ListMonitoringExecutions has them.
    statuses
        Endpoint -> schedule -> status.
    kinds
        Schedule -> what it monitors, where that is not data quality.
    """

    def __init__(self) -> None:
        self.executions: list[dict[str, Any]] = []
        self.statuses: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, str] = {}

    def list_monitoring_executions(
        self, endpoint: str, since: datetime, *, failed: bool = True
    ) -> list[dict[str, Any]]:
        """The runs after a time, or those alone that failed."""
        return [
            row
            for row in self.executions
            if row["EndpointName"] == endpoint
            and (not failed or row["MonitoringExecutionStatus"] == "Failed")
            and row["ScheduledTime"] > since
        ]

    def list_monitoring_schedules(self, endpoint: str) -> list[dict[str, Any]]:
        """The schedules of an endpoint."""
        return [
            {
                "MonitoringScheduleName": name,
                "MonitoringScheduleStatus": status,
                "MonitoringType": self.kinds.get(name, "DataQuality"),
            }
            for name, status in self.statuses.get(endpoint, {}).items()
        ]
