"""One fold of class-concentration at work: learn, walk, raise, clear, let the baseline grow."""

from __future__ import annotations

import math
from collections import Counter
from operator import eq

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.concentration_state import (
    ClassConcentrationConfig,
    ClassConcentrationState,
    provision,
)
from sagewatch.detect.detector import SAMPLES_KEPT, Change, Cleared, Episode, Raised, rate_severity
from sagewatch.detect.mixture import SIZES, UNTOUCHED, Gain, Mixture, MixtureState, build_gain, build_gains
from sagewatch.detect.open_episode import CLEAN_AT_LEAST, OpenEpisode, follow_all, keep_most_frequent
from sagewatch.detect.trace import TracePoint, append_trace
from sagewatch.finding import Evidence, Window

LEAST_TRACED = 1e-3
GROW_TO = 30
"""The baseline grows to so many times what it was first learned from."""


def add_expected_shares(episode: Episode, learned: ClassCounts) -> Episode:
    """The episode with what the baseline says of every class that it counts."""
    shares = {label: learned.find_share(label) for label in episode.counts}
    return msgspec.structs.replace(episode, expected_shares=shares)


class ConcentrationFold:
    """One fold at work: a copy of the state that is changed as the segment is walked through."""

    def __init__(
        self, config: ClassConcentrationConfig, state: ClassConcentrationState, segment: Segment
    ) -> None:
        self._config = config
        self._state = state
        self._segment = segment
        self._labels = [segment.labels[index] for index in segment.indexes()]
        self._rows: list[int] = []
        self._first_row_at = 0
        self._new_at = -1
        self._walked = 0
        self._changes: list[Change] = []
        self._mixture = Mixture(MixtureState(), [], [], config.one_false_alarm_in)

    def run(self) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        """The state after the segment, and what it raised or cleared."""
        at, end = 0, len(self._labels)
        if not self._state.probabilities:
            at = self._learn()
        if at < end:
            self._first_row_at = at
            self._load_mixture(self._state.mixture)
            rows_of = {label: row for row, label in enumerate(self._state.labels)}
            unknown = -1 if len(self._state.labels) < len(self._state.probabilities) else 0
            known = [rows_of.get(label, unknown) for label in self._segment.labels]
            self._rows = [known[index] for index in self._segment.indexes()[at:]]
            while at < end:
                at = self._walk(at)
            self._change(
                mixture=self._mixture.rest(),
                history=self._state.history.append(self._rows, self._segment, self._first_row_at),
            )
        previous = self._labels[-1] if self._labels else self._state.previous
        self._walked = 0
        self._change(seen=self._state.seen + end, previous=previous)
        if self._rows and self._segment.part == self._segment.parts - 1:
            self._trace()
        return self._state, tuple(self._changes)

    def _change(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)

    # Learning -----------------------------------------------------------------------------------------

    def _learn(self) -> int:
        """Count what is still missing from the baseline; where counting stopped."""
        stop = min(len(self._labels), self._config.learn_from - self._state.learned.total)
        self._change(learned=self._state.learned.add(self._count(0, stop)))
        if self._state.learned.total >= self._config.learn_from:
            self._state = provision(self._state, self._config)
        return stop

    def _count(self, start: int, stop: int) -> ClassCounts:
        """Classes and repeats of ``labels[start:stop]``; a pair lies within one file."""
        labels = self._labels[start:stop]
        if not labels:
            return ClassCounts()
        before = self._find_previous(start) if start or self._segment.part else None
        linked = [before, *labels] if before is not None else labels
        return ClassCounts(dict(Counter(labels)), len(linked) - 1, sum(map(eq, linked, linked[1:])))

    def _find_previous(self, at: int) -> str:
        """The class before a prediction."""
        return self._labels[at - 1] if at else self._state.previous

    def _grow(self, start: int, stop: int) -> None:
        """Let clean predictions wait in blocks, and a block that waited long enough join the baseline."""
        if self._state.open or self._state.learned.total >= GROW_TO * self._config.learn_from:
            return
        young = self._state.young.add(self._count(start, stop))
        if young.total < self._config.learn_from:
            self._change(young=young)
            return
        joined = self._state.old
        self._change(learned=self._state.learned.add(joined), old=young, young=ClassCounts())
        if joined.total:
            self._state = provision(self._state, self._config)
            self._load_mixture(self._mixture.rest())

    # Detecting ----------------------------------------------------------------------------------------

    def _load_mixture(self, state: MixtureState) -> None:
        """Set the mixture up with the bounds on shares and repeats as they are now."""
        known = self._state
        first, again = build_gains(known.probabilities, known.repeat_low, known.repeat_high)
        self._mixture = Mixture(state, first, again, self._config.one_false_alarm_in)

    def _walk(self, at: int) -> int:
        """Fold on from a prediction until something happens; where it stopped."""
        stop = self._find_stop(at)
        row = self._get_row(at)
        special: Gain | None = None
        if row < 0:
            known_rows = len(self._state.labels)
            row = self._admit(self._labels[at])
            special, stop = (UNTOUCHED if row == known_rows else None), at + 1
        elif at == 0 and self._segment.part == 0:
            # What came before is in another file, perhaps of another instance: rely on it no more than needed.
            special, stop = build_gain(self._state.probabilities[row]), 1
        kept = self._mixture.first_gains[row]
        if special is not None:
            self._mixture.first_gains[row] = special
        previous = self._find_row(self._find_previous(at))
        offset = self._first_row_at
        end, due = self._mixture.advance(self._rows, at - offset, stop - offset, previous)
        self._mixture.first_gains[row] = kept
        end += offset
        self._walked = end
        clean_from = self._follow(at, end)
        if due:
            self._alarm(end)
        else:
            self._grow(clean_from, end)
        return end

    def _get_row(self, at: int) -> int:
        return self._rows[at - self._first_row_at]

    def _find_row(self, label: str) -> int:
        return self._state.labels.index(label) if label in self._state.labels else -1

    def _find_stop(self, at: int) -> int:
        """The next prediction before which the baseline may grow or a class is new."""
        waiting = self._config.learn_from - self._state.young.total
        stop = min(len(self._labels), at + max(1, waiting))
        new = self._find_new(at)
        return min(stop, new) if new > at else at + 1

    def _find_new(self, at: int) -> int:
        """The next prediction, from one on, of a class without a row; the end where there is none.

        Looked for again only behind the last: a file of millions is walked through in thousands of stretches.
        """
        if self._new_at < at or (self._new_at < len(self._labels) and self._get_row(self._new_at) >= 0):
            try:
                self._new_at = self._rows.index(-1, at - self._first_row_at) + self._first_row_at
            except ValueError:
                self._new_at = len(self._labels)
        return self._new_at

    def _admit(self, label: str) -> int:
        """Give a new class a row in reserve, or the row of the others; its row.

        The baseline may have grown within the file, and know it by now: the row that it has is the only one.
        """
        row = len(self._state.labels)
        if label in self._state.labels:
            row = self._state.labels.index(label)
        elif row < len(self._state.probabilities):
            self._change(labels=(*self._state.labels, label))
        else:
            row = 0
        for at, each in enumerate(self._labels[self._first_row_at :]):
            if each == label:
                self._rows[at] = row
        return row

    # Episodes -----------------------------------------------------------------------------------------

    def _follow(self, start: int, end: int) -> int:
        """Carry the open episodes on; clear those that are over. From where on none was open."""
        if not self._state.open:
            return start
        offset = self._first_row_at
        named = [self._state.labels[row] for row in self._rows[start - offset : end - offset]]
        scores = {
            each.episode.subject: [int(label == each.episode.subject) for label in named]
            for each in self._state.open
        }
        still_open, over, until = follow_all(
            self._state.open, self._segment, range(start, end), scores, 0 if start else self._segment.rejected
        )
        self._changes += [
            Cleared(add_expected_shares(episode, self._state.learned), self._segment.last_at)
            for episode in over
        ]
        self._change(open=still_open)
        return end if still_open else start + until

    def _alarm(self, end: int) -> None:
        """The statistic is due after ``labels[end - 1]``: raise an episode, or go on with the one that is open."""
        statistic = self._mixture.compute_mean()
        row = self._mixture.find_peak()
        steps = self._mixture.steps
        subject = self._state.labels[row]
        again = [each for each in self._state.open if each.episode.subject == subject]
        if again:
            extended, worse = again[0].alarm_again(math.log10(statistic))
            if worse is not None:
                self._changes.append(Raised(add_expected_shares(worse, self._state.learned)))
            others = tuple(each for each in self._state.open if each.episode.subject != subject)
            self._change(open=(*others, extended))
        else:
            self._open_episode(end, row, steps, statistic)
        self._mixture.restart()
        self._change(old=ClassCounts(), young=ClassCounts())
        self._trace(statistic)

    def _open_episode(self, end: int, row: int, steps: int, statistic: float) -> None:
        """Estimate the onset and put together what speaks for the episode."""
        taken = self._rows[: end - self._first_row_at]
        history = self._state.history.append(taken, self._segment, self._first_row_at)
        recent = history.list_rows()
        back = self._find_onset(recent, row, steps)
        named = [self._state.labels[each] for each in recent[-1 - back :]]
        counts = dict(Counter(named))
        subject = self._state.labels[row]
        onset_at = history.find_time(back)
        numbers, number = self._state.numbers.take(subject, onset_at)
        observed, expected = counts[subject] / len(named), self._state.learned.find_share(subject)
        threshold = float(self._config.one_false_alarm_in)
        excess = math.log10(statistic / threshold)
        kept = keep_most_frequent(counts)
        episode = Episode(
            subject=subject,
            onset_at=onset_at,
            number=number,
            raised_at=self._segment.last_at,
            severity=rate_severity(observed - expected, excess),
            evidence=Evidence(statistic, threshold, excess, observed - expected, "share", observed, expected),
            window=Window(onset_at, self._segment.last_at, len(named), history.count_rejected(back)),
            source=self._segment.key,
            samples=history.find_samples({row}, back, SAMPLES_KEPT),
            counts=kept,
        )
        episode = add_expected_shares(episode, self._state.learned)
        repeat, share = self._state.repeat_high, self._state.probabilities[row]
        opened = OpenEpisode(
            episode=episode,
            counts=counts,
            total=len(named),
            score=counts[subject],
            unit=1,
            share_high=share,
            share_variance=share * (1 - share) * ((1 + repeat) / (1 - repeat) if repeat < 1 else 1.0),
            log10_evidence=math.log10(statistic),
            rejected=episode.window.rejected,
            clear_after=self._config.clear_after or max(CLEAN_AT_LEAST, 2 * len(named)),
            samples=episode.samples,
            last_at=self._segment.last_at,
        )
        self._change(open=(*self._state.open, opened), numbers=numbers)
        self._changes.append(Raised(episode))

    def _find_onset(self, recent: list[int], row: int, steps: int) -> int:
        """How many predictions before the last the change began: the likeliest, over all sizes of attack.

        It began with a prediction of the row: what came before that one only speaks against it.
        """
        first, again = self._mixture.first_gains[row], self._mixture.repeat_gains[row]
        best, best_back = -math.inf, 0
        for size, share in enumerate(SIZES):
            keep, log_first, log_again = math.log(1 - share), math.log(first[size]), math.log(again[size])
            total = 0.0
            for back in range(min(len(recent), steps)):
                at = len(recent) - 1 - back
                if recent[at] != row:
                    total += keep
                    continue
                total += log_again if at and recent[at - 1] == row else log_first
                if total > best:
                    best, best_back = total, back
        return best_back

    def _trace(self, statistic: float | None = None) -> None:
        """Note the statistic for the evidence chart."""
        value = self._mixture.compute_mean() if statistic is None else statistic
        excess = math.log10(max(value, LEAST_TRACED) / self._config.one_false_alarm_in)
        point = TracePoint(self._segment.last_at, self._state.seen + self._walked, excess)
        self._change(trace=append_trace(self._state.trace, point))
