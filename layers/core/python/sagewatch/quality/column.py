"""One column: everything that its statistics need, taken in array by array, and mergeable."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sagewatch.quality.cells import PackedColumn
from sagewatch.quality.distinct import DistinctCounter, hash_values
from sagewatch.quality.encoding import WORDS_WORTH_A_DICTIONARY, Encoded, encode_column, encode_packed
from sagewatch.quality.inference import (
    KIND_BOOLEAN,
    KIND_FRACTIONAL,
    KIND_INTEGRAL,
    KIND_STRING,
    KINDS,
    classify_strings,
    decide_type,
)
from sagewatch.quality.moments import Moments, count_equal
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import FRACTIONAL, INTEGRAL
from sagewatch.quality.tally import VALUES_COUNTED, Tally

# Counts of so many values are kept: AWS's 120 make a histogram, the others tell what is new.
CATEGORIES_KEPT: Final = WORDS_WORTH_A_DICTIONARY

# Up to so many values their order counts, as it does in AWS's sketches: these are equal to AWS's, item for item.
# Beyond, a batch is sorted, equal values are taken together, and what is kept is a choice of them.
IN_ORDER: Final = 20_000


class ColumnProfile:
    """What is known of a column of strings, from which its type, its numbers and its categories follow.

    Attributes
    ----------
    missing
        Values that are not there.
    kinds
        How many values look like fractions, whole numbers, truth values, other strings.
    whole
        Fractions that are whole numbers, such as ``1.0``.
    negatives
        Numbers below zero.
    tally
        How often each value occurs.
    has_classes
        True where numbers may be a model's classes, and are counted as strings are.
    """

    def __init__(self, most_categories: int = CATEGORIES_KEPT, *, has_classes: bool = False) -> None:
        self.missing = 0
        self.kinds: NDArray[np.int64] = np.zeros(KINDS, dtype=np.int64)
        self.whole = 0
        self.negatives = 0
        self.moments = Moments()
        self.sketch = Sketch()
        self.distinct = DistinctCounter()
        self.tally = Tally()
        self.most_categories = most_categories
        self.has_classes = has_classes

    @property
    def present(self) -> int:
        """Values that are there."""
        return int(self.kinds.sum())

    @property
    def inferred_type(self) -> str:
        """Integral, Fractional, String or Unknown."""
        return decide_type(self.kinds)

    @property
    def completeness(self) -> float:
        """Share of values that are there, in [0, 1]; 0 for no rows at all."""
        rows = self.present + self.missing
        return self.present / rows if rows else 0.0

    @property
    def categories(self) -> dict[str, int] | None:
        """Counts of the values; None where there are more than ``most_categories``, or one is too long for a category."""
        tally = self.tally
        whole = not tally.missed and not tally.has_text and tally.total == self.present
        return tally.counts if whole and len(tally.counts) <= self.most_categories else None

    def add(self, column: pa.StringArray | PackedColumn) -> None:
        """Take in values as strings, null where one is missing."""
        if isinstance(column, PackedColumn):
            keys = column.keys if column.keys.all() else column.keys[column.keys != 0]
            in_order = self.present + len(keys) <= IN_ORDER
            encoded = encode_packed(keys, in_order=in_order) if len(keys) else None
            self.missing += len(column) - len(keys)
        else:
            values = column.drop_null() if column.null_count else column
            in_order = self.present + len(values) <= IN_ORDER
            encoded = encode_column(values) if len(values) else None
            self.missing += column.null_count
        if encoded is not None:
            self._add_encoded(encoded, in_order=in_order)

    def _add_encoded(self, encoded: Encoded, *, in_order: bool) -> None:
        kinds, numbers = classify_strings(encoded.words)
        found = np.bincount(kinds, weights=encoded.counts, minlength=KINDS)
        self.kinds = self.kinds + found.astype(np.int64)
        self.distinct.add(hash_values(encoded.words, numbers))
        # Numbers beyond a few are no categories, unless they are classes.
        plain = not self.has_classes and not found[KIND_STRING] and not found[KIND_BOOLEAN]
        once = self._add_numbers(encoded, kinds, numbers, in_order=in_order)
        self._count(encoded, self.most_categories if plain else VALUES_COUNTED, once=once)

    def merge(self, other: ColumnProfile) -> None:
        """Take in the profile of other rows of the same column."""
        self.missing += other.missing
        self.kinds += other.kinds
        self.whole += other.whole
        self.negatives += other.negatives
        self.moments.merge(other.moments)
        self.sketch.merge(other.sketch)
        self.distinct.merge(other.distinct)
        self.tally.merge(other.tally)

    def matching(self, expected: str, *, lenient: bool) -> int:
        """How many values are of a type.

        Parameters
        ----------
        lenient
            A whole number is also a fraction, ``1.0`` is also whole, and a truth value is a string.
        """
        if expected == INTEGRAL:
            return int(self.kinds[KIND_INTEGRAL]) + (self.whole if lenient else 0)
        if expected == FRACTIONAL:
            return int(self.kinds[KIND_FRACTIONAL]) + (int(self.kinds[KIND_INTEGRAL]) if lenient else 0)
        return int(self.kinds[KIND_STRING]) + int(self.kinds[KIND_BOOLEAN])

    def to_state(self) -> dict[str, Any]:
        """What another process or machine needs to go on from here."""
        return {
            "missing": self.missing,
            "kinds": self.kinds.tolist(),
            "whole": self.whole,
            "negatives": self.negatives,
            "moments": self.moments.to_state(),
            "sketch": self.sketch.to_state(),
            "distinct": self.distinct.hashes.astype("<u8").tobytes(),
            "tally": self.tally.to_state(),
            "most_categories": self.most_categories,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> ColumnProfile:
        """The column that ``to_state`` wrote."""
        column = cls(state["most_categories"])
        column.missing, column.whole, column.negatives = state["missing"], state["whole"], state["negatives"]
        column.kinds = np.array(state["kinds"], dtype=np.int64)
        column.moments = Moments.from_state(state["moments"])
        column.sketch = Sketch.from_state(state["sketch"])
        column.distinct = DistinctCounter(np.frombuffer(state["distinct"], dtype="<u8").astype(np.uint64))
        column.tally = _read_tally(state, column.present)
        return column

    def _count(self, encoded: Encoded, most: int, *, once: bool) -> None:
        if encoded.is_distinct or once:
            self.tally.add(encoded.words, encoded.counts, most)
            return
        counted = pc.value_counts(encoded.words)
        self.tally.add(counted.field(0), counted.field(1).to_numpy(), most)

    def _add_numbers(
        self, encoded: Encoded, kinds: NDArray[np.uint8], numbers: NDArray[np.float64], *, in_order: bool
    ) -> bool:
        """Only finite numbers have moments; 1e999 is a fraction all the same.

        The answer is True where every word was found to be a number of its own.
        """
        finite = np.isfinite(numbers)
        if not finite.any():
            return False
        self.negatives += int(encoded.counts[finite & (numbers < 0)].sum())
        written = finite & (kinds == KIND_FRACTIONAL)
        if written.any():
            fractions = numbers[written]
            self.whole += int(encoded.counts[written][fractions == np.floor(fractions)].sum())
        if in_order:
            values = numbers if encoded.codes is None else numbers[encoded.codes]
            if not finite.all():
                values = values[np.isfinite(values)]
            self.moments.add(values)
            self.sketch.add(values)
            return False
        every = finite.all()
        counts = None if not encoded.is_distinct else encoded.counts if every else encoded.counts[finite]
        values, counts = count_equal(numbers if every else numbers[finite], counts)
        self.moments.add_counted(values, counts)
        self.sketch.add_counted(values, counts)
        return len(values) == len(numbers)


def _read_tally(state: dict[str, Any], present: int) -> Tally:
    """An older partial profile has counts of few values, or none."""
    if "tally" in state:
        return Tally.from_state(state["tally"])
    counts = state["categories"]
    return Tally.from_state([counts or {}, present, 0 if counts is not None else present, False])
