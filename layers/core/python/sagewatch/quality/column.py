"""One column: everything that its statistics need, taken in array by array, and mergeable."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
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

# Counts of so many values are kept: AWS's 120 make a histogram, the others tell what is new.
CATEGORIES_KEPT: Final = WORDS_WORTH_A_DICTIONARY
# A category that is longer than this is text, not a category.
LONGEST_CATEGORY: Final = 1024


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
    categories
        Counts of the values; None since there are more than ``most_categories``.
    """

    def __init__(self, most_categories: int = CATEGORIES_KEPT) -> None:
        self.missing = 0
        self.kinds: NDArray[np.int64] = np.zeros(KINDS, dtype=np.int64)
        self.whole = 0
        self.negatives = 0
        self.moments = Moments()
        self.sketch = Sketch()
        self.distinct = DistinctCounter()
        self.categories: dict[str, int] | None = {}
        self.most_categories = most_categories

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
        self._add_categories(encoded)
        self._add_numbers(encoded, kinds, numbers, in_order=in_order)

    def merge(self, other: ColumnProfile) -> None:
        """Take in the profile of other rows of the same column."""
        self.missing += other.missing
        self.kinds += other.kinds
        self.whole += other.whole
        self.negatives += other.negatives
        self.moments.merge(other.moments)
        self.sketch.merge(other.sketch)
        self.distinct.merge(other.distinct)
        if other.categories is None:
            self.categories = None
        else:
            self._count(other.categories)

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
            "categories": self.categories,
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
        column.categories = state["categories"]
        return column

    def _add_categories(self, encoded: Encoded) -> None:
        if self.categories is None:
            return
        if not encoded.is_distinct or len(encoded.words) > self.most_categories:
            self.categories = None
            return
        self._count(dict(zip(encoded.words.to_pylist(), encoded.counts.tolist(), strict=True)))

    def _count(self, found: dict[str, int]) -> None:
        if self.categories is None:
            return
        for word, count in found.items():
            self.categories[word] = self.categories.get(word, 0) + count
        too_long = max(map(len, found), default=0) > LONGEST_CATEGORY
        if too_long or len(self.categories) > self.most_categories:
            self.categories = None

    def _add_numbers(
        self, encoded: Encoded, kinds: NDArray[np.uint8], numbers: NDArray[np.float64], *, in_order: bool
    ) -> None:
        """Only finite numbers have moments; 1e999 is a fraction all the same."""
        finite = np.isfinite(numbers)
        if not finite.any():
            return
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
            return
        every = finite.all()
        counts = None if not encoded.is_distinct else encoded.counts if every else encoded.counts[finite]
        values, counts = count_equal(numbers if every else numbers[finite], counts)
        self.moments.add_counted(values, counts)
        self.sketch.add_counted(values, counts)
