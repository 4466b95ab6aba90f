"""Announcements of every kind, the ordinary and the hostile."""

from __future__ import annotations

import msgspec

from sagewatch.alert.content import Announcement, Links
from sagewatch.alert.outbox import Kind
from sagewatch.finding import Breach, Sample, Severity
from sagewatch.incident.acts import resolve_by_hand
from sagewatch.incident.decision import Resolve
from sagewatch.incident.doing import DIAGNOSABLE
from sagewatch.incident.model import Incident, OpenRecord, Progress
from tests.unit.incident.story import at, build_incident, resolve

CLASS_NAMES = {"14": "Stop", "38": "Keep right", "2": "Speed limit (50km/h)"}
LINKS = Links(
    page="https://s3.console.aws.amazon.com/s3/object/evidence?region=eu-central-1&prefix=incidents/i/incident.html",
    presigned="https://evidence.s3.eu-central-1.amazonaws.com/incidents/i/incident.html?X-Amz-Signature=0a1b",
    presigned_until=at(3600),
    dashboard="https://eu-central-1.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/sagewatch",
    metrics="https://eu-central-1.console.aws.amazon.com/cloudwatch/home#metricsV2",
    log="https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:logs-insights",
    runbooks="https://example.com/sagewatch/runbooks/",
)
HOSTILE = {
    "ten_kilobytes": "speed limit " * 900,
    "emoji": "🛑👩‍👩‍👧‍👦" * 900,
    "right_to_left": "قف \u202eevil\u202c " * 900,
    "html": "<script>alert('x')</script>&amp;\"" * 300,
    "slack": "<!channel> <@U012AB3CD> <https://evil.example|here> *bold* & " * 300,
    "control": "a\r\nSubject: b\x00\x1b[31m\ud800",
}


def announce(kind: Kind, finding_kind: str) -> Announcement:
    """The announcement as it ordinarily is."""
    incident = build_incident(kind=finding_kind)
    if kind is not Kind.FIRING and finding_kind in DIAGNOSABLE:
        done = Progress("finished", "explained", at(200), explained=24)
        incident = msgspec.structs.replace(incident, diagnosis=done)
    if kind is Kind.RESOLVED:
        incident = resolve(incident)
    before = Severity.WARNING if kind is Kind.WORSENED else None
    return Announcement(
        kind=kind, incident=incident, links=LINKS, class_names=CLASS_NAMES, severity_before=before
    )


UNJUDGED = ("class-concentration", "fixed-share", "confidence", "rejected", "no-data", "never-seen")
"""What a detector of monitors.yml judges, and so no longer does where that is changed."""


def announce_unjudged(name: str) -> Announcement:
    """The end of what nothing judges any more, while its evidence went on."""
    changes = {"kind": "no-data", "subject": "never-seen"} if name == "never-seen" else {"kind": name}
    incident = build_incident(**changes)
    finding = msgspec.structs.replace(incident.latest, no_longer_judged=True)
    ended = resolve(msgspec.structs.replace(incident, findings=(finding,)))
    return Announcement(kind=Kind.RESOLVED, incident=ended, links=LINKS, class_names=CLASS_NAMES)


def announce_by_hand() -> Announcement:
    """The end that a person declared while the evidence went on."""
    incident = build_incident()
    record = OpenRecord(fingerprint=incident.fingerprint, incident_id=incident.incident_id)
    decision = resolve_by_hand(incident, record, by="ada", reason="The camera was turned.", now=at(400))
    assert isinstance(decision, Resolve)
    return Announcement(kind=Kind.RESOLVED, incident=decision.incident, links=LINKS, class_names=CLASS_NAMES)


def announce_hostile(kind: Kind, finding_kind: str, text: str) -> Announcement:
    """The announcement with the text in every field that comes from outside."""
    incident = msgspec.structs.replace(announce(kind, finding_kind).incident, endpoint=text, variant=text)
    finding = msgspec.structs.replace(
        incident.latest,
        subject=text,
        counts={text: 90, text + "2": 30},
        expected_shares={text: 0.1},
        samples=tuple(Sample(text, text + str(n), n) for n in range(20)),
        source=text,
        breaches=tuple(Breach(text, text, 0.5, 0.1) for _ in range(5)),
        job=text,
    )
    incident: Incident = msgspec.structs.replace(
        incident, findings=(finding,), subject=text, acknowledged_by=text, resolved_by=text, resolution=text,
        diagnosis=Progress("abandoned", text, at(200)),
    )  # fmt: skip
    return Announcement(kind=kind, incident=incident, links=LINKS, class_names={text: text, text + "2": text})
