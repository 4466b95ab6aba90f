"""What rejected knows of a stream between two files."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.binomial import compute_upper_share
from sagewatch.detect.detector import Episode, Numbers, rate_severity
from sagewatch.finding import Sample, Window

SHARES = (0.03, 0.1, 0.3, 0.6, 0.95)
"""Shares of lines that may have become unreadable."""

UNLEARNED_SHARE = 0.02
"""Expected at the most until the baseline is learned, and never more than this afterwards."""

LEARN_FROM = 1000
MISS = 0.05
_LARGEST_EXPONENT = 300.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Lines, those of them that could not be read, and the predictions in the others."""

    lines: int = 0
    rejected: int = 0
    predictions: int = 0

    def add(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.lines + other.lines,
            self.rejected + other.rejected,
            self.predictions + other.predictions,
        )


class RejectedEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that is not over: all since its onset, and the clean files at its end."""

    episode: Episode
    tally: Tally
    log10_evidence: float
    samples: tuple[Sample, ...]
    last_at: datetime
    clean: Tally = Tally()

    def describe(self) -> Episode:
        """The episode as it stands now; its severity never falls."""
        evidence = self.episode.evidence
        observed = self.tally.rejected / self.tally.lines
        log10_excess = self.log10_evidence - math.log10(evidence.threshold)
        rated = rate_severity(observed - evidence.expected, log10_excess)
        return msgspec.structs.replace(
            self.episode,
            severity=rated if rated.rank > self.episode.severity.rank else self.episode.severity,
            evidence=msgspec.structs.replace(
                evidence,
                statistic=10 ** min(self.log10_evidence, _LARGEST_EXPONENT),
                log10_excess=log10_excess,
                effect_size=observed - evidence.expected,
                observed=observed,
            ),
            window=Window(
                self.episode.window.start, self.last_at, self.tally.predictions, self.tally.rejected
            ),
            samples=self.samples,
        )


class RejectedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stream.

    Attributes
    ----------
    seen
        Lines folded.
    learned
        The baseline; it is complete at ``LEARN_FROM`` lines.
    values
        M of each share.
    pending, last_line
        Pieces of a file that has not come to its end, and the last line counted in it.
    since, since_at, climb
        Lines since the evidence last stood at nothing, when that was, and log of the evidence since.
    """

    seen: int = 0
    learned: Tally = Tally()
    values: tuple[float, ...] = (0.0,) * len(SHARES)
    pending: Tally = Tally()
    pending_samples: tuple[Sample, ...] = ()
    last_line: int = 0
    since: Tally = Tally()
    since_at: datetime = _EPOCH
    since_samples: tuple[Sample, ...] = ()
    climb: float = 0.0
    open: RejectedEpisode | None = None
    numbers: Numbers = Numbers()
    trace: bytes = b""


def find_expected_share(learned: Tally) -> float:
    """Largest share of unreadable lines while nothing is wrong."""
    if learned.lines < LEARN_FROM:
        return UNLEARNED_SHARE
    return min(UNLEARNED_SHARE, compute_upper_share(learned.rejected, learned.lines, MISS))


def count_piece(state: RejectedState, segment: Segment) -> RejectedState:
    """Add a piece to its file; several rows of one request stand on one line."""
    last, read = state.last_line, 0
    if segment.lines:
        lines = {line for line in segment.lines if line > last}
        last, read = max(segment.lines), len(lines)
    elif segment.predictions:
        last = segment.first_line + segment.predictions - 1
        read = segment.predictions
    added = Tally(read + segment.rejected, segment.rejected, segment.predictions)
    named = tuple(Sample(segment.bucket, segment.key, line) for line in segment.rejected_lines)
    return msgspec.structs.replace(
        state, pending=state.pending.add(added), pending_samples=state.pending_samples + named, last_line=last
    )
