"""An open episode of a class that takes too large a share: what it has shown so far, and when it is over."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import COUNTS_KEPT, SAMPLES_KEPT, Episode, rate_severity
from sagewatch.finding import Evidence, Sample, Window

CLEAN_AT_LEAST = 60
"""No episode is cleared by fewer predictions."""

_DEVIATIONS = 3.0
_LARGEST_EXPONENT = 300.0


class OpenEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an episode that is not over.

    Attributes
    ----------
    episode
        As it was last announced.
    total, hits
        Predictions since the onset, and those of the subject.
    log10_evidence
        Sum of log10 of the statistic over all alarms: evidence of successive alarms multiplies.
    share_high
        Upper bound of the subject's share while nothing is wrong.
    spread
        Factor on the variance of a count that repeats bring with them.
    clean, clean_hits
        Length of the stretch without a sign of the subject, and its hits.
    clear_after
        How long that stretch must become.
    last_at
        Time of the last prediction.
    """

    episode: Episode
    counts: dict[str, int]
    total: int
    hits: int
    log10_evidence: float
    share_high: float
    spread: float
    clear_after: int
    samples: tuple[Sample, ...]
    rejected: int
    last_at: datetime
    clean: int = 0
    clean_hits: int = 0

    def follow(self, labels: Sequence[str], segment: Segment, start: int) -> tuple[OpenEpisode, int | None]:
        """Take in predictions of ``segment`` from ``start`` on, at most until the episode is over.

        Returns
        -------
        tuple of OpenEpisode and int or None
            And how many predictions it took to be over, None if it is not.
        """
        subject = self.episode.subject
        clean, hits = self.clean, self.clean_hits
        over = None
        for at, label in enumerate(labels):
            clean += 1
            hits += label == subject
            if hits > self._allow_hits(clean):
                clean = hits = 0
            elif clean >= self.clear_after:
                over = at + 1
                break
        taken = labels if over is None else labels[:over]
        found = [
            Sample(segment.bucket, segment.key, segment.line(start + at)) for at in _find(taken, subject)
        ]
        counts = Counter(self.counts)
        counts.update(taken)
        followed = msgspec.structs.replace(
            self,
            counts=dict(counts),
            total=self.total + len(taken),
            hits=counts[subject],
            samples=tuple(dict.fromkeys((*self.samples, *found)))[-SAMPLES_KEPT:],
            rejected=self.rejected + (segment.rejected if start == 0 and taken else 0),
            last_at=segment.last_at,
            clean=clean,
            clean_hits=hits,
        )
        return followed, over

    def alarm_again(self, log10_statistic: float) -> OpenEpisode:
        """The statistic crossed its threshold once more: whatever seemed clean was not."""
        return msgspec.structs.replace(
            self, log10_evidence=self.log10_evidence + log10_statistic, clean=0, clean_hits=0
        )

    def describe(self) -> Episode:
        """The episode as it stands now; its severity never falls."""
        before = self.episode
        observed = self.hits / self.total
        expected = before.evidence.expected
        log10_excess = self.log10_evidence - math.log10(before.evidence.threshold)
        rated = rate_severity(observed - expected, log10_excess)
        evidence = Evidence(
            statistic=10 ** min(self.log10_evidence, _LARGEST_EXPONENT),
            threshold=before.evidence.threshold,
            log10_excess=log10_excess,
            effect_size=observed - expected,
            effect_unit="share",
            observed=observed,
            expected=expected,
        )
        return msgspec.structs.replace(
            before,
            severity=rated if rated.rank > before.severity.rank else before.severity,
            evidence=evidence,
            window=Window(before.window.start, self.last_at, self.total, self.rejected),
            samples=self.samples,
            counts=keep_most_frequent(self.counts),
        )

    def _allow_hits(self, predictions: int) -> float:
        """So many hits are no sign of the subject: three standard deviations above its largest clean share."""
        mean = self.share_high * predictions
        return mean + _DEVIATIONS * math.sqrt(mean * (1 - self.share_high) * self.spread) + 1


def keep_most_frequent(counts: dict[str, int]) -> dict[str, int]:
    """The largest counts, in order; ties by label, so that equal inputs give equal findings."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COUNTS_KEPT])


def _find(labels: Sequence[str], subject: str) -> list[int]:
    return [at for at, label in enumerate(labels) if label == subject]
