"""Sum, mean and spread of a stream of numbers, added up in Spark's order while that can matter."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Up to so many values the arithmetic is Spark's, value after value, so that results equal AWS's to the last bit.
# Beyond, AWS's own last bits depend on how Spark cut the data; blocks are faster and more precise.
SEQUENTIAL: Final = 4096
LARGEST: Final = 1.7976931348623157e308


class Moments:
    """Count, sum, mean, sum of squared deviations, smallest and largest; merges like Spark's partitions.

    Source: Spark's ``CentralMomentAgg`` (Welford 1962, merged as in Chan, Golub and LeVeque 1979).
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.mean = 0.0
        self.squares = 0.0
        self.least = math.inf
        self.most = -math.inf

    def add(self, values: NDArray[np.float64]) -> None:
        """Take in finite numbers."""
        if not len(values):
            return
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))
        if self.count + len(values) <= SEQUENTIAL:
            self._add_one_by_one(values.tolist())
            return
        block = Moments()
        with np.errstate(over="ignore", invalid="ignore"):
            block.count = len(values)
            block.sum = float(values.sum())
            block.mean = block.sum / block.count
            deviations = values - block.mean
            # Not a dot product: its threads cost more than they bring, beside one another.
            block.squares = float(np.add.reduce(deviations * deviations))
        self._combine(block)

    def add_counted(self, values: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """Take in distinct finite numbers, ascending, and how often each occurs."""
        self.least, self.most = min(self.least, float(values[0])), max(self.most, float(values[-1]))
        block = Moments()
        with np.errstate(over="ignore", invalid="ignore"):
            block.count = int(counts.sum())
            block.sum = float((values * counts).sum())
            block.mean = block.sum / block.count
            deviations = values - block.mean
            block.squares = float((deviations * deviations * counts).sum())
        self._combine(block)

    def merge(self, other: Moments) -> None:
        """Take in another stretch of the stream."""
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        if not self.count and other.count:
            self.count, self.sum, self.squares = other.count, other.sum, other.squares
            # Spark merges its first partition into an empty one, by the formula below: the mean's last bit may change.
            self.mean = other.mean / other.count * other.count
        elif other.count:
            self._combine(other)

    @property
    def std_dev(self) -> float:
        """The population's standard deviation; 0 for one value."""
        return _clamp(math.sqrt(self.squares / self.count)) if self.count else 0.0

    @property
    def total(self) -> float:
        """The sum, kept within the range of doubles."""
        return _clamp(self.sum)

    @property
    def average(self) -> float:
        """Sum by count, as AWS prints it; not the running mean, whose last bit may differ."""
        return _clamp(self.sum / self.count) if self.count else 0.0

    def to_state(self) -> list[Any]:
        """What another process needs to go on from here."""
        return [self.count, self.sum, self.mean, self.squares, self.least, self.most]

    @classmethod
    def from_state(cls, state: list[Any]) -> Moments:
        """The moments that ``to_state`` wrote."""
        moments = cls()
        moments.count, moments.sum, moments.mean, moments.squares, moments.least, moments.most = state
        return moments

    def _add_one_by_one(self, values: list[float]) -> None:
        count, total, mean, squares = self.count, self.sum, self.mean, self.squares
        for value in values:
            count += 1
            total += value
            delta = value - mean
            step = delta / count
            mean += step
            squares += delta * (delta - step)
        self.count, self.sum, self.mean, self.squares = count, total, mean, squares

    def _combine(self, other: Moments) -> None:
        count = self.count + other.count
        delta = other.mean - self.mean
        step = delta / count
        # Spark's order of the sum, from the left: another gives other last bits.
        self.squares = self.squares + other.squares + delta * step * self.count * other.count
        self.mean += step * other.count
        self.sum += other.sum
        self.count = count


def count_equal(
    numbers: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct numbers, ascending, and how often each occurs.

    Parameters
    ----------
    numbers
        At least one, all finite; 0.0 and -0.0 are one number.
    counts
        How often each occurs; None: once.

    Examples
    --------
    >>> import numpy as np
    >>> [each.tolist() for each in count_equal(np.array([2.0, 1.0, 2.0]), np.array([1, 1, 3]))]
    [[1.0, 2.0], [1, 4]]
    """
    if counts is None:
        values = np.sort(numbers) + 0.0
    else:
        order = np.argsort(numbers)
        values, counts = numbers[order] + 0.0, counts[order]
    firsts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    if counts is None:
        return values[firsts], np.diff(firsts, append=len(values))
    if len(firsts) == len(values):
        return values, counts
    return values[firsts], np.add.reduceat(counts, firsts)


def _clamp(number: float) -> float:
    """JSON knows neither infinity nor NaN; both arise only where sums leave the range of doubles."""
    if math.isnan(number):
        return LARGEST
    return max(-LARGEST, min(LARGEST, number))
