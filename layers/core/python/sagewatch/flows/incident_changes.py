"""What happened, or is due, to an incident and to its diagnosis, as the bus is told."""

from __future__ import annotations

from sagewatch.diagnose.model import Diagnosis
from sagewatch.events import AlertDue, DiagnosisChanged, IncidentChanged
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Incident
from sagewatch.place import Place
from sagewatch.state.incidents import Due


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


def build_due(
    about: Incident | Due, *, forced: bool = False, receiver: str = "", rounds: int = 0
) -> AlertDue:
    """The fact that an incident's alerts are to be looked at, from the incident or from its row among the due ones."""
    labels = about.labels if isinstance(about, Due) else build_labels(about)
    return AlertDue(
        incident_id=about.incident_id,
        account=labels["account"],
        region=labels["region"],
        endpoint=labels["endpoint"],
        variant=labels["variant"],
        forced=forced,
        receiver=receiver,
        rounds=rounds,
    )


def build_diagnosis_change(about: Diagnosis | Incident, change: str, place: Place) -> DiagnosisChanged:
    """The fact that a diagnosis changed, or with ``due`` that it, or that of an incident, is to be looked at."""
    return DiagnosisChanged(
        change=change,
        incident_id=about.incident_id,
        account=place.account,
        region=place.region,
        endpoint=about.endpoint,
        variant=about.variant,
        outcome=about.outcome if isinstance(about, Diagnosis) else "",
    )
