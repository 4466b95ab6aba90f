"""What a schedule's runs do: choose the window, begin the jobs, tell what became of them.

A window without captures ends a run there: its execution Failed, no job is made, no event is sent, as in AWS. Where
ground truth is needed, a job joins it with the captures first, and the analysis begins when that has completed.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sagewatch.monitoring.window import Span
from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.monitoring_clock import DAILY, parse_offset, parse_period
from sagewatch.sandbox.sagemaker.monitoring_kinds import read_input, read_kind
from sagewatch.sandbox.sagemaker.monitoring_records import NO_DATA, ExecutionRecord, ScheduleRecord
from sagewatch.sandbox.sagemaker.monitoring_run import PlannedRun, build_merge_request, build_request
from sagewatch.sandbox.sagemaker.monitoring_sources import NO_TRUTH, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sagewatch.sandbox.sagemaker.monitoring_definitions import DefinitionOperations
    from sagewatch.sandbox.sagemaker.processing import ProcessingOperations
    from sagewatch.sandbox.sagemaker.store import JobRecord, Store

LOG = logging.getLogger(__name__)


class ExecutionOperations:
    """Runs of all schedules, those of deleted ones too. Whoever calls holds the store's lock."""

    def __init__(
        self, store: Store, jobs: ProcessingOperations, definitions: DefinitionOperations, sources: Sources
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._definitions = definitions
        self._sources = sources
        self._history: list[ExecutionRecord] = []
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "ListMonitoringExecutions": self.list_executions
        }

    def begin(
        self, record: ScheduleRecord, start: datetime | None, end: datetime | None, now: datetime
    ) -> ExecutionRecord:
        """A run of a schedule on a window; default: since the last run's (at first, one period long) until now."""
        execution = self._run(record, _choose_span(record, start, end, now), now)
        record.executions.append(execution)
        self._history.append(execution)
        return execution

    def go_on(self) -> None:
        """Begin the analyses whose captures have been joined with ground truth."""
        for execution in self._history:
            planned, job = execution.then, execution.job
            if planned is None or job is None or job.status in {"InProgress", "Stopping"}:
                continue
            execution.then = None
            if job.status == "Completed":
                joined = self._sources.keep_filled(planned.joined_uri, planned.folders)
                arn = self._store.arn("monitoring-schedule", planned.schedule)
                execution.job = self._begin(build_request(replace(planned, folders=joined)), arn)

    def list_executions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What became of the runs."""
        summaries = [record.summarise() for record in self._history]
        for key in ("MonitoringScheduleName", "EndpointName"):
            summaries = [one for one in summaries if request.get(key) in {None, one.get(key)}]
        for key in ("ScheduledTime", "CreationTime", "LastModifiedTime"):
            before, after = request.get(f"{key}Before"), request.get(f"{key}After")
            summaries = [
                one
                for one in summaries
                if (before is None or one[key] < before) and (after is None or one[key] > after)
            ]
        return build_page(
            request,
            summaries,
            answer_key="MonitoringExecutionSummaries",
            name_key="MonitoringScheduleName",
            status_key="MonitoringExecutionStatus",
        )

    def _run(self, record: ScheduleRecord, span: Span, now: datetime) -> ExecutionRecord:
        moment = now.timestamp()
        kind, inline = read_kind(record.config), self._definitions.read_inline(record.config)
        execution = ExecutionRecord(
            schedule=record.name,
            endpoint=record.endpoint,
            scheduled=now.replace(microsecond=0),
            created=moment,
            modified=moment,
            window_end=span.end,
            definition_name=record.config.get("MonitoringJobDefinitionName"),
            monitoring_type=kind.name,
        )
        source = read_input(inline)
        span = _shift(span, source.given)
        capture_uri, folders = self._sources.list_data(source, span)
        if not folders:
            execution.failure_reason = NO_DATA
            LOG.info("execution_without_data schedule=%s", record.name)
            return execution
        job_name = f"{kind.job}-{now:%Y%m%d%H%M}-{uuid.uuid4().hex[:24]}"  # noqa: TID251  an edge
        planned = PlannedRun(record.name, job_name, kind, inline, span, capture_uri, folders)
        if kind.needs_truth:
            self._begin_merge(execution, planned, record.arn)
        else:
            execution.job = self._begin(build_request(planned), record.arn)
        return execution

    def _begin_merge(self, execution: ExecutionRecord, planned: PlannedRun, arn: str) -> None:
        uri = str(planned.inline["GroundTruthS3Uri"]).rstrip("/")
        truth = self._sources.find_truth(uri, planned.span)
        if not truth:
            execution.failure_reason = NO_TRUTH.format(uri=f"{uri}/{planned.span.start:%Y/%m/%d/%H}")
            LOG.info("execution_without_ground_truth schedule=%s", planned.schedule)
            return
        execution.job = self._begin(build_merge_request(planned, truth), arn)
        execution.then = planned

    def _begin(self, request: dict[str, Any], arn: str) -> JobRecord:
        self._jobs.create(request, schedule_arn=arn)
        return self._store.jobs[request["ProcessingJobName"]]


def _choose_span(record: ScheduleRecord, start: datetime | None, end: datetime | None, now: datetime) -> Span:
    config = record.config.get("ScheduleConfig", {})
    until = end or now.replace(microsecond=0)
    period = parse_period(record.expression or DAILY)
    if period is None and start is None:
        offsets = [parse_offset(config[f"DataAnalysis{side}Time"]) for side in ("Start", "End")]
        return Span(until + offsets[0], until + offsets[1])
    if start is None:
        ends = [one.window_end for one in record.executions]
        start = ends[-1] if ends else until - (period or timedelta(hours=1))
    return Span(start, until)


def _shift(span: Span, given: Mapping[str, Any]) -> Span:
    """The window moved by the input's offsets, for labels that come late."""
    start, end = (parse_offset(given.get(f"{side}TimeOffset") or "PT0H") for side in ("Start", "End"))
    return Span(span.start + start, span.end + end)
