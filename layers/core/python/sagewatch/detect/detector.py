"""What every detector is: a state, and a fold that takes one segment and may raise or clear an episode."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.trace import TracePoint
from sagewatch.finding import Evidence, Sample, Severity, Window

COUNTS_KEPT = 20
"""Classes named in the counts of an episode, the most frequent first."""

SAMPLES_KEPT = 40
"""Capture lines named in an episode, the latest ones."""

CRITICAL_SHARE = 0.25
"""From this change of a share (or of a mean) on, an episode is critical."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly of one stream; a ``Finding`` without the words that all detectors' findings share.

    Attributes
    ----------
    subject
        The class or reason concerned.
    onset_at, number
        When it began by the detector's estimate, and the how many-th of its subject it is on that UTC day,
        from 1. Together with subject and stream they name it.
    source
        Key of the capture object in which it was raised.
    """

    subject: str
    onset_at: datetime
    number: int
    raised_at: datetime
    severity: Severity
    evidence: Evidence
    window: Window
    source: str
    samples: tuple[Sample, ...] = ()
    counts: dict[str, int] = {}
    expected_shares: dict[str, float] = {}


class Raised(msgspec.Struct, frozen=True):
    """An episode began, or one that goes on has become more severe (then it keeps its name)."""

    episode: Episode


class Cleared(msgspec.Struct, frozen=True):
    """An episode is over; its evidence now covers all of it."""

    episode: Episode
    at: datetime


Change = Raised | Cleared


State_ = TypeVar("State_", bound=msgspec.Struct)


class Detector(Protocol[State_]):
    """Folds segments in the order of their stream. Configured at construction, holds nothing else."""

    @property
    def name(self) -> str:
        """The detector's name in monitors.yml, and the kind of its findings."""
        ...

    @property
    def version(self) -> str:
        """Changes when the same segments would give other findings."""
        ...

    @property
    def config_hash(self) -> str:
        """Changes when its configuration does."""
        ...

    @property
    def staged(self) -> bool:
        """True where its findings are recorded and not sent."""
        ...

    @property
    def state_type(self) -> type[State_]:
        """What its state decodes as."""
        ...

    def start(self) -> State_:
        """The state before the first segment."""
        ...

    def adopt(self, previous: State_) -> State_:
        """The state to go on from after the configuration changed: what was learned is kept."""
        ...

    def fold(self, state: State_, segment: Segment) -> tuple[State_, tuple[Change, ...]]:
        """The state after the segment, and what it raised or cleared, in order.

        Pieces of a segment folded in order give what the whole gives.
        """
        ...

    def close(self, state: State_, now: datetime) -> tuple[State_, tuple[Change, ...]]:
        """What the clock alone says at the end of what has arrived; asked after each fold, kept by nobody."""
        ...

    def list_open(self, state: State_) -> tuple[Episode, ...]:
        """The episodes that are not over, with all evidence so far."""
        ...

    def list_trace(self, state: State_) -> tuple[TracePoint, ...]:
        """The statistic over the last segments, oldest first; empty for a detector that has none."""
        ...


AnyDetector = Detector[Any]


def rate_severity(effect_size: float, log10_excess: float) -> Severity:
    """How urgent: critical for a large change, a mere note for a tiny one with little evidence."""
    if abs(effect_size) >= CRITICAL_SHARE:
        return Severity.CRITICAL
    return Severity.WARNING if abs(effect_size) >= 0.02 or log10_excess >= 1 else Severity.INFO  # noqa: PLR2004


class Numbers(msgspec.Struct, frozen=True):
    """How many episodes each subject has had on its latest day."""

    latest: dict[str, tuple[str, int]] = {}

    def take(self, subject: str, onset_at: datetime) -> tuple[Numbers, int]:
        """The next number of the subject on that UTC day, and the numbers after it."""
        day = onset_at.date().isoformat()
        known_day, known = self.latest.get(subject, (day, 0))
        number = known + 1 if known_day == day else 1
        # Subjects of days long gone need not be remembered: a day's number is never asked for again.
        kept = {name: entry for name, entry in self.latest.items() if entry[0] >= day}
        return Numbers({**kept, subject: (day, number)}), number
