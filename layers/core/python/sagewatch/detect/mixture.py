"""The e-SR mixture: one Shiryaev-Roberts e-detector for each class and each size of attack.

Row j, size eps starts at M = 0 and for every prediction x

    M <- (M + 1) * ((1 - eps) + eps * [x = j] / q_j)

and the alarm is due when the mean of all M reaches the accepted average number of predictions between false
alarms: then that average is at least so long, with no calibration. Source: Shin, Ramdas and Rinaldo,
"E-detectors", arXiv 2203.03532.

A row that is not predicted only decays towards the fixed point (1 - eps) / eps, so all that must be stored of it
is its deviation from there when it was last predicted. One prediction touches one row: the cost does not
grow with the number of classes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain

import msgspec

SIZES = (0.03, 0.06, 0.12, 0.25, 0.5, 0.9)
"""Shares of the traffic that an attack may push to one class."""

_KEEP = tuple(1 - size for size in SIZES)
_FIXED = tuple(keep / size for keep, size in zip(_KEEP, SIZES, strict=True))
_FIXED_SUM = sum(_FIXED)
_TOP = 2 * _FIXED_SUM
_WIDTH = len(SIZES)
_ROW = struct.Struct(f"<{_WIDTH}d")
_DECAY_STEPS = 2048  # 0.97 ** 2048 < 1e-27: what is older is forgotten
_GONE = (0.0,) * _WIDTH
_START = tuple(-fixed for fixed in _FIXED)  # M = 0

Row = tuple[float, float, float, float, float, float]
Gain = tuple[float, float, float, float, float, float, float, float, float, float, float, float]
UNTOUCHED: Gain = (*_KEEP, *_GONE)  # type: ignore[assignment]
"""The gain of a class that must not count: predicting it is like predicting any other."""


class MixtureState(msgspec.Struct, frozen=True):
    """A mixture at rest.

    Attributes
    ----------
    steps
        Predictions since the statistic was last restarted.
    touched
        Of each row: the step at which it was last predicted.
    deviations
        Of each row: M minus its fixed point at that step, one little-endian float64 a size.
    """

    steps: int = 0
    touched: tuple[int, ...] = ()
    deviations: bytes = b""


@lru_cache(maxsize=8192)
def build_gain(probability: float) -> Gain:
    """What predicting a class does to its row, given its probability without an attack."""
    factors = tuple(keep + size / probability for keep, size in zip(_KEEP, SIZES, strict=True))
    shifts = tuple(factor / size - fixed for factor, size, fixed in zip(factors, SIZES, _FIXED, strict=True))
    return (*factors, *shifts)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def build_gains(
    probabilities: tuple[float, ...], repeat_low: float, repeat_high: float
) -> tuple[tuple[Gain, ...], tuple[Gain, ...]]:
    """The gains of all rows, after another class and after the same, by their bounds on share and repeat."""
    # Bounds on the chance of j: (1 - r) q_j after another class, r + (1 - r) q_j after j itself.
    first = tuple(build_gain(share * (1 - repeat_low)) for share in probabilities)
    again = tuple(build_gain(min(1.0, repeat_high + (1 - repeat_high) * share)) for share in probabilities)
    return first, again


class Mixture:
    """A mixture at work.

    Parameters
    ----------
    state
        Where to go on.
    first_gains, repeat_gains
        Of each row: the gain when the prediction before was of another class, and of the same.
    threshold
        Accepted average number of predictions between false alarms.
    """

    def __init__(
        self, state: MixtureState, first_gains: Sequence[Gain], repeat_gains: Sequence[Gain], threshold: float
    ) -> None:
        self.steps = state.steps
        self._touched = list(state.touched)
        self._rows: list[Row] = list(_ROW.iter_unpack(state.deviations))
        self.first_gains = list(first_gains)
        self.repeat_gains = repeat_gains
        self._threshold = threshold
        self.add_rows(len(first_gains) - len(self._rows))

    def add_rows(self, count: int) -> None:
        """Start further rows at M = 0."""
        self._rows += [_START] * count  # type: ignore[list-item]
        self._touched += [self.steps] * count

    def restart(self) -> None:
        """Start all rows again at M = 0."""
        count = len(self._rows)
        self.steps, self._rows, self._touched = 0, [], []
        self.add_rows(count)

    def rest(self) -> MixtureState:
        """The state to go on from."""
        return MixtureState(self.steps, tuple(self._touched), _pack_rows(self._rows))

    def advance(self, predicted: Sequence[int], start: int, stop: int, previous: int) -> tuple[int, bool]:
        """Take in ``predicted[start:stop]``, but stop after a prediction that makes the alarm due.

        Parameters
        ----------
        predicted
            Rows, in order.
        previous
            Row of the prediction before ``start``, -1 if there is none.

        Returns
        -------
        tuple of int and bool
            Where it stopped, and whether the alarm is due there.
        """
        rows, touched, first, again = self._rows, self._touched, self.first_gains, self.repeat_gains
        decays = _tabulate_decays()
        steps = self.steps
        # The exact mean costs a pass over all rows; a bound on it, kept up to date, says when to look. A loose one
        # does until the alarm is near: what each row was when it was last predicted.
        tops = [total + _TOP for total in map(sum, rows)]
        bound = sum(tops)
        limit = 0.999 * self._threshold * _WIDTH * len(rows)
        for at in range(start, stop):
            row = predicted[at]
            d0, d1, d2, d3, d4, d5 = rows[row]
            gap = steps - touched[row]
            p0, p1, p2, p3, p4, p5 = decays[gap] if gap < _DECAY_STEPS else _GONE
            f0, f1, f2, f3, f4, f5, s0, s1, s2, s3, s4, s5 = again[row] if row == previous else first[row]
            # M <- (M + 1) * factor, written for the deviation from the fixed point.
            d0 = d0 * p0 * f0 + s0
            d1 = d1 * p1 * f1 + s1
            d2 = d2 * p2 * f2 + s2
            d3 = d3 * p3 * f3 + s3
            d4 = d4 * p4 * f4 + s4
            d5 = d5 * p5 * f5 + s5
            rows[row] = (d0, d1, d2, d3, d4, d5)
            steps += 1
            touched[row] = steps
            top = d0 + d1 + d2 + d3 + d4 + d5 + _TOP
            bound += top - tops[row]
            tops[row] = top
            previous = row
            if bound >= limit:
                self.steps = steps
                if self.compute_mean() >= self._threshold:
                    return at + 1, True
                tops = self._bound_rows()
                bound = sum(tops)
        self.steps = steps
        return stop, False

    def compute_mean(self) -> float:
        """Mean of all M now."""
        return sum(total + _FIXED_SUM for total in self._sum_deviations()) / (_WIDTH * len(self._rows))

    def find_peak(self) -> int:
        """The row with the largest M now, of whatever size, among those that were predicted.

        M of a row that was never predicted, or so long ago that it is forgotten, grows by the passing of time alone; where few
        predictions between false alarms are accepted, such rows may lead. The last predicted row is always among the others.
        """
        tops = {
            row: max(values)
            for row, values in enumerate(self._list_values())
            if self._rows[row] != _START and self.steps - self._touched[row] < _DECAY_STEPS
        }
        return max(tops, key=tops.__getitem__)

    def _list_values(self) -> list[tuple[float, ...]]:
        decays = _tabulate_decays()
        values: list[tuple[float, ...]] = []
        for row, touched in zip(self._rows, self._touched, strict=True):
            gap = self.steps - touched
            decay = decays[gap] if gap < _DECAY_STEPS else _GONE
            values.append(tuple(map(_add_fixed, row, decay, _FIXED)))
        return values

    def _bound_rows(self) -> list[float]:
        """What the sum of each row can be at the most from now on, unless it is predicted."""
        # A deviation above 0 only shrinks; one below 0 is -fixed at least and rises to 0 at most.
        return [total + _TOP for total in self._sum_deviations()]

    def _sum_deviations(self) -> list[float]:
        decays = _tabulate_decays()
        steps = self.steps
        totals = []
        for (d0, d1, d2, d3, d4, d5), touched in zip(self._rows, self._touched, strict=True):
            gap = steps - touched
            p0, p1, p2, p3, p4, p5 = decays[gap] if gap < _DECAY_STEPS else _GONE
            totals.append(d0 * p0 + d1 * p1 + d2 * p2 + d3 * p3 + d4 * p4 + d5 * p5)
        return totals


def _pack_rows(rows: Sequence[Row]) -> bytes:
    return struct.pack(f"<{_WIDTH * len(rows)}d", *chain.from_iterable(rows))


def _add_fixed(deviation: float, decay: float, fixed: float) -> float:
    return deviation * decay + fixed


@cache
def _tabulate_decays() -> list[tuple[float, ...]]:
    """(1 - eps) ** k of each size, for k from 0."""
    table = [(1.0,) * _WIDTH]
    for _ in range(_DECAY_STEPS - 1):
        table.append(tuple(power * keep for power, keep in zip(table[-1], _KEEP, strict=True)))
    return table
