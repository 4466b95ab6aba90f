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
    """

    def __init__(self) -> None:
        self.executions: list[dict[str, Any]] = []
        self.statuses: dict[str, dict[str, str]] = {}

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

    def list_monitoring_schedules(self, endpoint: str) -> dict[str, str]:
        """Status of each schedule of an endpoint."""
        return dict(self.statuses.get(endpoint, {}))
