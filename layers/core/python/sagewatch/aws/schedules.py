"""``Schedules``: SageMaker's monitoring schedules and what became of their runs. Source: SageMaker API reference."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.errors import RefusedError

_PAGE = 100


class SageMakerSchedules:
    """Monitoring schedules of endpoints.

    Parameters
    ----------
    client
        A boto3 client; by default the process's own.
    """

    def __init__(self, client: Any = None) -> None:
        self._client = client or build_client("sagemaker")

    def list_monitoring_executions(
        self, endpoint: str, since: datetime, *, failed: bool = True
    ) -> list[dict[str, Any]]:
        """The runs after a time, or those alone that failed; one page, the latest first, is more than days of them."""
        wanted = {"StatusEquals": "Failed"} if failed else {}
        try:
            with sorting_errors():
                answer = self._client.list_monitoring_executions(
                    EndpointName=endpoint,
                    **wanted,
                    ScheduledTimeAfter=since,
                    SortBy="ScheduledTime",
                    SortOrder="Descending",
                    MaxResults=_PAGE,
                )
        except ClientError as error:
            raise _refuse(error) from error
        return list(answer["MonitoringExecutionSummaries"])

    def list_monitoring_schedules(self, endpoint: str) -> list[dict[str, Any]]:
        """The schedules of an endpoint, of every kind of monitor."""
        try:
            with sorting_errors():
                answer = self._client.list_monitoring_schedules(EndpointName=endpoint, MaxResults=_PAGE)
        except ClientError as error:
            raise _refuse(error) from error
        return list(answer["MonitoringScheduleSummaries"])


def _refuse(error: ClientError) -> RefusedError:
    message = str(error.response.get("Error", {}).get("Message", ""))
    return RefusedError(error.operation_name, read_code(error), message)
