"""All that is known of an incident, gathered for the page and the bundle. Values only; nothing is looked up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from sagewatch.incident.model import Entry, Incident
from sagewatch.quality.moved import Moved

COMPLETENESS_LIMIT = 1e-4
"""Relative error above which a heat map is marked as not to be trusted (DESIGN §7)."""


class TracePoint(msgspec.Struct, frozen=True):
    """The detector's evidence at one time.

    Attributes
    ----------
    log10_excess
        Decimal orders of magnitude over the threshold: 0 at it, below 0 under it.
    """

    at: datetime
    log10_excess: float


class SampleInput(msgspec.Struct, frozen=True, kw_only=True):
    """One captured input that helped to make the finding.

    Attributes
    ----------
    picture
        The input as a picture, None where it is none.
    media_type
        ``image/png`` or ``image/jpeg``, where there is a picture.
    text
        The input, or a cut of it, where it is no picture.
    label
        The class that the model answered.
    confidence
        The confidence that it answered, in [0, 1].
    where
        Capture object and line.
    """

    label: str
    where: str
    picture: bytes | None = None
    media_type: str = "image/png"
    text: str = ""
    confidence: float | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One input with its heat map.

    Attributes
    ----------
    label
        The predicted class.
    probability
        Its probability, in [0, 1]; None where the model's outputs do not tell it.
    completeness_error
        Relative error of the sum of all relevance against the logit; None where it is not finite.
    outside_share
        Share of the relevance that lies outside the region of interest, in [0, 1].
    looks_past
        Whether that is more than a map without any preference has there.
    input_png, overlay_png
        The picture, and the picture under its heat map, of equal shape; empty where the page has no room for them.
    role
        ``suspicious``, ``clean`` (of before the incident), ``other``, or nothing known.
    event_id, where
        The request in the data capture: SageMaker's id, and object and line; empty where it was not found.
    """

    worker: str
    step: int
    label: str
    probability: float | None
    completeness_error: float | None
    outside_share: float | None
    input_png: bytes
    overlay_png: bytes
    looks_past: bool = False
    role: str = ""
    event_id: str = ""
    where: str = ""

    @property
    def trusted(self) -> bool:
        """Whether the heat map accounts for the whole of the prediction."""
        return self.completeness_error is not None and self.completeness_error <= COMPLETENESS_LIMIT


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Where the model looks on suspicious inputs against others, in the mean.

    Attributes
    ----------
    sentence
        What follows, in words.
    verdict
        Its code; ``past``, ``narrower`` and ``elsewhere`` say that something was found.
    suspicious, others, others_are
        How many inputs of each; what the others are.
    suspicious_png, others_png
        The mean heat maps over the mean inputs, in one scale of colours; the region of interest drawn in.
    difference_png
        Red where suspicious inputs have more of their relevance, blue where they have less.
    """

    sentence: str
    verdict: str
    suspicious: int
    others: int
    others_are: str
    suspicious_png: bytes
    others_png: bytes
    difference_png: bytes


class EndpointConfigs(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint's configurations as AWS describes them; None where there was none.

    Attributes
    ----------
    original, hooked, final
        Before the diagnosis, during it, and as last seen.
    """

    original: dict[str, Any] | None = None
    hooked: dict[str, Any] | None = None
    final: dict[str, Any] | None = None


class Told(msgspec.Struct, frozen=True):
    """A message that went out.

    Attributes
    ----------
    kind
        ``firing``, ``updated`` or ``resolved``.
    channel
        ``mail``, ``slack``...
    """

    at: datetime
    receiver: str
    channel: str
    kind: str
    reason: str = ""


class PageLink(msgspec.Struct, frozen=True):
    """A labelled address to read on; the note says what is found there, or when it works."""

    label: str
    url: str
    note: str = ""


class BrokenConstraint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a monitoring job's report.

    Attributes
    ----------
    subject
        Feature, metric or facet.
    check
        AWS's name of the check.
    """

    subject: str
    check: str
    description: str


class CaptureBin(msgspec.Struct, frozen=True):
    """What was captured in one step of time.

    Attributes
    ----------
    of_subject
        Predictions of the class that the finding speaks of.
    rejected
        Lines that could not be read.
    """

    start: datetime
    predictions: int
    of_subject: int = 0
    rejected: int = 0


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """How much was captured when, around the incident.

    Attributes
    ----------
    step_seconds
        Length of a bin.
    bins
        In order of time, without a gap.
    files
        Capture objects that the counts come from.
    first_at, last_at
        Their first and their last record.
    whole
        False where the captures of the beginning are no longer kept.
    """

    step_seconds: int
    bins: tuple[CaptureBin, ...]
    files: int
    first_at: datetime
    last_at: datetime
    whole: bool = True


class IndexRow(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in the list of all."""

    incident_id: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: str
    state: str
    opened_at: datetime
    resolved_at: datetime | None = None


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows. Everything but the incident may be missing yet.

    Attributes
    ----------
    entries
        The audit trail, in any order.
    captured
        What was captured around the incident; None where nothing of it is kept.
    trace
        The detector's evidence over time, in order of time.
    class_names
        Name of each class, by the class as the model answers it.
    clean_samples
        Inputs of clean traffic, to see beside the suspicious ones.
    looked
        The mean maps compared; None where there was nothing to compare with.
    explain_failures
        Why inputs could not be explained, one sentence each.
    explain_notes
        What else the saliency job could not do, in sentences.
    runbook
        Address of the runbook of this kind.
    violations
        What the monitoring job's report says, where a report made the finding.
    moved
        The features beside their baseline, the farthest first, where a report made the finding.
    made_at
        When the page was made.
    replay
        Name of the rehearsal that it is of; empty for an incident.
    """

    incident: Incident
    made_at: datetime
    entries: tuple[Entry, ...] = ()
    captured: Captured | None = None
    trace: tuple[TracePoint, ...] = ()
    class_names: dict[str, str] = {}
    samples: tuple[SampleInput, ...] = ()
    clean_samples: tuple[SampleInput, ...] = ()
    explained: tuple[Explained, ...] = ()
    looked: Looked | None = None
    explain_failures: tuple[str, ...] = ()
    explain_notes: tuple[str, ...] = ()
    configs: EndpointConfigs = EndpointConfigs()
    told: tuple[Told, ...] = ()
    links: tuple[PageLink, ...] = ()
    runbook: str | None = None
    violations: tuple[BrokenConstraint, ...] = ()
    moved: tuple[Moved, ...] = ()
    replay: str = ""
