"""What can have happened, in the past tense. Facts that we publish know their own detail type."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

import msgspec

from sagewatch.finding import SCHEMA, Finding, Severity
from sagewatch.place import Place

MARK: Final = "replay_name"
"""Key of our events' details: what follows from a replay, a drill or the canary says so."""

CANARY: Final = "canary"
"""First word of a canary's name."""


class Ignored(msgspec.Struct, frozen=True):
    """An event that is none of our business, and why: it leaves the queue without an error."""

    reason: str
    about: str = ""


class CaptureLanded(msgspec.Struct, frozen=True):
    """An object appeared under the capture prefix; where its event does not say its place, it is ours."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    at: datetime
    place: Place | None = None


class TensorsLanded(msgspec.Struct, frozen=True):
    """The hooked variant finished recording one request: its index object appeared."""

    bucket: str
    key: str
    incident_id: str
    at: datetime


class EndpointChanged(msgspec.Struct, frozen=True):
    """SageMaker says that an endpoint changed state. A hint only: describe it before acting."""

    endpoint: str
    status: str
    at: datetime
    place: Place | None = None


class JobChanged(msgspec.Struct, frozen=True):
    """SageMaker says that a processing job changed state. A hint only: describe it before acting."""

    job: str
    arn: str
    status: str
    at: datetime
    place: Place | None = None


class Ticked(msgspec.Struct, frozen=True):
    """The scheduler's minute: whatever was lost is noticed now."""

    at: datetime


class CanaryDue(msgspec.Struct, frozen=True):
    """The scheduler says that it is time to send a test finding the whole way; the name marks all that follows."""

    name: str
    at: datetime


class MonitorDue(msgspec.Struct, frozen=True):
    """The scheduler says that a window of an endpoint's traffic is over: its data are to be looked at."""

    endpoint: str
    at: datetime


class FindingReported(msgspec.Struct, frozen=True):
    """A detector raised a finding, or saw it clear (``finding.cleared_at``)."""

    finding: Finding

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return "Finding Cleared" if self.finding.cleared_at else "Finding Raised"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self.finding


class CaptureRejected(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a capture file could not be read; the others count.

    Attributes
    ----------
    source, report
        The file, and which of its lines and why: ``s3://`` both. What was in a line is in neither.
    predictions, rejected
        How many could be read and how many could not.
    reasons
        Rejected lines by reason.
    """

    schema: int = SCHEMA
    account: str
    region: str
    endpoint: str
    variant: str
    source: str
    report: str
    predictions: int
    rejected: int
    reasons: dict[str, int]

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return "Capture Rejected"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self


class IncidentChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An incident was opened, updated, acknowledged or resolved. Small: load the incident itself."""

    schema: int = SCHEMA
    change: str
    incident_id: str
    fingerprint: str
    account: str
    region: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: Severity

    CHANGES: ClassVar[tuple[str, ...]] = ("opened", "updated", "acknowledged", "resolved")

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return f"Incident {self.change.capitalize()}"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self


class AlertDue(msgspec.Struct, frozen=True, kw_only=True):
    """It is time to look again at what receivers are owed of an incident.

    Attributes
    ----------
    forced
        Try again what a receiver refused: somebody says that the cause is mended.
    receiver
        The receiver's channel that refused; empty: all that did.
    rounds
        Wake-ups in a row that led here, each asked for by the one before: Lambda stops a long chain.
    """

    schema: int = SCHEMA
    incident_id: str
    account: str
    region: str
    endpoint: str
    variant: str
    forced: bool = False
    receiver: str = ""
    rounds: int = 0

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return "Alert Due"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self


class DiagnosisChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A diagnosis started, finished or was abandoned, with which outcome; or it is due for another look."""

    schema: int = SCHEMA
    change: str
    incident_id: str
    account: str
    region: str
    endpoint: str
    variant: str
    outcome: str

    CHANGES: ClassVar[tuple[str, ...]] = ("started", "finished", "abandoned", "due")

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return f"Diagnosis {self.change.capitalize()}"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self


class ActionRequested(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may pressed a button under an incident's message.

    Attributes
    ----------
    action
        ``acknowledge``, ``silence``, ``resolve``, ``diagnose`` or ``restore``.
    by
        Who, for people.
    at
        When it was pressed; a repetition bears the same time.
    """

    schema: int = SCHEMA
    action: str
    incident_id: str
    by: str
    at: datetime
    account: str
    region: str

    @property
    def detail_type(self) -> str:
        """The event's name on the bus."""
        return "Action Requested"

    @property
    def detail(self) -> object:
        """The event's body on the bus."""
        return self


OwnFact = ActionRequested | CaptureRejected | FindingReported | IncidentChanged | DiagnosisChanged | AlertDue
Woken = CanaryDue | MonitorDue | Ticked
Fact = CaptureLanded | TensorsLanded | EndpointChanged | JobChanged | Woken | OwnFact | Ignored
