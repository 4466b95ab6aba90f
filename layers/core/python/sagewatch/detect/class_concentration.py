"""One class takes over: the e-SR mixture (``mixture``) on shares learned from the stream itself.

Three things would break its promise on false alarms, and are met here:

- Shares are estimated: each q_j is a Clopper-Pearson upper bound, and the baseline grows from predictions that
  are old enough to be known to have raised no alarm.
- Predictions repeat (frames of a video): q_j(t) = r * [prev = j] + (1 - r) * q_j, with bounds on r.
- Classes turn up that were never seen: they get rows in reserve, and their first sight counts for nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from operator import eq

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.baseline import ClassCounts, compute_bounds
from sagewatch.detect.detector import SAMPLES_KEPT, Change, Cleared, Episode, Numbers, Raised, rate_severity
from sagewatch.detect.history import History
from sagewatch.detect.mixture import SIZES, UNTOUCHED, Gain, Mixture, MixtureState, build_gain
from sagewatch.detect.open_episode import CLEAN_AT_LEAST, OpenEpisode, follow_all, keep_most_frequent
from sagewatch.detect.trace import TracePoint, append_trace, read_trace
from sagewatch.finding import Evidence, Window, build_content_key

OTHER = "(other)"
"""The row of classes that came after all rows were given away."""

RESERVE_ROWS = 8
MAX_ROWS = 1024
LEAST_TRACED = 1e-3
MISS = 0.2
"""One-sided error of each bound on a share.

Measured (benchmarks/detect.py): wide enough for the accepted rate of false alarms from 200 predictions of
baseline on, with repeats or without; 0.05 makes detection a sixth slower, 0.4 breaks the promise on video.
"""

GROW_TO = 30
"""The baseline grows to so many times what it was first learned from."""


class ClassConcentrationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to watch for a class that takes over.

    Attributes
    ----------
    one_false_alarm_in
        Accepted average number of predictions between false alarms.
    learn_from
        Learn the baseline from so many predictions; nothing is raised meanwhile.
    baseline
        Counts to start from instead of learning.
    classes
        Classes known beforehand, whether they were seen or not.
    clear_after
        Clean predictions that end an episode; None derives it from how long detection took.
    """

    one_false_alarm_in: int = 1_000_000
    learn_from: int = 1000
    baseline: ClassCounts | None = None
    classes: tuple[str, ...] = ()
    clear_after: int | None = None
    staged: bool = False


class ClassConcentrationState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stream.

    Attributes
    ----------
    seen
        Predictions folded.
    learned
        The baseline.
    old, young
        Predictions that wait to join it: a full block, and the one being filled.
    labels
        The class of each row; the first is ``OTHER``, those beyond are in reserve.
    probabilities
        Upper bound of the share of each row, those in reserve included; empty while learning.
    previous
        Class of the last prediction.
    """

    seen: int = 0
    learned: ClassCounts = ClassCounts()
    old: ClassCounts = ClassCounts()
    young: ClassCounts = ClassCounts()
    labels: tuple[str, ...] = (OTHER,)
    probabilities: tuple[float, ...] = ()
    repeat_low: float = 0.0
    repeat_high: float = 0.0
    mixture: MixtureState = MixtureState()
    previous: str = ""
    history: History = History()
    open: tuple[OpenEpisode, ...] = ()
    numbers: Numbers = Numbers()
    trace: bytes = b""


class ClassConcentration:
    """Raises an episode when one class takes a larger share than the baseline allows."""

    name = "class-concentration"
    version = "1"
    state_type = ClassConcentrationState

    def __init__(self, config: ClassConcentrationConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> ClassConcentrationState:
        """Before the first segment: learning, unless a baseline was given."""
        return self.adopt(ClassConcentrationState())

    def adopt(self, previous: ClassConcentrationState) -> ClassConcentrationState:
        """Keep the baseline, the open episodes and their numbers; restart the statistic."""
        fresh = msgspec.structs.replace(
            previous, mixture=MixtureState(), old=ClassCounts(), young=ClassCounts(), probabilities=()
        )
        if self.config.baseline is not None:
            fresh = msgspec.structs.replace(fresh, learned=self.config.baseline)
        learned_enough = self.config.baseline is not None or fresh.learned.total >= self.config.learn_from
        return provision(fresh, self.config) if learned_enough else fresh

    def fold(
        self, state: ClassConcentrationState, segment: Segment
    ) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        """Exact, prediction by prediction."""
        return _Fold(self.config, state, segment).run()

    def close(
        self, state: ClassConcentrationState, now: datetime
    ) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        """Nothing: only predictions count."""
        del now
        return state, ()

    def list_open(self, state: ClassConcentrationState) -> tuple[Episode, ...]:
        """The episodes that are not over, with all evidence so far."""
        return tuple(each.describe() for each in state.open)

    def list_trace(self, state: ClassConcentrationState) -> tuple[TracePoint, ...]:
        """log10(mean M / accepted average number of predictions between false alarms), by segment."""
        return read_trace(state.trace)


def provision(state: ClassConcentrationState, config: ClassConcentrationConfig) -> ClassConcentrationState:
    """Give every class of the baseline a row and a bound on its share, and refill the reserve."""
    bounds = compute_bounds(state.learned, MISS)
    known = dict.fromkeys((*state.labels, *config.classes, *state.learned.counts))
    labels = tuple(known)[:MAX_ROWS]
    reserve = min(RESERVE_ROWS, MAX_ROWS - len(labels))
    shares = (bounds.shares.get(label, bounds.unseen) for label in labels[1:])
    other = max(bounds.unseen, bounds.rare)
    return msgspec.structs.replace(
        state,
        labels=labels,
        probabilities=(other, *shares, *[bounds.unseen] * reserve),
        repeat_low=bounds.repeat_low,
        repeat_high=bounds.repeat_high,
    )


class _Fold:
    """One fold at work: a copy of the state that is changed as the segment is walked through."""

    def __init__(
        self, config: ClassConcentrationConfig, state: ClassConcentrationState, segment: Segment
    ) -> None:
        self.config = config
        self.state = state
        self.segment = segment
        self.labels = [segment.labels[index] for index in segment.indexes()]
        self.rows: list[int] = []
        self.first_row_at = 0
        self.walked = 0
        self.changes: list[Change] = []
        self.mixture = Mixture(MixtureState(), [], [], config.one_false_alarm_in)

    def run(self) -> tuple[ClassConcentrationState, tuple[Change, ...]]:
        at, end = 0, len(self.labels)
        if not self.state.probabilities:
            at = self.learn()
        if at < end:
            self.first_row_at = at
            self.load_mixture(self.state.mixture)
            rows_of = {label: row for row, label in enumerate(self.state.labels)}
            unknown = -1 if len(self.state.labels) < len(self.state.probabilities) else 0
            self.rows = [rows_of.get(label, unknown) for label in self.labels[at:]]
            while at < end:
                at = self.walk(at)
            self.change(
                mixture=self.mixture.rest(),
                history=self.state.history.append(self.rows, self.segment, self.first_row_at),
            )
        previous = self.labels[-1] if self.labels else self.state.previous
        self.walked = 0
        self.change(seen=self.state.seen + end, previous=previous)
        if self.rows and self.segment.part == self.segment.parts - 1:
            self.trace()
        return self.state, tuple(self.changes)

    def change(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    # Learning -----------------------------------------------------------------------------------------

    def learn(self) -> int:
        """Count what is still missing from the baseline; where counting stopped."""
        stop = min(len(self.labels), self.config.learn_from - self.state.learned.total)
        self.change(learned=self.state.learned.add(self.count(0, stop)))
        if self.state.learned.total >= self.config.learn_from:
            self.state = provision(self.state, self.config)
        return stop

    def count(self, start: int, stop: int) -> ClassCounts:
        """Classes and repeats of ``labels[start:stop]``; a pair lies within one file."""
        labels = self.labels[start:stop]
        if not labels:
            return ClassCounts()
        before = self.find_previous(start) if start or self.segment.part else None
        linked = [before, *labels] if before is not None else labels
        return ClassCounts(dict(Counter(labels)), len(linked) - 1, sum(map(eq, linked, linked[1:])))

    def find_previous(self, at: int) -> str:
        """The class before a prediction."""
        return self.labels[at - 1] if at else self.state.previous

    def grow(self, start: int, stop: int) -> None:
        """Let clean predictions wait in blocks, and a block that waited long enough join the baseline."""
        if self.state.open or self.state.learned.total >= GROW_TO * self.config.learn_from:
            return
        young = self.state.young.add(self.count(start, stop))
        if young.total < self.config.learn_from:
            self.change(young=young)
            return
        joined = self.state.old
        self.change(learned=self.state.learned.add(joined), old=young, young=ClassCounts())
        if joined.total:
            self.state = provision(self.state, self.config)
            self.load_mixture(self.mixture.rest())

    # Detecting ----------------------------------------------------------------------------------------

    def load_mixture(self, state: MixtureState) -> None:
        """Set the mixture up with the bounds on shares and repeats as they are now."""
        low, high = self.state.repeat_low, self.state.repeat_high
        # Bounds on the chance of j: (1 - r) q_j after another class, r + (1 - r) q_j after j itself.
        first = [build_gain(share * (1 - low)) for share in self.state.probabilities]
        again = [build_gain(min(1.0, high + (1 - high) * share)) for share in self.state.probabilities]
        self.mixture = Mixture(state, first, again, self.config.one_false_alarm_in)

    def walk(self, at: int) -> int:
        """Fold on from a prediction until something happens; where it stopped."""
        stop = self.find_stop(at)
        row = self.get_row(at)
        special: Gain | None = None
        if row < 0:
            row = self.admit(self.labels[at])
            special, stop = (UNTOUCHED if row else None), at + 1
        elif at == 0 and self.segment.part == 0:
            # What came before is in another file, perhaps of another instance: rely on it no more than needed.
            special, stop = build_gain(self.state.probabilities[row]), 1
        kept = self.mixture.first_gains[row]
        if special is not None:
            self.mixture.first_gains[row] = special
        previous = self.find_row(self.find_previous(at))
        offset = self.first_row_at
        end, due = self.mixture.advance(self.rows, at - offset, stop - offset, previous)
        self.mixture.first_gains[row] = kept
        end += offset
        self.walked = end
        clean_from = self.follow(at, end)
        if due:
            self.alarm(end)
        else:
            self.grow(clean_from, end)
        return end

    def get_row(self, at: int) -> int:
        return self.rows[at - self.first_row_at]

    def find_row(self, label: str) -> int:
        return self.state.labels.index(label) if label in self.state.labels else -1

    def find_stop(self, at: int) -> int:
        """The next prediction before which the baseline may grow or a class is new."""
        waiting = self.config.learn_from - self.state.young.total
        stop = min(len(self.labels), at + max(1, waiting))
        try:
            new = self.rows.index(-1, at - self.first_row_at) + self.first_row_at
        except ValueError:
            return stop
        return min(stop, new) if new > at else at + 1

    def admit(self, label: str) -> int:
        """Give a new class a row in reserve, or the row of the others; its row."""
        row = len(self.state.labels)
        if row < len(self.state.probabilities):
            self.change(labels=(*self.state.labels, label))
        else:
            row = 0
        for at, each in enumerate(self.labels[self.first_row_at :]):
            if each == label:
                self.rows[at] = row
        return row

    # Episodes -----------------------------------------------------------------------------------------

    def follow(self, start: int, end: int) -> int:
        """Carry the open episodes on; clear those that are over. From where on none was open."""
        if not self.state.open:
            return start
        offset = self.first_row_at
        named = [self.state.labels[row] for row in self.rows[start - offset : end - offset]]
        scores = {
            each.episode.subject: [int(label == each.episode.subject) for label in named]
            for each in self.state.open
        }
        still_open, over, until = follow_all(
            self.state.open, self.segment, range(start, end), scores, 0 if start else self.segment.rejected
        )
        self.changes += [Cleared(episode, self.segment.last_at) for episode in over]
        self.change(open=still_open)
        return end if still_open else start + until

    def alarm(self, end: int) -> None:
        """The statistic is due after ``labels[end - 1]``: raise an episode, or go on with the one that is open."""
        statistic = self.mixture.compute_mean()
        row = self.mixture.find_peak()
        steps = self.mixture.steps
        subject = self.state.labels[row]
        again = [each for each in self.state.open if each.episode.subject == subject]
        if again:
            extended = again[0].alarm_again(math.log10(statistic))
            episode = extended.describe()
            if episode.severity.rank > extended.episode.severity.rank:
                self.changes.append(Raised(episode))
                extended = msgspec.structs.replace(extended, episode=episode)
            others = tuple(each for each in self.state.open if each.episode.subject != subject)
            self.change(open=(*others, extended))
        else:
            self.open_episode(end, row, steps, statistic)
        self.mixture.restart()
        self.change(old=ClassCounts(), young=ClassCounts())
        self.trace(statistic)

    def open_episode(self, end: int, row: int, steps: int, statistic: float) -> None:
        """Estimate the onset and put together what speaks for the episode."""
        taken = self.rows[: end - self.first_row_at]
        history = self.state.history.append(taken, self.segment, self.first_row_at)
        recent = history.list_rows()
        back = self.find_onset(recent, row, steps)
        named = [self.state.labels[each] for each in recent[-1 - back :]]
        counts = dict(Counter(named))
        subject = self.state.labels[row]
        onset_at = history.find_time(back)
        numbers, number = self.state.numbers.take(subject, onset_at)
        observed, expected = counts[subject] / len(named), self.state.learned.find_share(subject)
        threshold = float(self.config.one_false_alarm_in)
        excess = math.log10(statistic / threshold)
        kept = keep_most_frequent(counts)
        episode = Episode(
            subject=subject,
            onset_at=onset_at,
            number=number,
            raised_at=self.segment.last_at,
            severity=rate_severity(observed - expected, excess),
            evidence=Evidence(statistic, threshold, excess, observed - expected, "share", observed, expected),
            window=Window(onset_at, self.segment.last_at, len(named), history.count_rejected(back)),
            source=self.segment.key,
            samples=history.find_samples({row}, back, SAMPLES_KEPT),
            counts=kept,
            expected_shares={label: self.state.learned.find_share(label) for label in kept},
        )
        repeat, share = self.state.repeat_high, self.state.probabilities[row]
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
            clear_after=self.config.clear_after or max(CLEAN_AT_LEAST, 2 * len(named)),
            samples=episode.samples,
            last_at=self.segment.last_at,
        )
        self.change(open=(*self.state.open, opened), numbers=numbers)
        self.changes.append(Raised(episode))

    def find_onset(self, recent: list[int], row: int, steps: int) -> int:
        """How many predictions before the last the change began: the likeliest, over all sizes of attack."""
        first, again = self.mixture.first_gains[row], self.mixture.repeat_gains[row]
        best, best_back = -math.inf, 0
        for size, share in enumerate(SIZES):
            keep, log_first, log_again = math.log(1 - share), math.log(first[size]), math.log(again[size])
            total = 0.0
            for back in range(min(len(recent), steps)):
                at = len(recent) - 1 - back
                if recent[at] != row:
                    total += keep
                else:
                    total += log_again if at and recent[at - 1] == row else log_first
                if total > best:
                    best, best_back = total, back
        return best_back

    def trace(self, statistic: float | None = None) -> None:
        """Note the statistic for the evidence chart."""
        value = self.mixture.compute_mean() if statistic is None else statistic
        excess = math.log10(max(value, LEAST_TRACED) / self.config.one_false_alarm_in)
        point = TracePoint(self.segment.last_at, self.state.seen + self.walked, excess)
        self.change(trace=append_trace(self.state.trace, point))
