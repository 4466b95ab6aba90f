"""The model became less sure: a betting e-SR on the mean confidence.

For each stake, start at M = 0 and for every confidence x

    M <- (M + 1) * (1 + stake * (mean_low - x))

and the alarm is due when the mean of all M reaches the accepted average number of predictions between false
alarms. ``mean_low`` is a lower confidence bound of the clean mean; stakes stay below 1 / (1 - mean_low), so that no
bet loses all. Source: Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532; Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", arXiv 2010.09686.

Predictions without a confidence are passed over. Confidences of neighbours are taken as independent given the
baseline: on video, whose frames resemble each other, false alarms come more often than promised.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import lru_cache

import msgspec

from sagewatch.capture import Segment
from sagewatch.capture.segment import CONFIDENCE_STEPS, NO_CONFIDENCE
from sagewatch.detect.detector import SAMPLES_KEPT, Change, Cleared, Episode, Numbers, Raised, rate_severity
from sagewatch.detect.history import History
from sagewatch.detect.open_episode import CLEAN_AT_LEAST, OpenEpisode, follow_all
from sagewatch.detect.trace import TracePoint, append_trace, read_trace
from sagewatch.finding import Evidence, Window, build_content_key

BETS = (0.01, 0.03, 0.08, 0.2, 0.45, 0.9)
"""Stakes, as parts of the largest one: what a prediction of full confidence costs."""

DEVIATIONS = 2.0
"""``mean_low`` lies so many standard errors below the baseline's mean."""

LEAST_ROOM = 0.002
"""``mean_low`` is at most 1 minus this: a confidence is only known to half a step of 1/254."""

GROW_TO = 30
LEAST_TRACED = 1e-3
_SUBJECT = ""  # the whole stream

Bet = tuple[float, float, float, float, float, float]


class ConfidenceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to watch the mean confidence.

    Attributes
    ----------
    one_false_alarm_in
        Accepted average number of predictions between false alarms.
    learn_from
        Learn the baseline from so many predictions; nothing is raised meanwhile.
    clear_after
        Clean predictions that end an episode; None derives it from how long detection took.
    """

    one_false_alarm_in: int = 1_000_000
    learn_from: int = 1000
    clear_after: int | None = None
    staged: bool = False


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Number, sum and sum of squares of confidences, in steps of 1/254: whole numbers, so sums are exact."""

    count: int = 0
    sum: int = 0
    squares: int = 0

    def add(self, other: Moments) -> Moments:
        """Both together."""
        return Moments(self.count + other.count, self.sum + other.sum, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Mean confidence in [0, 1]."""
        return self.sum / self.count / CONFIDENCE_STEPS

    @property
    def variance(self) -> float:
        """Variance of a confidence."""
        return max(0.0, self.squares / self.count / CONFIDENCE_STEPS**2 - self.mean**2)


class ConfidenceState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stream: the baseline, the blocks that wait to join it, and M of each bet."""

    seen: int = 0
    learned: Moments = Moments()
    old: Moments = Moments()
    young: Moments = Moments()
    mean_low: float = -1.0  # below 0 while learning
    values: Bet = (0.0,) * 6
    steps: int = 0
    history: History = History()
    open: tuple[OpenEpisode, ...] = ()
    numbers: Numbers = Numbers()
    trace: bytes = b""


class Confidence:
    """Raises an episode when the mean confidence falls below the baseline's."""

    name = "confidence"
    version = "1"
    state_type = ConfidenceState

    def __init__(self, config: ConfidenceConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> ConfidenceState:
        """Learning."""
        return ConfidenceState()

    def adopt(self, previous: ConfidenceState) -> ConfidenceState:
        """Keep the baseline, the open episode and its number; restart the statistic."""
        fresh = msgspec.structs.replace(
            previous, values=(0.0,) * 6, steps=0, old=Moments(), young=Moments(), mean_low=-1.0
        )
        return _bound(fresh) if fresh.learned.count >= self.config.learn_from else fresh

    def fold(self, state: ConfidenceState, segment: Segment) -> tuple[ConfidenceState, tuple[Change, ...]]:
        """Exact, prediction by prediction."""
        if not segment.confidences:
            return state, ()
        return _Fold(self.config, state, segment).run()

    def close(self, state: ConfidenceState, now: datetime) -> tuple[ConfidenceState, tuple[Change, ...]]:
        """Nothing: only predictions count."""
        del now
        return state, ()

    def list_open(self, state: ConfidenceState) -> tuple[Episode, ...]:
        """The episode that is not over."""
        return tuple(each.describe() for each in state.open)

    def list_trace(self, state: ConfidenceState) -> tuple[TracePoint, ...]:
        """log10(mean M / accepted average number of predictions between false alarms), by segment."""
        return read_trace(state.trace)


class _Fold:
    """One fold at work: a copy of the state that is changed as the segment is walked through."""

    def __init__(self, config: ConfidenceConfig, state: ConfidenceState, segment: Segment) -> None:
        self.config = config
        self.state = state
        self.segment = segment
        given = segment.confidences
        self.positions = [at for at in range(len(given)) if given[at] != NO_CONFIDENCE]
        self.levels = bytes(given[at] for at in self.positions)
        self.changes: list[Change] = []
        self.kept_from = 0

    def run(self) -> tuple[ConfidenceState, tuple[Change, ...]]:
        at = self._learn() if self.state.mean_low < 0 else 0
        self.kept_from = self.positions[at - 1] + 1 if at else 0
        while at < len(self.levels):
            at = self._walk(at)
        self._change(seen=self.state.seen + len(self.levels))
        if self.state.mean_low >= 0:
            self._change(history=self._append_history(len(self.segment.confidences)))
            if self.segment.part == self.segment.parts - 1:
                self._trace(sum(self.state.values) / len(BETS), 0)
        return self.state, tuple(self.changes)

    def _change(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    def _append_history(self, stop: int) -> History:
        levels = list(self.segment.confidences[self.kept_from : stop])
        return self.state.history.append(levels, self.segment, self.kept_from)

    def _learn(self) -> int:
        stop = min(len(self.levels), self.config.learn_from - self.state.learned.count)
        self._change(learned=self.state.learned.add(_sum_up(self.levels[:stop])))
        if self.state.learned.count >= self.config.learn_from:
            self.state = _bound(self.state)
        return stop

    def _walk(self, at: int) -> int:
        """Fold on until the alarm is due or the baseline may grow; where it stopped."""
        stop = min(len(self.levels), at + self.config.learn_from - self.state.young.count)
        limit = float(self.config.one_false_alarm_in) * len(BETS)
        values, end = _bet(
            self.state.values, self.levels, at, stop, _tabulate_bets(self.state.mean_low), limit
        )
        self._change(values=values, steps=self.state.steps + end - at)
        clean_from = self._follow(at, end)
        if sum(values) >= limit:
            self._alarm(end)
        else:
            self._grow(clean_from, end)
        return end

    def _grow(self, start: int, end: int) -> None:
        if self.state.open or self.state.learned.count >= GROW_TO * self.config.learn_from:
            return
        young = self.state.young.add(_sum_up(self.levels[start:end]))
        if young.count < self.config.learn_from:
            self._change(young=young)
            return
        joined = self.state.learned.add(self.state.old)
        self.state = _bound(msgspec.structs.replace(self.state, learned=joined, old=young, young=Moments()))

    def _follow(self, start: int, end: int) -> int:
        """Carry the open episode on; clear it when it is over. From where on none was open."""
        if not self.state.open:
            return start
        scores = {_SUBJECT: [CONFIDENCE_STEPS - level for level in self.levels[start:end]]}
        rejected = 0 if start else self.segment.rejected
        still_open, over, until = follow_all(
            self.state.open, self.segment, self.positions[start:end], scores, rejected
        )
        self.changes += [Cleared(episode, self.segment.last_at) for episode in over]
        self._change(open=still_open)
        return end if still_open else start + until

    def _alarm(self, end: int) -> None:
        statistic = sum(self.state.values) / len(BETS)
        if self.state.open:
            extended = self.state.open[0].alarm_again(math.log10(statistic))
            episode = extended.describe()
            if episode.severity.rank > extended.episode.severity.rank:
                self.changes.append(Raised(episode))
                extended = msgspec.structs.replace(extended, episode=episode)
            self._change(open=(extended,))
        else:
            self._open_episode(end, statistic)
        self._trace(statistic, end)
        self._change(values=(0.0,) * 6, steps=0, old=Moments(), young=Moments())

    def _open_episode(self, end: int, statistic: float) -> None:
        """Estimate the onset and put together what speaks for the episode."""
        stop = self.positions[end - 1] + 1
        history = self._append_history(stop)
        recent = history.list_rows()
        back = self._find_onset(recent)
        since = [level for level in recent[-1 - back :] if level != NO_CONFIDENCE]
        observed = sum(since) / len(since) / CONFIDENCE_STEPS
        expected = self.state.learned.mean
        threshold = float(self.config.one_false_alarm_in)
        excess = math.log10(statistic / threshold)
        onset_at = history.find_time(back)
        numbers, number = self.state.numbers.take(_SUBJECT, onset_at)
        suspicious = range(math.ceil(self.state.mean_low * CONFIDENCE_STEPS))
        episode = Episode(
            subject=_SUBJECT,
            onset_at=onset_at,
            number=number,
            raised_at=self.segment.last_at,
            severity=rate_severity(observed - expected, excess),
            evidence=Evidence(statistic, threshold, excess, observed - expected, "mean", observed, expected),
            window=Window(onset_at, self.segment.last_at, len(since), history.count_rejected(back)),
            source=self.segment.key,
            samples=history.find_samples(suspicious, back, SAMPLES_KEPT),
        )
        opened = OpenEpisode(
            episode=episode,
            counts={},
            total=len(since),
            score=sum(CONFIDENCE_STEPS - level for level in since),
            unit=CONFIDENCE_STEPS,
            share_high=1 - self.state.mean_low,
            share_variance=self.state.learned.variance,
            log10_evidence=math.log10(statistic),
            rejected=episode.window.rejected,
            clear_after=self.config.clear_after or max(CLEAN_AT_LEAST, 2 * len(since)),
            samples=episode.samples,
            last_at=self.segment.last_at,
        )
        self._change(open=(opened,), numbers=numbers)
        self.changes.append(Raised(episode))

    def _find_onset(self, recent: list[int]) -> int:
        """How many predictions before the last the change began: the likeliest, over all bets."""
        table = _tabulate_bets(self.state.mean_low)
        logs = [tuple(map(math.log, factors)) for factors in table]
        best, best_back, steps = -math.inf, 0, 0
        totals = [0.0] * len(BETS)
        for back, level in enumerate(reversed(recent)):
            if level == NO_CONFIDENCE:
                continue
            if steps == self.state.steps:
                break
            steps += 1
            totals = [total + log for total, log in zip(totals, logs[level], strict=True)]
            if max(totals) > best:
                best, best_back = max(totals), back
        return best_back

    def _trace(self, statistic: float, walked: int) -> None:
        excess = math.log10(max(statistic, LEAST_TRACED) / self.config.one_false_alarm_in)
        point = TracePoint(self.segment.last_at, self.state.seen + walked, excess)
        self._change(trace=append_trace(self.state.trace, point))


def _bound(state: ConfidenceState) -> ConfidenceState:
    """Set the lower bound of the clean mean from the baseline."""
    learned = state.learned
    error = math.sqrt(learned.variance / learned.count)
    # Half a step is what rounding may have taken from a confidence.
    low = learned.mean - DEVIATIONS * error - 0.5 / CONFIDENCE_STEPS / math.sqrt(learned.count)
    return msgspec.structs.replace(state, mean_low=min(1 - LEAST_ROOM, max(0.0, low)))


def _sum_up(levels: bytes) -> Moments:
    return Moments(len(levels), sum(levels), sum(level * level for level in levels))


@lru_cache(maxsize=64)
def _tabulate_bets(mean_low: float) -> list[Bet]:
    """What each level of confidence does to each bet."""
    stakes = [bet / (1 - mean_low) for bet in BETS]
    levels = [level / CONFIDENCE_STEPS for level in range(CONFIDENCE_STEPS + 1)]
    return [tuple(1 + stake * (mean_low - x) for stake in stakes) for x in levels]  # type: ignore[misc]


def _bet(
    values: Bet, levels: bytes, start: int, stop: int, table: list[Bet], limit: float
) -> tuple[Bet, int]:
    """Fold ``levels[start:stop]``, but stop after the one at which the sum of all M reaches ``limit``."""
    m0, m1, m2, m3, m4, m5 = values
    for at in range(start, stop):
        f0, f1, f2, f3, f4, f5 = table[levels[at]]
        m0 = (m0 + 1) * f0
        m1 = (m1 + 1) * f1
        m2 = (m2 + 1) * f2
        m3 = (m3 + 1) * f3
        m4 = (m4 + 1) * f4
        m5 = (m5 + 1) * f5
        if m0 + m1 + m2 + m3 + m4 + m5 >= limit:
            return (m0, m1, m2, m3, m4, m5), at + 1
    return (m0, m1, m2, m3, m4, m5), stop
