"""What the classes of a stream look like while nothing is wrong."""

from __future__ import annotations

import msgspec

from sagewatch.detect.binomial import compute_lower_share, compute_upper_share


class ClassCounts(msgspec.Struct, frozen=True):
    """Predictions counted by class, and how often one repeated the one before it.

    Attributes
    ----------
    counts
        Predictions of each class.
    pairs, repeats
        Neighbouring predictions within a file, and how many of these pairs were of one class.
    """

    counts: dict[str, int] = {}
    pairs: int = 0
    repeats: int = 0

    @property
    def total(self) -> int:
        """All predictions."""
        return sum(self.counts.values())

    def add(self, other: ClassCounts) -> ClassCounts:
        """Both together."""
        counts = dict(self.counts)
        for label, count in other.counts.items():
            counts[label] = counts.get(label, 0) + count
        return ClassCounts(counts, self.pairs + other.pairs, self.repeats + other.repeats)

    def find_share(self, label: str) -> float:
        """The share of a class; 0 if it was never seen."""
        total = self.total
        return self.counts.get(label, 0) / total if total else 0.0


class ShareBounds(msgspec.Struct, frozen=True):
    """How probable each class can be at the most, given what was counted.

    Attributes
    ----------
    shares
        Upper bound of each class that was asked for.
    unseen
        Upper bound of a class that was never counted.
    rare
        Upper bound of all classes together that were never counted (Good and Turing: as many as were
        counted once).
    repeat_low, repeat_high
        Bounds of the chance that a prediction simply repeats the one before it.
    """

    shares: dict[str, float]
    unseen: float
    rare: float
    repeat_low: float
    repeat_high: float


def compute_bounds(counted: ClassCounts, miss: float) -> ShareBounds:
    """Bounds that hold with probability 1 - ``miss`` each.

    Model of repeats: q_j(t) = r * [prev = j] + (1 - r) * q_j, so a pair is of one class with probability
    r + (1 - r) * sum(q_j ** 2), from which r follows.
    """
    total = counted.total
    known: dict[int, float] = {}
    for count in {0, *counted.counts.values()}:
        known[count] = compute_upper_share(count, total, miss)
    chance = sum((count / total) ** 2 for count in counted.counts.values()) if total else 0.0
    low, high = 0.0, 0.0
    if counted.pairs and chance < 1:
        low = (compute_lower_share(counted.repeats, counted.pairs, miss) - chance) / (1 - chance)
        high = (compute_upper_share(counted.repeats, counted.pairs, miss) - chance) / (1 - chance)
    return ShareBounds(
        {label: known[count] for label, count in counted.counts.items()},
        known[0],
        compute_upper_share(sum(count == 1 for count in counted.counts.values()), total, miss),
        max(0.0, low),
        max(0.0, high),
    )
