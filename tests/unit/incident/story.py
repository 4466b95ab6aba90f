"""One small world for tests: findings of the endpoint traffic-signs on an evening in November."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sagewatch.finding import (
    Breach,
    DetectorRef,
    Evidence,
    Finding,
    Sample,
    Severity,
    Stream,
    Window,
    build_content_key,
    build_fingerprint,
)
from sagewatch.incident.decision import Change, Decision, Note
from sagewatch.incident.flapping import Flapping
from sagewatch.incident.lifecycle import decide_on_finding
from sagewatch.incident.model import Incident, OpenRecord

START = datetime(2026, 11, 21, 20, 34, 5, tzinfo=UTC)
STREAM = Stream("traffic-signs", "AllTraffic")

EVIDENCE = {
    "class-concentration": Evidence(
        statistic=8.4e9, threshold=1e6, log10_excess=3.92, effect_size=0.809, effect_unit="share",
        observed=0.83, expected=0.021,
    ),
    "fixed-share": Evidence(
        statistic=0.71, threshold=0.5, log10_excess=0.15, effect_size=0.21, effect_unit="share",
        observed=0.71, expected=0.5,
    ),
    "confidence": Evidence(
        statistic=3.1e7, threshold=1e6, log10_excess=1.49, effect_size=-0.26, effect_unit="mean",
        observed=0.68, expected=0.94,
    ),
    "rejected": Evidence(
        statistic=2.2e8, threshold=1e6, log10_excess=2.34, effect_size=0.4, effect_unit="share",
        observed=0.402, expected=0.002,
    ),
    "no-data": Evidence(
        statistic=1260, threshold=300, log10_excess=0.62, effect_size=960, effect_unit="seconds",
        observed=1260, expected=12,
    ),
    **{
        kind: Evidence(
            statistic=count, threshold=0, log10_excess=1.0, effect_size=count, effect_unit="violations",
            observed=count, expected=0,
        )
        for kind, count in {"data-quality": 7, "model-quality": 2, "bias": 1, "attribution": 1, "job-failed": 1}.items()
    },
}  # fmt: skip

BREACHES = {
    "data-quality": (
        Breach("Account Length", "baseline_drift_check", 0.3125, 0.1),
        Breach("Account Length", "data_type_check", 0.874, 1.0),
        Breach("Day Mins", "completeness_check", 0.91, 1.0),
        Breach("State_WV", "baseline_drift_check", 0.12, 0.1),
        Breach("Churn", "categorical_values_check", 0.9931),
    ),
    "model-quality": (
        Breach("r2", "LessThanThreshold", -53.790146743270654, -7.7419149776821),
        Breach("mae", "GreaterThanThreshold", 13.75, 9.1),
    ),
    "bias": (Breach("Gender=female DPPL", "bias_drift_check", 0.0751544567666083),),
    "attribution": (Breach("label0 shap", "feature_attribution_drift_check", 0.7639720923277322, 0.9),),
}
"""The first of what they found, as analyzers write it."""

REPORTED = {
    "data-quality": {"Account Length": 3, "Day Mins": 2, "State_WV": 1, "Churn": 1},
    "model-quality": {"r2": 1, "mae": 1},
    "bias": {"Gender=female DPPL": 1},
    "attribution": {"label0 shap": 1},
    "job-failed": {"no_data": 1},
}
"""What monitoring jobs name: features, metrics, facets, labels, or the cause of a failure."""


def at(seconds: float) -> datetime:
    """So many seconds into the story."""
    return START + timedelta(seconds=seconds)


def build_finding(
    episode: str = "a", *, end: float = 60, cleared: float | None = None, **changes: Any
) -> Finding:
    """A finding of class concentration, changed as asked."""
    kind = changes.pop("kind", "class-concentration")
    usual = "14" if kind in {"class-concentration", "fixed-share"} else "hourly" if kind in REPORTED else ""
    subject = changes.pop("subject", usual)
    counted = kind in {"class-concentration", "fixed-share"}
    values: dict[str, Any] = {
        "finding_id": build_content_key(kind, episode),
        "fingerprint": build_fingerprint(STREAM, kind, subject),
        "account": "123456789012",
        "region": "eu-central-1",
        "endpoint": STREAM.endpoint,
        "variant": STREAM.variant,
        "kind": kind,
        "subject": subject,
        "severity": Severity.CRITICAL,
        "evidence": EVIDENCE[kind],
        "window": Window(
            start=START, end=at(end), predictions=0 if kind == "no-data" or kind in REPORTED else 120,
            rejected=80 if kind == "rejected" else 0,
        ),
        "source": (
            "s3://reports/traffic-signs/hourly/2026/11/21/20"
            if kind in REPORTED
            else "s3://captures/traffic-signs/AllTraffic/2026/11/21/20/34-05-1.jsonl"
        ),
        "detector": DetectorRef(name=kind, version="1", config_hash="9c1185a5c5e9fc54"),
        "raised_at": at(45),
        "samples": () if kind in REPORTED else tuple(
            Sample("captures", "traffic-signs/AllTraffic/2026/11/21/20/34-05-1.jsonl", line) for line in (3, 7)
        ),
        "cleared_at": None if cleared is None else at(cleared),
        "counts": {"14": 100, "38": 6, "2": 5, "1": 4, "13": 3, "25": 2} if counted else REPORTED.get(kind, {}),
        "breaches": BREACHES.get(kind, ()),
        "job": "sagewatch-monitor-traffic-signs-20261121-20" if kind in REPORTED else "",
        "expected_shares": {
            "14": 0.021, "38": 0.053, "2": 0.058, "1": 0.057, "13": 0.055, "25": 0.039,
        } if counted else {},
    }  # fmt: skip
    return Finding(**(values | changes))


class World:
    """What the store would hold, and every decision taken on it."""

    def __init__(self) -> None:
        self.record: OpenRecord | None = None
        self.incidents: dict[str, Incident] = {}
        self.decisions: list[Decision] = []

    @property
    def open_incident(self) -> Incident | None:
        """The incident that the open record names."""
        open_id = self.record.incident_id if self.record else None
        return self.incidents[open_id] if open_id else None

    def hear(self, finding: Finding, now: float = 100, flapping: Flapping = Flapping()) -> Decision:  # noqa: B008 (frozen)
        """Decide on the finding and store what was decided."""
        decision = decide_on_finding(finding, self.record, self.open_incident, at(now), flapping)
        self.decisions.append(decision)
        if isinstance(decision, Note):
            self.record = decision.record
        elif isinstance(decision, Change):
            self.store(decision)
        return decision

    def store(self, change: Change) -> None:
        """Write what a change says."""
        self.record = change.record
        self.incidents[change.incident.incident_id] = change.incident


def build_incident(**changes: Any) -> Incident:
    """An incident just opened by ``build_finding``, changed as asked."""
    world = World()
    world.hear(build_finding(**changes))
    (incident,) = world.incidents.values()
    return incident


def resolve(incident: Incident) -> Incident:
    """The incident after the evidence of its finding fell back."""
    finding = msgspec.structs.replace(incident.latest, cleared_at=at(400))
    record = OpenRecord(fingerprint=incident.fingerprint, incident_id=incident.incident_id)
    decision = decide_on_finding(finding, record, incident, at(401))
    assert isinstance(decision, Change)
    return decision.incident
