"""From raw event dicts to typed facts: the only place that reads an event's keys."""

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
from sagewatch.events.parse import parse_event

__all__ = [
    "CANARY",
    "MARK",
    "ActionRequested",
    "AlertDue",
    "CanaryDue",
    "CaptureLanded",
    "CaptureRejected",
    "DiagnosisChanged",
    "EndpointChanged",
    "Fact",
    "FindingReported",
    "Ignored",
    "IncidentChanged",
    "JobChanged",
    "MonitorDue",
    "TensorsLanded",
    "Ticked",
    "parse_event",
]
