"""Monitoring schedules: CreateMonitoringSchedule and its like, and the clock that fires them.

A run begins by cron, its hours shortened by the speed-up, or by `fire`.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.monitoring_clock import DAILY, NOW, next_run, parse_offset, parse_period
from sagewatch.sandbox.sagemaker.monitoring_definitions import DefinitionOperations
from sagewatch.sandbox.sagemaker.monitoring_executions import ExecutionOperations
from sagewatch.sandbox.sagemaker.monitoring_kinds import read_input, read_kind
from sagewatch.sandbox.sagemaker.monitoring_records import ScheduleRecord
from sagewatch.sandbox.sagemaker.monitoring_run import CLARIFY
from sagewatch.sandbox.sagemaker.monitoring_sources import Sources
from sagewatch.sandbox.sagemaker.protocol import ApiError, only_members, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.sandbox.sagemaker.capture_writer import CaptureWriter
    from sagewatch.sandbox.sagemaker.processing import ProcessingOperations
    from sagewatch.sandbox.sagemaker.store import Store

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.2


class MonitoringOperations:
    """Schedules, and the thread that fires them.

    Parameters
    ----------
    s3
        A boto3 client, to see whether a window has captures.
    speed_up
        An hourly schedule runs every 3600 / speed_up seconds, each run on the traffic since the run before.
    """

    def __init__(
        self, store: Store, jobs: ProcessingOperations, captures: CaptureWriter, s3: Any, speed_up: float
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._captures = captures
        self._sources = Sources(store, s3)
        self._speed_up = speed_up
        self._schedules: dict[str, ScheduleRecord] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch_the_clock, name="monitoring", daemon=True)
        self._definitions = DefinitionOperations(store, self._list_users)
        self._executions = ExecutionOperations(store, jobs, self._definitions, self._sources)
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateMonitoringSchedule": self.create,
            "DescribeMonitoringSchedule": self.describe,
            "UpdateMonitoringSchedule": self.update,
            "StartMonitoringSchedule": self.start_schedule,
            "StopMonitoringSchedule": self.stop_schedule,
            "DeleteMonitoringSchedule": self.delete,
            "ListMonitoringSchedules": self.list_schedules,
            **self._definitions.operations,
            **self._executions.operations,
        }

    def start(self) -> None:
        """Begin to look at the clock."""
        self._thread.start()

    def stop(self) -> None:
        """Fire nothing any more."""
        self._stop.set()
        self._thread.join()

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a schedule down; it runs from now on."""
        name = request["MonitoringScheduleName"]
        if name in self._schedules:
            raise ApiError(
                "ResourceInUse", f"Monitoring Schedule {self._schedules[name].arn} already exists."
            )
        config = request["MonitoringScheduleConfig"]
        endpoint = self._check_config(config)
        arn = self._store.arn("monitoring-schedule", name)
        now = time.time()  # noqa: TID251  an edge
        self._schedules[name] = ScheduleRecord(
            name, arn, config, endpoint, now, now, due_from=datetime.fromtimestamp(now, UTC)
        )
        self._store.tag(arn, request.get("Tags"))
        return {"MonitoringScheduleArn": arn}

    def schedule(self, name: str) -> ScheduleRecord:
        """A schedule by name, or the error of its absence."""
        found = self._schedules.get(name)
        if found is None:
            raise ApiError("ResourceNotFound", f"Monitoring Schedule {name} not found.")
        return found

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The schedule now."""
        described = self.schedule(request["MonitoringScheduleName"]).describe()
        return only_members("DescribeMonitoringSchedule", described)

    def update(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the whole config."""
        record = self.schedule(request["MonitoringScheduleName"])
        record.endpoint = self._check_config(request["MonitoringScheduleConfig"])
        record.config = request["MonitoringScheduleConfig"]
        record.ran_once = False
        self._touch(record)
        return {"MonitoringScheduleArn": record.arn}

    def start_schedule(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Let it run again."""
        record = self.schedule(request["MonitoringScheduleName"])
        record.stopped = False
        record.due_from = datetime.now(tz=UTC)  # noqa: TID251  an edge
        self._touch(record)
        return {}

    def stop_schedule(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Let it rest."""
        record = self.schedule(request["MonitoringScheduleName"])
        record.stopped = True
        self._touch(record)
        return {}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget the schedule; what its executions were stays."""
        record = self.schedule(request["MonitoringScheduleName"])
        del self._schedules[record.name]
        self._store.tags.pop(record.arn, None)
        return {}

    def list_schedules(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All schedules, or those of an endpoint, a job definition or a status."""
        found = [
            only_members_of_summary(record.describe())
            for record in self._schedules.values()
            if request.get("EndpointName") in {None, record.endpoint}
        ]
        wanted = request.get("MonitoringJobDefinitionName")
        return build_page(
            request,
            [one for one in found if wanted in {None, one.get("MonitoringJobDefinitionName")}],
            answer_key="MonitoringScheduleSummaries",
            name_key="MonitoringScheduleName",
            status_key="MonitoringScheduleStatus",
        )

    def fire(self, name: str, start: datetime | None = None, end: datetime | None = None) -> dict[str, Any]:
        """Run a schedule now, as its clock would; what ListMonitoringExecutions will say of it.

        Parameters
        ----------
        start, end
            The window; default: since the last run's (at first, one period long) until now.

        Raises
        ------
        ApiError
            There is no such schedule, or its endpoint is gone.
        """
        with self._store.lock:
            record = self.schedule(name)
            now = datetime.now(tz=UTC)  # noqa: TID251  an edge
            # AWS waits up to twenty minutes for captures that come late; here they are simply written.
            if record.endpoint:
                self._captures.flush(record.endpoint)
            execution = self._executions.begin(record, start, end, now)
            record.due_from = now
            return execution.summarise()

    def _check_config(self, config: Mapping[str, Any]) -> str:
        """The endpoint that is watched, empty for a batch transform; or the error of a config that SageMaker would refuse."""
        if ("MonitoringJobDefinition" in config) == ("MonitoringJobDefinitionName" in config):
            raise refused("Either MonitoringJobDefinition or MonitoringJobDefinitionName must be given.")
        schedule = config.get("ScheduleConfig", {})
        if schedule.get("ScheduleExpression") == NOW:
            for side in ("Start", "End"):
                parse_offset(schedule.get(f"DataAnalysis{side}Time", ""))
        parse_period(schedule.get("ScheduleExpression", DAILY))
        inline, kind = self._definitions.read_inline(config), read_kind(config)
        source = read_input(inline)
        if source.endpoint:
            self._sources.find_captures(source.endpoint)
        if kind.needs_truth and not (source.endpoint and inline.get("GroundTruthS3Uri")):
            raise refused(
                "The local SageMaker joins ground truth with an endpoint's captures, by a job definition."
            )
        if kind.by_clarify and not self._jobs.has_program(CLARIFY[1].rsplit("/", 1)[-1]):
            raise refused(
                "The local SageMaker has no Clarify: put a clarify.py that plays it beside analyze.py."
            )
        return source.endpoint

    def _touch(self, record: ScheduleRecord) -> None:
        record.modified = time.time()  # noqa: TID251  an edge

    def _list_users(self, kind: str, definition: str) -> list[str]:
        return [
            record.name
            for record in self._schedules.values()
            if record.config.get("MonitoringJobDefinitionName") == definition
            and read_kind(record.config).name == kind
        ]

    def _watch_the_clock(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            with self._store.lock:
                self._executions.go_on()
                due = [record.name for record in self._schedules.values() if self._is_due(record)]
            for name in due:
                try:
                    self.fire(name)
                except ApiError as error:
                    LOG.warning("schedule_could_not_run schedule=%s %s", name, error)

    def _is_due(self, record: ScheduleRecord) -> bool:
        if record.status != "Scheduled":
            return False
        period = parse_period(record.expression or DAILY)
        if period is None:
            first, record.ran_once = not record.ran_once, True
            return first
        due = next_run(record.due_from, period, self._speed_up)
        return datetime.now(tz=UTC) >= due  # noqa: TID251  an edge


def only_members_of_summary(described: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a description that ListMonitoringSchedules answers."""
    keys = (
        "MonitoringScheduleName",
        "MonitoringScheduleArn",
        "CreationTime",
        "LastModifiedTime",
        "MonitoringScheduleStatus",
        "EndpointName",
        "MonitoringJobDefinitionName",
        "MonitoringType",
    )
    return {key: described[key] for key in keys if described.get(key) is not None}
