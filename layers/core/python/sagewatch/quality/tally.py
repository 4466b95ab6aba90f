"""How often each value of a column occurs: exactly while they are few, within a known bound beyond, and mergeable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# So many values are counted exactly; beyond, none is counted too low by more than this fraction of all. Of a column of
# numbers that are no classes, batches bring fewer (``ColumnProfile.most_categories``, 256): the fraction is theirs.
VALUES_COUNTED: Final = 4096
# A value that is longer than this, in characters, is text, not a category: it is counted by its digest.
LONGEST_CATEGORY: Final = 1024
_SHOWN: Final = 40


class Tally:
    """Counts of values: all of them, or the frequent ones among very many.

    Attributes
    ----------
    counts
        Of each value that is kept; too low by at most ``missed``, never too high.
    total
        Of all values, kept or not.
    missed
        The most by which a count is too low, at most ``total`` divided by the fewest values that a batch was cut to, or by
        ``VALUES_COUNTED`` where none was; 0 while every value is kept.
        Source: Misra and Gries 1982; that summaries of theirs merge: Agarwal et al. 2012.
    has_text
        True where a value is too long for a category.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.total = 0
        self.missed = 0
        self.has_text = False

    @property
    def others(self) -> int:
        """Values that no count speaks of."""
        return self.total - sum(self.counts.values())

    def add(self, words: pa.StringArray, counts: NDArray[np.int64], most: int = VALUES_COUNTED) -> None:
        """Take in distinct values, none of them null, and how often each occurs; of more than ``most`` the frequent ones."""
        self.total += int(counts.sum())
        if len(words) > most:
            cut = int(np.partition(counts, -most - 1)[-most - 1])
            kept = np.flatnonzero(counts > cut)
            words, counts = words.take(pa.array(kept)), counts[kept] - cut
            self.missed += cut
        self._count(dict(zip(words.to_pylist(), counts.tolist(), strict=True)))

    def merge(self, other: Tally) -> None:
        """Take in the counts of other rows."""
        self.total += other.total
        self.missed += other.missed
        self.has_text = self.has_text or other.has_text
        self._count(other.counts)

    def find(self, word: str) -> int:
        """How often a value occurs, as far as is known."""
        return self.counts.get(name_value(word), 0)

    def to_state(self) -> list[Any]:
        """What another process or machine needs to go on from here."""
        return [self.counts, self.total, self.missed, self.has_text]

    @classmethod
    def from_state(cls, state: list[Any]) -> Tally:
        """The counts that ``to_state`` wrote."""
        tally = cls()
        tally.counts, tally.total, tally.missed, tally.has_text = state
        return tally

    def _count(self, found: Mapping[str, int]) -> None:
        if max(map(len, found), default=0) > LONGEST_CATEGORY:
            self.has_text = True
            found = {name_value(word): count for word, count in found.items()}
        known = self.counts
        for word, count in found.items():
            known[word] = known.get(word, 0) + count
        if len(self.counts) > VALUES_COUNTED:
            cut = sorted(self.counts.values(), reverse=True)[VALUES_COUNTED]
            self.counts = {word: count - cut for word, count in self.counts.items() if count > cut}
            self.missed += cut


def name_value(word: str) -> str:
    """The value itself, or what a long one begins with and its digest.

    Examples
    --------
    >>> name_value("Stop"), len(name_value("x" * 5000))
    ('Stop', 76)
    """
    if len(word) <= LONGEST_CATEGORY:
        return word
    digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{word[:_SHOWN]}... ({len(word)} letters, {digest})"
