"""Distinct words and which value is which: the cheapest way that a column's first values suggest."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sagewatch.quality.cells import Keys, count_keys, unpack_keys
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
        Which word each value is; None where every value is its own word, or where nobody asked for their order.
    counts
        How often each word stands there.
    is_distinct
        True where no word stands twice in ``words``.
    """

    words: pa.StringArray
    codes: NDArray[np.integer] | None
    counts: NDArray[np.int64]
    is_distinct: bool = True


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
            return Encoded(values, None, np.ones(len(values), dtype=np.int64), is_distinct=False)
    encoded = values.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(encoded.dictionary)).astype(np.int64)
    return Encoded(encoded.dictionary, codes, counts)


def encode_packed(keys: Keys, *, in_order: bool) -> Encoded:
    """Encode short strings, none of them missing; where the order does not matter, without codes."""
    if in_order:
        coded = pa.array(keys).dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        words = coded.dictionary.to_numpy()
        return Encoded(unpack_keys(words), codes, np.bincount(codes, minlength=len(words)).astype(np.int64))
    distinct, counts = count_keys(keys)
    return Encoded(unpack_keys(distinct), None, counts)


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
