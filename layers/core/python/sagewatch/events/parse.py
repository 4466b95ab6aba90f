"""EventBridge envelopes, from AWS and from our own bus, become facts.

Sources: S3 "Event message structure for EventBridge"; SageMaker "Events that Amazon SageMaker AI sends
to Amazon EventBridge". What the documents leave open was read off real events: times come as ISO 8601 or
as epoch milliseconds, statuses in two spellings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.events.facts import (
    CANARY,
    MARK,
    ActionRequested,
    AlertDue,
    CanaryDue,
    CaptureLanded,
    CaptureRejected,
    DiagnosisChanged,
    EndpointChanged,
    Fact,
    FindingReported,
    Ignored,
    IncidentChanged,
    JobChanged,
    MonitorDue,
    TensorsLanded,
    Ticked,
)
from sagewatch.finding import Finding
from sagewatch.place import Place

TENSORS_KEY = re.compile(r"^tensors/(?P<incident>[^/]+)/.*index/\d{9}/[^/]+\.json$")
_MILLISECONDS = re.compile(r"^\d{12,14}(\.\d+)?$")
T = TypeVar("T")


def parse_event(event: Mapping[str, Any]) -> Fact:
    """What an EventBridge event says, as a typed fact.

    Parameters
    ----------
    event
        The envelope, as decoded from JSON.

    Returns
    -------
    Fact
        ``Ignored`` with a reason for events of no concern.

    Raises
    ------
    RejectedInputError
        The event claims to be one of ours and lacks what it must have; names the key.

    Examples
    --------
    >>> parse_event({"source": "aws.health", "detail-type": "Something", "id": "1"})
    Ignored(reason='no_such_event', about='aws.health/Something')
    """
    source = str(event.get("source", ""))
    kind = str(event.get("detail-type", ""))
    if source == "sagewatch" and kind in _OWN:
        return _OWN[kind](event)
    if (source, kind) in _AWS:
        return _AWS[source, kind](event)
    return Ignored("no_such_event", f"{source}/{kind}")


def parse_time(value: object, *, where: str, key: str) -> datetime:
    """An event's time, in UTC, whether it came as ISO 8601 or as epoch milliseconds.

    Raises
    ------
    RejectedInputError
        The value is neither.

    Examples
    --------
    >>> parse_time("1583831889050", where="event", key="time").isoformat()
    '2020-03-10T09:18:09.050000+00:00'
    """
    text = str(value)
    try:
        if _MILLISECONDS.match(text):
            return datetime.fromtimestamp(float(text) / 1000, UTC)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        raise RejectedInputError(f"not a time: {text[:40]!r}", where=where, key=key) from None


def _where(event: Mapping[str, Any]) -> str:
    return f"event {event.get('id', '?')} ({event.get('detail-type', '?')})"


def _need(event: Mapping[str, Any], *path: str) -> Any:
    value: Any = event
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            raise RejectedInputError("is missing", where=_where(event), key=".".join(path))
        value = value[step]
    return value


def _at(event: Mapping[str, Any]) -> datetime:
    return parse_time(_need(event, "time"), where=_where(event), key="time")


def read_place(event: Mapping[str, Any]) -> Place | None:
    """Where it happened. EventBridge writes both itself, and keeps them when a bus forwards the event."""
    account, region = event.get("account"), event.get("region")
    return Place(str(account), str(region)) if account and region else None


def _object_created(event: Mapping[str, Any]) -> Fact:
    key = str(_need(event, "detail", "object", "key"))
    bucket = str(_need(event, "detail", "bucket", "name"))
    tensors = TENSORS_KEY.match(key)
    if tensors:
        return TensorsLanded(bucket, key, tensors["incident"], _at(event))
    if not key.endswith(".jsonl"):
        return Ignored("not_a_capture", f"s3://{bucket}/{key}")
    etag = str(_need(event, "detail", "object", "etag")).strip('"')
    size = _need(event, "detail", "object", "size")
    if not isinstance(size, int):
        raise RejectedInputError(f"not a size: {size!r}", where=_where(event), key="detail.object.size")
    return CaptureLanded(bucket, key, etag, size, _at(event), read_place(event))


def _spell(status: str) -> str:
    """``IN_SERVICE`` of the events and ``InService`` of the API are one word: ``InService``."""
    return "".join(part.capitalize() for part in status.split("_")) if status.isupper() else status


def _endpoint_changed(event: Mapping[str, Any]) -> Fact:
    name = str(_need(event, "detail", "EndpointName"))
    status = _spell(str(_need(event, "detail", "EndpointStatus")))
    return EndpointChanged(name, status, _at(event), read_place(event))


def _job_changed(event: Mapping[str, Any]) -> Fact:
    return JobChanged(
        str(_need(event, "detail", "ProcessingJobName")),
        str(_need(event, "detail", "ProcessingJobArn")),
        _spell(str(_need(event, "detail", "ProcessingJobStatus"))),
        _at(event),
        read_place(event),
    )


def _detail(event: Mapping[str, Any], type_: type[T]) -> T:
    try:
        return msgspec.convert(_need(event, "detail"), type_)
    except msgspec.ValidationError as error:
        raise RejectedInputError(str(error), where=_where(event), key="detail") from None


def _finding(event: Mapping[str, Any]) -> Fact:
    return FindingReported(_detail(event, Finding))


def _incident(event: Mapping[str, Any]) -> Fact:
    return _detail(event, IncidentChanged)


def _diagnosis(event: Mapping[str, Any]) -> Fact:
    return _detail(event, DiagnosisChanged)


def _alert_due(event: Mapping[str, Any]) -> Fact:
    return _detail(event, AlertDue)


def _action(event: Mapping[str, Any]) -> Fact:
    return _detail(event, ActionRequested)


def _canary_due(event: Mapping[str, Any]) -> Fact:
    name = str(_need(event, "detail", MARK))
    if not name.startswith(f"{CANARY}."):
        # Unmarked, its finding would be told to people.
        raise RejectedInputError(f"does not begin with {CANARY}.", where=_where(event), key=f"detail.{MARK}")
    return CanaryDue(name, _at(event))


_Parser = Callable[[Mapping[str, Any]], Fact]
_AWS: dict[tuple[str, str], _Parser] = {
    ("aws.s3", "Object Created"): _object_created,
    ("aws.sagemaker", "SageMaker Endpoint State Change"): _endpoint_changed,
    ("aws.sagemaker", "SageMaker Processing Job State Change"): _job_changed,
}
_OWN: dict[str, _Parser] = {
    "Action Requested": _action,
    "Alert Due": _alert_due,
    "Canary Due": _canary_due,
    "Capture Rejected": lambda event: _detail(event, CaptureRejected),
    "Finding Raised": _finding,
    "Finding Cleared": _finding,
    "Monitor Due": lambda event: MonitorDue(str(_need(event, "detail", "endpoint")), _at(event)),
    "Tick": lambda event: Ticked(_at(event)),
    **{f"Incident {change.capitalize()}": _incident for change in IncidentChanged.CHANGES},
    **{f"Diagnosis {change.capitalize()}": _diagnosis for change in DiagnosisChanged.CHANGES},
}
