"""The KLL sketch of AWS's analyzer: Deequ's deterministic ``QuantileNonSample``, item for item (CONTRACTS §2.3)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sagewatch.quality.statistics import SketchData, SketchParameters

Floats = NDArray[np.float64]

FIRST_LEVEL: Final = 2048
SHRINKING: Final = 0.64


class Sketch:
    """A stream of numbers in a few thousand of them; level i holds items that stand for ``2 ** i`` values.

    Up to 2,050 values it is the data itself, in order. The same values in the same order give the same sketch as
    AWS's; merging is deterministic, and every order of merging stays within the same error of ranks.

    Source: Karnin, Lang and Liberty 2016, arXiv 1603.05346; Deequ's variant never chooses at random.
    """

    def __init__(self, k: int = FIRST_LEVEL, c: float = SHRINKING) -> None:
        self.k, self.c = k, c
        self.levels: list[list[Floats]] = [[]]
        self.compressed = [0]
        self.offsets = [0]
        self._sizes = [0]
        self._capacities = [self.capacity(0)]
        self._capacity = self._capacities[0]

    def capacity(self, level: int) -> int:
        """How many items a level holds before it is halved; the first level is the largest."""
        return 2 * (math.ceil(self.k * self.c**level / 2) + 1)

    @property
    def items(self) -> int:
        """Items kept."""
        return sum(self._sizes)

    @property
    def total(self) -> int:
        """Values that the items stand for: all that were added."""
        return sum(size << level for level, size in enumerate(self._sizes))

    @property
    def is_exact(self) -> bool:
        """True while nothing was thrown away."""
        return not any(self.compressed)

    @property
    def rank_error(self) -> float:
        """How far a share read from the sketch may be off, in [0, 1]; measured in ``benchmarks/quality.py``."""
        # The bound of DataSketches' KLL of the same k, which throws coins where Deequ's takes turns.
        return 0.0 if self.is_exact else 2.296 / self.k**0.9021

    def add(self, values: Floats) -> None:
        """Take in finite numbers, in order."""
        at, count = 0, len(values)
        items = self.items
        while at < count:
            # Deequ adds one value at a time and halves a level when there is one too many.
            piece = values[at : at + max(1, self._capacity - items + 1)]
            self.levels[0].append(piece)
            self._sizes[0] += len(piece)
            at += len(piece)
            items += len(piece)
            if items > self._capacity:
                items -= self._condense()
        # What stays is a copy: the caller's array is his.
        self.levels[0] = [np.concatenate(self.levels[0])] if self.levels[0] else []

    def add_counted(self, values: Floats, counts: NDArray[np.int64]) -> None:
        """Take in distinct finite numbers, ascending, and how often each occurs, as many values at once.

        Of the sorted values every 2**h-th goes to level h, taken from the middle of its like; h is the smallest for
        which the first level could hold them. Ranks stay within half of such a step, so within the sketch's error.
        """
        ends = np.cumsum(counts)
        total = int(ends[-1])
        height = max(0, math.ceil(math.log2(total / self.k))) if total > self.k else 0
        while len(self.levels) <= height:
            self._expand()
        step = 1 << height
        # Of an even number of values none is in the middle: the lower and the upper one take turns.
        middle = max(0, step // 2 - (self.compressed[height] % 2 == 0)) if height else 0
        taken = np.arange(middle, total - total % step, step)
        self._keep(height, values[np.searchsorted(ends, taken, side="right")])
        # What is left over, the largest values, keeps its own weight on the levels below.
        at = total - total % step
        for level in range(height - 1, -1, -1):
            if (total % step) >> level & 1:
                place = at + (1 << level) // 2
                self._keep(level, values[np.searchsorted(ends, [place], side="right")])
                at += 1 << level
        for level in range(height):
            self.compressed[level] += 1
        while self.items >= self._capacity and self._condense():
            pass

    def merge(self, other: Sketch) -> None:
        """Take in another sketch, level by level."""
        while len(self.levels) < len(other.levels):
            self._expand()
        for level, pieces in enumerate(other.levels):
            self.levels[level].extend(pieces)
            self._sizes[level] += other._sizes[level]
        if not other.is_exact and self.is_exact:
            self.compressed, self.offsets = list(other.compressed), list(other.offsets)
        while self.items >= self._capacity and self._condense():
            pass

    def level(self, number: int) -> Floats:
        """The items of a level, in the order of their arrival."""
        pieces = self.levels[number]
        if len(pieces) > 1:
            self.levels[number] = pieces = [np.concatenate(pieces)]
        return pieces[0] if pieces else np.empty(0)

    def weighted(self) -> tuple[Floats, NDArray[np.int64]]:
        """Items and the number of values that each stands for, level by level."""
        levels = [self.level(number) for number in range(len(self.levels))]
        weights = [np.full(len(items), 1 << number, dtype=np.int64) for number, items in enumerate(levels)]
        return np.concatenate(levels), np.concatenate(weights)

    def to_data(self) -> SketchData:
        """The sketch as ``statistics.json`` holds it."""
        levels = [self.level(number).tolist() for number in range(len(self.levels))]
        return SketchData(SketchParameters(self.c, float(self.k)), levels)

    @classmethod
    def from_data(cls, data: SketchData) -> Sketch:
        """A sketch from the file; how often its levels were halved is not in there."""
        sketch = cls(max(2, int(data.parameters.k)), data.parameters.c)
        for level, items in enumerate(data.data):
            if level:
                sketch._expand()
            sketch.levels[level] = [np.asarray(items, dtype=np.float64)]
            sketch._sizes[level] = len(items)
        if any(sketch._sizes[1:]):
            sketch.compressed[0] = 1
        return sketch

    def to_state(self) -> dict[str, Any]:
        """What another process needs to go on from here."""
        return {
            "k": self.k,
            "c": self.c,
            "levels": [self.level(number).astype("<f8").tobytes() for number in range(len(self.levels))],
            "compressed": self.compressed,
            "offsets": self.offsets,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Sketch:
        """The sketch that ``to_state`` wrote."""
        sketch = cls(state["k"], state["c"])
        for level, content in enumerate(state["levels"]):
            if level:
                sketch._expand()
            sketch.levels[level] = [np.frombuffer(content, dtype="<f8").astype(np.float64)]
            sketch._sizes[level] = len(sketch.levels[level][0])
        sketch.compressed, sketch.offsets = list(state["compressed"]), list(state["offsets"])
        return sketch

    def _keep(self, level: int, items: Floats) -> None:
        self.levels[level].append(items)
        self._sizes[level] += len(items)

    def _expand(self) -> None:
        self.levels.append([])
        self.compressed.append(0)
        self.offsets.append(0)
        self._sizes.append(0)
        self._capacities.append(self.capacity(len(self.levels) - 1))
        self._capacity += self._capacities[-1]

    def _condense(self) -> int:
        """Halve the first level that is full: every other item of the sorted ones moves up. Answers how many go."""
        for level, size in enumerate(self._sizes):
            if size < self._capacities[level]:
                continue
            if level + 1 == len(self.levels):
                self._expand()
            pieces = self.levels[level]
            items = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            # The last of an odd number stays behind as it came, unsorted.
            even = size - size % 2
            if self.compressed[level] % 2:
                self.offsets[level] = 1 - self.offsets[level]
            moved = np.sort(items[:even])[self.offsets[level] :: 2]
            self.levels[level], self._sizes[level] = [items[even:]] if size % 2 else [], size - even
            self.levels[level + 1].append(moved)
            self._sizes[level + 1] += len(moved)
            self.compressed[level] += 1
            return even - len(moved)
        return 0
