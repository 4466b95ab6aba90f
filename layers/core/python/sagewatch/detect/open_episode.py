"""An episode that is not over: what it has shown so far, and when it is over.

Each prediction has a score: for a class that takes over, whether it is that class; for low confidence, how many
steps it is below 1. Scores are whole numbers, so that sums do not depend on how a file was cut. The episode is over after a stretch of predictions in which the sum of scores never left
what clean traffic would show.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import COUNTS_KEPT, SAMPLES_KEPT, Episode, rate_severity
from sagewatch.finding import Evidence, Sample, Window

CLEAN_AT_LEAST = 60
"""No episode is cleared by fewer predictions, unless monitors.yml says so."""

_DEVIATIONS = 3.0
_LARGEST_EXPONENT = 300.0


class OpenEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an episode that is not over.

    Attributes
    ----------
    episode
        As it was last announced.
    counts
        Predictions since the onset, by class.
    total, score
        Predictions since the onset, and the sum of their scores.
    unit
        The largest score.
    share_high, share_variance
        Upper bound of the mean of score / unit while nothing is wrong, and its variance (repeats included).
    log10_evidence
        Sum of log10 of the statistic over all alarms: evidence of successive alarms multiplies.
    rejected
        Unreadable lines since the onset.
    clear_after
        How long a clean stretch ends it.
    last_at
        Time of the last prediction.
    clean, clean_score
        Length of the clean stretch so far, and its sum of scores.
    """

    episode: Episode
    counts: dict[str, int]
    total: int
    score: int
    unit: int
    share_high: float
    share_variance: float
    log10_evidence: float
    rejected: int
    clear_after: int
    samples: tuple[Sample, ...]
    last_at: datetime
    clean: int = 0
    clean_score: int = 0

    def follow(
        self, segment: Segment, positions: Sequence[int], scores: Sequence[int], rejected: int
    ) -> tuple[OpenEpisode, int | None]:
        """Take in predictions, at most until the episode is over.

        Parameters
        ----------
        segment
            Where they are.
        positions, scores
            Their indexes in it, in order, and the score of each.
        rejected
            Unreadable lines beside them.

        Returns
        -------
        tuple of OpenEpisode and int or None
            And how many of them it took to be over, None if it is not.
        """
        clean, clean_score, over = self.clean, self.clean_score, None
        for taken, score in enumerate(scores, 1):
            clean += 1
            clean_score += score
            if clean_score > self._allow(clean):
                clean = clean_score = 0
            elif clean >= self.clear_after:
                over = taken
                break
        positions, scores = positions[:over], scores[:over]
        indexes = segment.indexes()
        counts = Counter(self.counts)
        counts.update(segment.labels[indexes[at]] for at in positions)
        found = (
            Sample(segment.bucket, segment.key, segment.line(at))
            for at, score in zip(positions, scores, strict=True)
            if score > self.share_high * self.unit
        )
        followed = msgspec.structs.replace(
            self,
            counts=dict(counts),
            total=self.total + len(scores),
            score=self.score + sum(scores),
            samples=tuple(dict.fromkeys((*self.samples, *found)))[-SAMPLES_KEPT:],
            rejected=self.rejected + rejected,
            last_at=segment.last_at,
            clean=clean,
            clean_score=clean_score,
        )
        return followed, over

    def alarm_again(self, log10_statistic: float) -> tuple[OpenEpisode, Episode | None]:
        """The statistic crossed its threshold once more: whatever seemed clean was not.

        Returns
        -------
        tuple of OpenEpisode and Episode or None
            And the episode to announce, if it has become more severe.
        """
        extended = msgspec.structs.replace(
            self, log10_evidence=self.log10_evidence + log10_statistic, clean=0, clean_score=0
        )
        episode = extended.describe()
        if episode.severity.rank <= self.episode.severity.rank:
            return extended, None
        return msgspec.structs.replace(extended, episode=episode), episode

    def describe(self) -> Episode:
        """The episode as it stands now; its severity never falls."""
        before = self.episode
        expected = before.evidence.expected
        mean = self.score / self.total / self.unit
        observed = 1 - mean if before.evidence.effect_unit == "mean" else mean
        log10_statistic = min(self.log10_evidence, _LARGEST_EXPONENT)
        log10_excess = log10_statistic - math.log10(before.evidence.threshold)
        rated = rate_severity(observed - expected, log10_excess)
        evidence = Evidence(
            statistic=10**log10_statistic,
            threshold=before.evidence.threshold,
            log10_excess=log10_excess,
            effect_size=observed - expected,
            effect_unit=before.evidence.effect_unit,
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

    def _allow(self, predictions: int) -> float:
        """A sum of scores that is no sign: three standard deviations above the largest clean mean."""
        spread = math.sqrt(self.share_variance * predictions)
        return self.unit * (self.share_high * predictions + _DEVIATIONS * spread + 1)


def keep_most_frequent(counts: dict[str, int]) -> dict[str, int]:
    """The largest counts, in order; ties by label, so that equal inputs give equal findings."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COUNTS_KEPT])


def follow_all(
    episodes: tuple[OpenEpisode, ...],
    segment: Segment,
    positions: Sequence[int],
    scores: Mapping[str, Sequence[int]],
    rejected: int,
) -> tuple[tuple[OpenEpisode, ...], list[Episode], int]:
    """Carry open episodes on, each with the scores of its subject.

    Returns
    -------
    tuple
        Those that stay open, those that are over, and how many predictions it took until the last was over.
    """
    still_open, over, until = [], [], 0
    for each in episodes:
        followed, taken = each.follow(segment, positions, scores[each.episode.subject], rejected)
        if taken is None:
            still_open.append(followed)
        else:
            over.append(followed.describe())
            until = max(until, taken)
    return tuple(still_open), over, until
