"""Which event wakes which flow: the stack's rules (resources/events.yml), as values.

A contract test holds them equal to the compiled stack, so a replay goes the way that the stack goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.follow_up import Flow
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.settings import Settings

Pattern = dict[str, Any]
_ENDED = ["Completed", "Failed", "Stopped"]
_JOB: Pattern = {
    "source": ["aws.sagemaker"],
    "detail-type": ["SageMaker Processing Job State Change"],
    "detail": {"ProcessingJobStatus": _ENDED},
}


class Rule(msgspec.Struct, frozen=True):
    """An EventBridge rule with the function that drains its queue."""

    name: str
    pattern: Pattern
    function: str


FLOWS: dict[str, Flow] = {
    "ingest_capture": ingest_capture,
    "ingest_report": ingest_report,
    "manage_incident": manage_incident,
    "advance_diagnosis": advance_diagnosis,
    "deliver_alert": deliver_alert,
    "tick": tick,
}


def build_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules of a stack with these buckets."""

    def landed(bucket: str, key: str) -> Pattern:
        detail = {"bucket": {"name": [bucket]}, "object": {"key": [{"wildcard": key}]}}
        return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}

    def told(*names: str) -> Pattern:
        return {"source": ["sagewatch"], "detail-type": list(names)}

    def asked(*actions: str) -> Pattern:
        return {**told("Action Requested"), "detail": {"action": list(actions)}}

    changed: Pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    incidents = (
        "Incident Opened",
        "Incident Updated",
        "Incident Acknowledged",
        "Incident Resolved",
        "Alert Due",
    )
    diagnoses = ("Diagnosis Started", "Diagnosis Finished", "Diagnosis Abandoned")
    captures = landed(settings.capture_bucket, f"{settings.capture_prefix}/*.jsonl")
    return (
        Rule("CaptureRule", captures, "ingest_capture"),
        Rule("FindingRule", told("Finding Raised", "Finding Cleared"), "manage_incident"),
        Rule(
            "DiagnosedIncidentRule",
            told("Incident Opened", "Incident Resolved", "Diagnosis Due"),
            "advance_diagnosis",
        ),
        Rule("IncidentActionRule", asked("acknowledge", "silence", "resolve"), "manage_incident"),
        Rule("DiagnosisActionRule", asked("diagnose", "restore"), "advance_diagnosis"),
        Rule("EndpointStateRule", changed, "advance_diagnosis"),
        Rule("ExplainJobRule", _JOB, "advance_diagnosis"),
        Rule("MonitoringJobRule", _JOB, "ingest_report"),
        Rule("TensorsRule", landed(settings.evidence_bucket, "tensors/*/index/*.json"), "advance_diagnosis"),
        Rule("AlertRule", told(*incidents, *diagnoses), "deliver_alert"),
        # The scheduler's minute comes by no rule, but the way is the same.
        Rule("TickSchedule", told("Tick"), "tick"),
    )


def matches(pattern: Pattern, event: dict[str, Any]) -> bool:
    """Whether an event fits a pattern of exact values and wildcards, as EventBridge reads it.

    Examples
    --------
    >>> matches({"detail": {"key": [{"wildcard": "a/*.json"}]}}, {"detail": {"key": "a/b/c.json"}})
    True
    """
    for key, wanted in pattern.items():
        value = event.get(key)
        if isinstance(wanted, dict):
            if not isinstance(value, dict) or not matches(wanted, value):
                return False
        elif not any(_fits(one, value) for one in wanted):
            return False
    return True


def _fits(wanted: object, value: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(value, str) and _compile_wildcard(wanted["wildcard"])(value) is not None
    return wanted == value


@cache
def _compile_wildcard(wildcard: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(".*".join(map(re.escape, wildcard.split("*")))).fullmatch
