"""Distinct words and which value is which: the cheapest way that a column's first values suggest."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sagewatch.quality.distinct import string_bytes, string_offsets

# A column with more distinct values than are kept apart gains nothing from a dictionary.
WORDS_WORTH_A_DICTIONARY: Final = 256
_LOOKED_AT: Final = 1024


class Encoded(NamedTuple):
    """A column without nulls.

    Attributes
    ----------
    words
        Its distinct strings; or, where there are too many to look for equal ones, all of them.
    codes
        Which word each value is; None where every value is its own word.
    counts
        How often each word stands there.
    """

    words: pa.StringArray
    codes: NDArray[np.integer] | None
    counts: NDArray[np.int64]

    @property
    def is_distinct(self) -> bool:
        """True where no word stands twice in ``words``."""
        return self.codes is not None


def encode_column(values: pa.StringArray) -> Encoded:
    """Encode strings without nulls.

    Examples
    --------
    >>> encode_column(pa.array(["0", "1", "0"])).counts.tolist()
    [2, 1]
    """
    single = _encode_single_bytes(values)
    if single is not None:
        return single
    if len(values) > _LOOKED_AT:
        head = values.slice(0, _LOOKED_AT).dictionary_encode()
        if len(head.dictionary) > WORDS_WORTH_A_DICTIONARY:
            return Encoded(values, None, np.ones(len(values), dtype=np.int64))
    encoded = values.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(encoded.dictionary)).astype(np.int64)
    return Encoded(encoded.dictionary, codes, counts)


def _encode_single_bytes(values: pa.StringArray) -> Encoded | None:
    """One-hot and other one-letter columns are their own codes; None for any other column."""
    offsets = string_offsets(values)
    if offsets[-1] - offsets[0] != len(values) or (np.diff(offsets) != 1).any():
        return None
    data = string_bytes(values, offsets)
    counts = np.bincount(data, minlength=256).astype(np.int64)
    used = np.flatnonzero(counts)
    codes = np.zeros(256, dtype=np.uint8)
    codes[used] = np.arange(len(used), dtype=np.uint8)
    words = pa.array([chr(byte) for byte in used.tolist()], pa.string())
    return Encoded(words, codes[data], counts[used])
