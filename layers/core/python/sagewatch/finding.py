"""The words that all stages share: what was found, where, how badly, and on what evidence.

Every type here is frozen, compares by value, and travels as JSON on the bus ``sagewatch``.
"""

from __future__ import annotations

import enum
import hashlib
from bisect import bisect_right
from datetime import datetime, timedelta

import msgspec

SCHEMA = 1
SAMPLES_ON_PAGE = 12
"""Of a finding, shown on the page and kept in the bundle; ``findings.json`` names all."""

_TOLD_ON_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 20, 30, 45, 60))
_TOLD_ON_EVERY = timedelta(minutes=30)


class Severity(enum.StrEnum):
    """How urgent a finding is; later members are worse."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Position on the scale, 0 for the mildest."""
        return list(Severity).index(self)


class Stream(msgspec.Struct, frozen=True, order=True):
    """One flow of predictions: a production variant of an endpoint."""

    endpoint: str
    variant: str

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.variant}"


class Sample(msgspec.Struct, frozen=True, order=True):
    """Where one suspicious prediction lies in the captures; never what was in it."""

    bucket: str
    key: str
    line: int


class Window(msgspec.Struct, frozen=True):
    """The stretch of traffic a finding speaks of.

    Attributes
    ----------
    start, end
        Times of the first and last prediction, UTC.
    predictions
        How many predictions were seen in it.
    rejected
        How many capture lines of it could not be read.
    """

    start: datetime
    end: datetime
    predictions: int
    rejected: int = 0


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a detector spoke.

    Attributes
    ----------
    statistic, threshold
        The detector's number and the bound that it crossed.
    log10_excess
        Decimal orders of magnitude by which it was crossed; 0 at the bound.
    effect_size
        How far the world moved, in ``effect_unit``.
    effect_unit
        ``share`` (difference of shares, in [-1, 1]), ``mean`` or ``seconds``.
    observed, expected
        What was seen in the window, and what the baseline says of it, in the same unit.
    """

    statistic: float
    threshold: float
    log10_excess: float
    effect_size: float
    effect_unit: str
    observed: float
    expected: float


class Breach(msgspec.Struct, frozen=True, omit_defaults=True):
    """A constraint that a monitoring job found broken.

    Attributes
    ----------
    subject
        The feature, metric, facet or label concerned.
    constraint
        The analyzer's name of the check.
    observed, limit
        What was seen, and the bound that it crossed, where the analyzer says.
    """

    subject: str
    constraint: str
    observed: float | None = None
    limit: float | None = None


class DetectorRef(msgspec.Struct, frozen=True):
    """Which detector spoke, and how it was set at that time."""

    name: str
    version: str
    config_hash: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly of one stream, from when it was raised until it is cleared.

    Attributes
    ----------
    finding_id
        Content key of the episode: the same episode found twice has the same id.
    fingerprint
        Groups findings into incidents: endpoint, variant, kind and subject.
    kind
        ``class-concentration``, ``fixed-share``, ``confidence``, ``rejected`` or ``no-data``; of monitoring jobs
        ``data-quality``, ``model-quality``, ``bias``, ``attribution`` or ``job-failed``.
    subject
        The class or feature concerned, as a person would name it.
    staged
        True for a detector on trial: recorded, never sent.
    cleared_at
        When the evidence fell back; None while it holds.
    no_longer_judged
        It was cleared because its detector was taken out of monitors.yml, or set anew, and not because its evidence
        fell back: it may go on.
    counts
        Predictions per class in the window, most frequent first (bounded by the detector).
    expected_shares
        The baseline's share of each class in ``counts``.
    breaches
        Of what a monitoring job found, the first few.
    job
        The monitoring job that found it; empty where there was none.
    """

    schema: int = SCHEMA
    finding_id: str
    fingerprint: str
    account: str
    region: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: Severity
    evidence: Evidence
    window: Window
    source: str
    detector: DetectorRef
    raised_at: datetime
    samples: tuple[Sample, ...] = ()
    staged: bool = False
    cleared_at: datetime | None = None
    no_longer_judged: bool = False
    counts: dict[str, int] = {}
    expected_shares: dict[str, float] = {}
    breaches: tuple[Breach, ...] = ()
    job: str = ""

    @property
    def stream(self) -> Stream:
        """The stream that the finding is about."""
        return Stream(self.endpoint, self.variant)

    @property
    def tellings(self) -> int:
        """How often a finding that lasts has been told on by now, the raising left out."""
        return count_tellings(self.window.end - self.raised_at)


def count_tellings(age: timedelta) -> int:
    """How often a finding is told on, with all evidence so far, until it has this age.

    After 1, 2, 5, 10, 20, 30, 45 and 60 minutes, then each half hour: whoever has just been woken sees it grow,
    and a week of it costs some hundred writes. By its own times and not by the clock, so that a replay tells
    the same and a redelivery tells nothing.

    Examples
    --------
    >>> [count_tellings(timedelta(minutes=minutes)) for minutes in (0, 1, 6, 60, 89, 90, 240)]
    [0, 1, 3, 8, 8, 9, 14]
    """
    last = _TOLD_ON_AFTER[-1]
    return bisect_right(_TOLD_ON_AFTER, age) + max(0, (age - last) // _TOLD_ON_EVERY)


def build_fingerprint(stream: Stream, kind: str, subject: str) -> str:
    """The identity of what is wrong, stable over time and over redelivery.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> build_fingerprint(Stream("signs", "AllTraffic"), "class-concentration", "14")
    'd70a35fb2065c43a'
    """
    return build_content_key(stream.endpoint, stream.variant, kind, subject)


def build_content_key(*parts: str) -> str:
    """A short name for a content: equal parts give equal keys, on every machine and in every run."""
    joined = "\x1f".join(parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:16]
