"""``Schedules``: SageMaker's monitoring schedules and what became of their runs. Source: SageMaker API reference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.aws.deadline import Turns
from sagewatch.errors import RefusedError

_PAGE = 100


class SageMakerSchedules:
    """Monitoring schedules of endpoints.

    Parameters
    ----------
    client
        A boto3 client; by default the process's own.
    turns
        What time questions have behind which others wait; without it they have the time they take.
    """

    def __init__(self, client: Any = None, turns: Turns | None = None) -> None:
        self._client = client or build_client("sagemaker")
        self._turns = turns

    def list_monitoring_executions(
        self, endpoint: str, since: datetime, *, failed: bool = True
    ) -> list[dict[str, Any]]:
        """The runs after a time, or those alone that failed; one page, the latest first, is more than days of them."""
        wanted = {"StatusEquals": "Failed"} if failed else {}
        answer = self._ask(
            partial(
                self._client.list_monitoring_executions,
                EndpointName=endpoint,
                **wanted,
                ScheduledTimeAfter=since,
                SortBy="ScheduledTime",
                SortOrder="Descending",
                MaxResults=_PAGE,
            )
        )
        return list(answer["MonitoringExecutionSummaries"])

    def list_monitoring_schedules(self, endpoint: str) -> list[dict[str, Any]]:
        """The schedules of an endpoint, of every kind of monitor."""
        answer = self._ask(
            partial(self._client.list_monitoring_schedules, EndpointName=endpoint, MaxResults=_PAGE)
        )
        return list(answer["MonitoringScheduleSummaries"])

    def _ask(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            with sorting_errors():
                return self._turns.ask(call) if self._turns else call()
        except ClientError as error:
            raise _refuse(error) from error


def _refuse(error: ClientError) -> RefusedError:
    message = str(error.response.get("Error", {}).get("Message", ""))
    return RefusedError(error.operation_name, read_code(error), message)
