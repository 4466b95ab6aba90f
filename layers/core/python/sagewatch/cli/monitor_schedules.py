"""A schedule of either kind, made, found and removed: EventBridge Scheduler's, or SageMaker's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from sagewatch.cli.schedule_owner import NameTakenError, read_monitor, read_reports, read_wake_up
from sagewatch.job_security import read_security
from sagewatch.monitoring.job import NAME_PART, OWN_MONITORS, Image
from sagewatch.monitoring.policy import (
    EVENTBRIDGE,
    MODEL_MONITOR,
    Quality,
    find_stage,
    name_legacy_schedule,
    name_monitoring_schedule,
    name_schedule,
)
from sagewatch.monitoring.schedule import build_monitoring_schedule, build_wake_up

_GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "ValidationException"})
_WAKE_UP_KEYS = ("ScheduleExpression", "State", "Target")


class LastRun(msgspec.Struct, frozen=True):
    """What came of the latest run, in SageMaker's words."""

    at: str
    status: str
    said: str = ""
    job: str = ""


class Found(msgspec.Struct, frozen=True):
    """A schedule that is there, by the name that it has there.

    ``beside``: others of this stack for the same endpoint, which a command line of an earlier version made; ``put`` removes them.
    """

    status: str
    expression: str
    name: str
    beside: tuple[str, ...] = ()


class Schedules(Protocol):
    """One kind of schedule."""

    def put(self, endpoint: str, quality: Quality) -> str:
        """Bring the schedule to what monitors.yml says: ``created``, ``updated`` or ``unchanged``."""
        ...

    def find(self, endpoint: str) -> Found | None:
        """The endpoint's schedule, or None."""
        ...

    def remove(self, endpoint: str) -> bool:
        """Remove the endpoint's schedule; False where there was none."""
        ...

    def find_last_run(self, endpoint: str) -> LastRun | None:
        """The latest run, or None before the first."""
        ...


class EventBridgeSchedules:
    """Schedules in the stack's group, which wake ``start_monitor``.

    Parameters
    ----------
    session
        Of boto3.
    outputs
        Of the stack.
    reports_uri
        Below which the stack's jobs leave their reports.
    """

    def __init__(self, session: Any, outputs: Mapping[str, str], reports_uri: str) -> None:
        self._client = session.client("scheduler")
        self._sagemaker = session.client("sagemaker")
        self._outputs = outputs
        self._reports_uri = reports_uri

    def put(self, endpoint: str, quality: Quality) -> str:
        """Create the schedule, or update it; ``NameTakenError`` where another's has its name."""
        wanted = build_wake_up(
            endpoint,
            quality,
            group=self._outputs["MonitorScheduleGroup"],
            queue_arn=self._outputs["MonitorQueueArn"],
            role_arn=self._outputs["MonitorScheduleRoleArn"],
        )
        there = _find_free(self._get, endpoint, read_wake_up)
        if there is None:
            self._client.create_schedule(**wanted)
            # Not before: between the two calls the endpoint is looked at twice rather than not at all.
            return "updated" if self._remove_legacy(endpoint) else "created"
        self._remove_legacy(endpoint)
        if holds({key: wanted[key] for key in _WAKE_UP_KEYS}, there):
            return "unchanged"
        self._client.update_schedule(**wanted)
        return "updated"

    def find(self, endpoint: str) -> Found | None:
        """As EventBridge Scheduler has it."""
        there = [one for one in (self._get_own(endpoint), self._get_legacy(endpoint)) if one]
        if not there:
            return None
        name, *beside = (one.get("Name", name_schedule(endpoint)) for one in there)
        return Found(
            there[0].get("State", "ENABLED"), there[0]["ScheduleExpression"], name, beside=tuple(beside)
        )

    def remove(self, endpoint: str) -> bool:
        """Delete the schedule; runs that are under way end by themselves."""
        legacy = self._remove_legacy(endpoint)
        if self._get_own(endpoint) is None:
            return legacy
        self._client.delete_schedule(GroupName=self._group, Name=name_schedule(endpoint))
        return True

    def find_last_run(self, endpoint: str) -> LastRun | None:
        """The endpoint's latest job of this stack; names of jobs hold the first letters of the endpoint's, which others may share."""
        part = f"{OWN_MONITORS}{endpoint[:NAME_PART].rstrip('-')}-"
        form = re.compile(re.escape(part) + r"\d{12}-[0-9a-f]+")
        pages = self._sagemaker.get_paginator("list_processing_jobs").paginate(
            NameContains=part, SortBy="CreationTime", SortOrder="Descending"
        )
        for page in pages:
            for row in page["ProcessingJobSummaries"]:
                name = row["ProcessingJobName"]
                if not form.fullmatch(name) or not self._is_of(name, endpoint):
                    continue
                said = str(row.get("FailureReason") or row.get("ExitMessage") or "")
                return LastRun(row["CreationTime"].isoformat(), row["ProcessingJobStatus"], said, name)
        return None

    def _is_of(self, job: str, endpoint: str) -> bool:
        """Whether a job of this stack looked at the endpoint: its report lies in the folder, by its schedule's name of then or now."""
        described = self._sagemaker.describe_processing_job(ProcessingJobName=job)
        outputs = described.get("ProcessingOutputConfig", {}).get("Outputs", [])
        folders = tuple(
            f"{self._reports_uri}/{endpoint}/{one}/"
            for one in (name_schedule(endpoint), name_legacy_schedule(endpoint))
            if one
        )
        return any(one.get("S3Output", {}).get("S3Uri", "").startswith(folders) for one in outputs)

    @property
    def _group(self) -> str:
        return self._outputs["MonitorScheduleGroup"]

    def _get(self, name: str) -> dict[str, Any] | None:
        return _find(self._client.get_schedule, GroupName=self._group, Name=name)

    def _get_own(self, endpoint: str) -> dict[str, Any] | None:
        there = self._get(name_schedule(endpoint))
        return there if there and read_wake_up(there) == endpoint else None

    def _get_legacy(self, endpoint: str) -> dict[str, Any] | None:
        """The schedule under the name of before, where what it sends names this very endpoint."""
        name = name_legacy_schedule(endpoint)
        there = self._get(name) if name else None
        return there if there and read_wake_up(there) == endpoint else None

    def _remove_legacy(self, endpoint: str) -> bool:
        there = self._get_legacy(endpoint)
        if there is not None:
            self._client.delete_schedule(GroupName=self._group, Name=there["Name"])
        return there is not None


class SageMakerMonitoringSchedules:
    """SageMaker's own monitoring schedules, with our image, one an endpoint and stage.

    One that an earlier version made keeps its name, which SageMaker cannot change: so no run is lost and none is doubled.
    Whose it is, its content tells: it looks at this endpoint, with our program, and reports to this stack.
    """

    def __init__(self, session: Any, image: Image, reports_uri: str) -> None:
        self._client = session.client("sagemaker")
        self._image = image
        self._reports_uri = reports_uri
        self._stage = find_stage(reports_uri.removeprefix("s3://").partition("/")[0])

    def put(self, endpoint: str, quality: Quality) -> str:
        """Create the schedule, or update it; ``NameTakenError`` where another's has its name."""
        wanted = build_monitoring_schedule(endpoint, quality, self._image, self._reports_uri, self._stage)
        own = self._list_own(endpoint)
        if not own:
            self._refuse_taken(wanted["MonitoringScheduleName"])
            self._client.create_monitoring_schedule(**wanted)
            return "created"
        there, *doubled = own
        for one in doubled:
            self._delete(one)
        standing = there["MonitoringScheduleConfig"]
        # What AWS adds by itself is no difference; a network or a key that is no longer wanted is one.
        kept = read_security(standing["MonitoringJobDefinition"], "Monitoring") == self._image.security
        if kept and holds(wanted["MonitoringScheduleConfig"], standing):
            return "unchanged"
        name = there["MonitoringScheduleName"]
        self._client.update_monitoring_schedule(**{**wanted, "MonitoringScheduleName": name})
        return "updated"

    def find(self, endpoint: str) -> Found | None:
        """As SageMaker has it."""
        own = self._list_own(endpoint)
        if not own:
            return None
        schedule = own[0]["MonitoringScheduleConfig"].get("ScheduleConfig", {})
        name, *beside = (one["MonitoringScheduleName"] for one in own)
        return Found(
            own[0]["MonitoringScheduleStatus"],
            schedule.get("ScheduleExpression", ""),
            name,
            beside=tuple(beside),
        )

    def remove(self, endpoint: str) -> bool:
        """Delete the schedule; what it found before stays."""
        own = self._list_own(endpoint)
        for there in own:
            self._delete(there)
        return bool(own)

    def find_last_run(self, endpoint: str) -> LastRun | None:
        """The latest execution."""
        there = next(iter(self._list_own(endpoint)), {})
        last = there.get("LastMonitoringExecutionSummary")
        if last is None:
            return None
        job = str(last.get("ProcessingJobArn", "")).rpartition("/")[2]
        return LastRun(
            last["ScheduledTime"].isoformat(),
            last["MonitoringExecutionStatus"],
            last.get("FailureReason", ""),
            job,
        )

    def _list_own(self, endpoint: str) -> list[dict[str, Any]]:
        """The endpoint's schedules of this stack, by the name of now and those of earlier versions."""
        names = (
            name_monitoring_schedule(endpoint, self._stage),
            name_schedule(endpoint),
            name_legacy_schedule(endpoint),
        )
        there = [self._get(name) for name in dict.fromkeys(names) if name]
        return [
            one
            for one in there
            if one and read_monitor(one) == endpoint and read_reports(one) == self._reports_uri
        ]

    def _refuse_taken(self, name: str) -> None:
        there = self._get(name)
        if there is not None:
            raise NameTakenError(name, read_monitor(there))

    def _get(self, name: str) -> dict[str, Any] | None:
        return _find(self._client.describe_monitoring_schedule, MonitoringScheduleName=name)

    def _delete(self, there: Mapping[str, Any]) -> None:
        self._client.delete_monitoring_schedule(MonitoringScheduleName=there["MonitoringScheduleName"])


def build_schedules(session: Any, outputs: Mapping[str, str], image: Image) -> dict[str, Schedules]:
    """Both kinds, by the name that monitors.yml gives them."""
    reports_uri = f"s3://{outputs['EvidenceBucket']}/reports"
    return {
        EVENTBRIDGE: EventBridgeSchedules(session, outputs, reports_uri),
        MODEL_MONITOR: SageMakerMonitoringSchedules(session, image, reports_uri),
    }


def holds(wanted: Any, there: Any) -> bool:
    """Whether all that is wanted is there; AWS adds defaults of its own.

    Examples
    --------
    >>> holds({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}), holds({"a": 1}, {})
    (True, False)
    """
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            holds(value, there.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(wanted) == len(there)
        return same and all(holds(*pair) for pair in zip(wanted, there, strict=True))
    return bool(wanted == there)


def _find_free(
    get: Callable[[str], dict[str, Any] | None],
    endpoint: str,
    read_owner: Callable[[Mapping[str, Any]], str],
) -> dict[str, Any] | None:
    """The endpoint's schedule, or None where its name is free.

    Raises
    ------
    NameTakenError
        Another's has it.
    """
    name = name_schedule(endpoint)
    there = get(name)
    if there is not None and (owner := read_owner(there)) != endpoint:
        raise NameTakenError(name, owner)
    return there


def _find(describe: Any, **names: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = describe(**names)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    return found
