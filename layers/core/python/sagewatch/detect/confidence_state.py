"""What confidence knows of a stream between two folds, and its bets."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from sagewatch.capture.segment import CONFIDENCE_STEPS
from sagewatch.detect.detector import Numbers
from sagewatch.detect.history import History
from sagewatch.detect.open_episode import OpenEpisode

BETS = (0.01, 0.03, 0.08, 0.2, 0.45, 0.9)
"""Stakes, as parts of the largest one: what a prediction of full confidence costs."""

DEVIATIONS = 2.0
"""``mean_low`` lies so many standard errors below the baseline's mean."""

LEAST_ROOM = 0.002
"""``mean_low`` is at most 1 minus this: a confidence is only known to half a step of 1/254."""


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


def bound_mean(state: ConfidenceState) -> ConfidenceState:
    """Set the lower bound of the clean mean from the baseline."""
    learned = state.learned
    error = math.sqrt(learned.variance / learned.count)
    # Half a step is what rounding may have taken from a confidence.
    low = learned.mean - DEVIATIONS * error - 0.5 / CONFIDENCE_STEPS / math.sqrt(learned.count)
    return msgspec.structs.replace(state, mean_low=min(1 - LEAST_ROOM, max(0.0, low)))


def sum_up(levels: bytes) -> Moments:
    """The moments of confidences in steps of 1/254."""
    return Moments(len(levels), sum(levels), sum(level * level for level in levels))


@lru_cache(maxsize=64)
def tabulate_bets(mean_low: float) -> list[Bet]:
    """What each level of confidence does to each bet."""
    a, b, c, d, e, f = (bet / (1 - mean_low) for bet in BETS)
    gaps = [mean_low - level / CONFIDENCE_STEPS for level in range(CONFIDENCE_STEPS + 1)]
    return [(1 + a * x, 1 + b * x, 1 + c * x, 1 + d * x, 1 + e * x, 1 + f * x) for x in gaps]


def place_bets(
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
