"""One fold of confidence at work: learn, bet, raise, clear, let the baseline grow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from sagewatch.capture import Segment
from sagewatch.capture.segment import CONFIDENCE_STEPS, NO_CONFIDENCE
from sagewatch.detect.confidence_state import (
    BETS,
    ConfidenceConfig,
    ConfidenceState,
    Moments,
    bound_mean,
    place_bets,
    sum_up,
    tabulate_bets,
)
from sagewatch.detect.detector import SAMPLES_KEPT, Change, Cleared, Episode, Raised, rate_severity
from sagewatch.detect.history import History
from sagewatch.detect.open_episode import CLEAN_AT_LEAST, OpenEpisode, follow_all
from sagewatch.detect.trace import TracePoint, append_trace
from sagewatch.finding import Evidence, Window

GROW_TO = 30
"""The baseline grows to so many times what it was first learned from."""

LEAST_TRACED = 1e-3
_SUBJECT = ""  # the whole stream


class ConfidenceFold:
    """One fold at work: a copy of the state that is changed as the segment is walked through."""

    def __init__(self, config: ConfidenceConfig, state: ConfidenceState, segment: Segment) -> None:
        self._config = config
        self._state = state
        self._segment = segment
        given = segment.confidences
        self._positions: Sequence[int] = range(len(given))
        self._levels = given
        if NO_CONFIDENCE in given:
            self._positions = [at for at in self._positions if given[at] != NO_CONFIDENCE]
            self._levels = bytes(given[at] for at in self._positions)
        self._changes: list[Change] = []
        self._kept_from = 0

    def run(self) -> tuple[ConfidenceState, tuple[Change, ...]]:
        """The state after the segment, and what it raised or cleared."""
        at = self._learn() if self._state.mean_low < 0 else 0
        self._kept_from = self._positions[at - 1] + 1 if at else 0
        while at < len(self._levels):
            at = self._walk(at)
        self._change(seen=self._state.seen + len(self._levels))
        if self._state.mean_low >= 0:
            self._change(history=self._append_history(len(self._segment.confidences)))
            if self._segment.part == self._segment.parts - 1:
                self._trace(sum(self._state.values) / len(BETS), 0)
        return self._state, tuple(self._changes)

    def _change(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)

    def _append_history(self, stop: int) -> History:
        levels = list(self._segment.confidences[self._kept_from : stop])
        return self._state.history.append(levels, self._segment, self._kept_from)

    def _learn(self) -> int:
        stop = min(len(self._levels), self._config.learn_from - self._state.learned.count)
        self._change(learned=self._state.learned.add(sum_up(self._levels[:stop])))
        if self._state.learned.count >= self._config.learn_from:
            self._state = bound_mean(self._state)
        return stop

    def _walk(self, at: int) -> int:
        """Fold on until the alarm is due or the baseline may grow; where it stopped."""
        stop = min(len(self._levels), at + self._config.learn_from - self._state.young.count)
        limit = float(self._config.one_false_alarm_in) * len(BETS)
        values, end = place_bets(
            self._state.values, self._levels, at, stop, tabulate_bets(self._state.mean_low), limit
        )
        self._change(values=values, steps=self._state.steps + end - at)
        clean_from = self._follow(at, end)
        if sum(values) >= limit:
            self._alarm(end)
        else:
            self._grow(clean_from, end)
        return end

    def _grow(self, start: int, end: int) -> None:
        if self._state.open or self._state.learned.count >= GROW_TO * self._config.learn_from:
            return
        young = self._state.young.add(sum_up(self._levels[start:end]))
        if young.count < self._config.learn_from:
            self._change(young=young)
            return
        joined = self._state.learned.add(self._state.old)
        self._state = bound_mean(
            msgspec.structs.replace(self._state, learned=joined, old=young, young=Moments())
        )

    def _follow(self, start: int, end: int) -> int:
        """Carry the open episode on; clear it when it is over. From where on none was open."""
        if not self._state.open:
            return start
        scores = {_SUBJECT: [CONFIDENCE_STEPS - level for level in self._levels[start:end]]}
        rejected = 0 if start else self._segment.rejected
        still_open, over, until = follow_all(
            self._state.open, self._segment, self._positions[start:end], scores, rejected
        )
        self._changes += [Cleared(episode, self._segment.last_at) for episode in over]
        self._change(open=still_open)
        return end if still_open else start + until

    def _alarm(self, end: int) -> None:
        statistic = sum(self._state.values) / len(BETS)
        if self._state.open:
            extended, worse = self._state.open[0].alarm_again(math.log10(statistic))
            self._changes += [] if worse is None else [Raised(worse)]
            self._change(open=(extended,))
        else:
            self._open_episode(end, statistic)
        self._trace(statistic, end)
        self._change(values=(0.0,) * 6, steps=0, old=Moments(), young=Moments())

    def _open_episode(self, end: int, statistic: float) -> None:
        """Estimate the onset and put together what speaks for the episode."""
        stop = self._positions[end - 1] + 1
        history = self._append_history(stop)
        recent = history.list_rows()
        back = self._find_onset(recent)
        since = [level for level in recent[-1 - back :] if level != NO_CONFIDENCE]
        observed = sum(since) / len(since) / CONFIDENCE_STEPS
        expected = self._state.learned.mean
        threshold = float(self._config.one_false_alarm_in)
        excess = math.log10(statistic / threshold)
        onset_at = history.find_time(back)
        numbers, number = self._state.numbers.take(_SUBJECT, onset_at)
        suspicious = range(math.ceil(self._state.mean_low * CONFIDENCE_STEPS))
        episode = Episode(
            subject=_SUBJECT,
            onset_at=onset_at,
            number=number,
            raised_at=self._segment.last_at,
            severity=rate_severity(observed - expected, excess),
            evidence=Evidence(statistic, threshold, excess, observed - expected, "mean", observed, expected),
            window=Window(onset_at, self._segment.last_at, len(since), history.count_rejected(back)),
            source=self._segment.key,
            samples=history.find_samples(suspicious, back, SAMPLES_KEPT),
        )
        opened = OpenEpisode(
            episode=episode,
            counts={},
            total=len(since),
            score=sum(CONFIDENCE_STEPS - level for level in since),
            unit=CONFIDENCE_STEPS,
            share_high=1 - self._state.mean_low,
            share_variance=self._state.learned.variance,
            log10_evidence=math.log10(statistic),
            rejected=episode.window.rejected,
            clear_after=self._config.clear_after or max(CLEAN_AT_LEAST, 2 * len(since)),
            samples=episode.samples,
            last_at=self._segment.last_at,
        )
        self._change(open=(opened,), numbers=numbers)
        self._changes.append(Raised(episode))

    def _find_onset(self, recent: list[int]) -> int:
        """How many predictions before the last the change began: the likeliest, over all bets."""
        table = tabulate_bets(self._state.mean_low)
        logs = [tuple(map(math.log, factors)) for factors in table]
        best, best_back, steps = -math.inf, 0, 0
        totals = [0.0] * len(BETS)
        for back, level in enumerate(reversed(recent)):
            if level == NO_CONFIDENCE:
                continue
            if steps == self._state.steps:
                break
            steps += 1
            totals = [total + log for total, log in zip(totals, logs[level], strict=True)]
            if max(totals) > best:
                best, best_back = max(totals), back
        return best_back

    def _trace(self, statistic: float, walked: int) -> None:
        excess = math.log10(max(statistic, LEAST_TRACED) / self._config.one_false_alarm_in)
        point = TracePoint(self._segment.last_at, self._state.seen + walked, excess)
        self._change(trace=append_trace(self._state.trace, point))
