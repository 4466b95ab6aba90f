"""What happened, or is due, to an incident and to its diagnosis, as the bus is told."""

from __future__ import annotations

from collections.abc import Mapping

from sagewatch.diagnose.model import Diagnosis
from sagewatch.events import AlertDue, DiagnosisChanged, IncidentChanged
from sagewatch.incident.model import Incident
from sagewatch.place import Place


def build_change(incident: Incident, change: str) -> IncidentChanged:
    """The fact that an incident changed, for the bus."""
    return IncidentChanged(
        change=change,
        incident_id=incident.incident_id,
        fingerprint=incident.fingerprint,
        account=incident.account,
        region=incident.region,
        endpoint=incident.endpoint,
        variant=incident.variant,
        kind=incident.kind,
        subject=incident.subject,
        severity=incident.severity,
    )


def build_due(incident_id: str, labels: Mapping[str, str], *, forced: bool = False) -> AlertDue:
    """The fact that an incident's alerts are to be looked at; labels as ``build_labels`` makes them."""
    return AlertDue(
        incident_id=incident_id,
        account=labels["account"],
        region=labels["region"],
        endpoint=labels["endpoint"],
        variant=labels["variant"],
        forced=forced,
    )


def build_diagnosis_change(diagnosis: Diagnosis, change: str, place: Place) -> DiagnosisChanged:
    """The fact that a diagnosis changed, or with ``due`` that it is to be looked at."""
    return DiagnosisChanged(
        change=change,
        incident_id=diagnosis.incident_id,
        account=place.account,
        region=place.region,
        endpoint=diagnosis.endpoint,
        variant=diagnosis.variant,
        outcome=diagnosis.outcome,
    )
