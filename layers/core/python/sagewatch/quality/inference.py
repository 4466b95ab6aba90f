"""Which type a string is: Deequ's regular expressions, for whole arrays at once (CONTRACTS §2.4)."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sagewatch.quality.distinct import string_bytes, string_offsets
from sagewatch.quality.statistics import FRACTIONAL, INTEGRAL, STRING, UNKNOWN

KIND_FRACTIONAL, KIND_INTEGRAL, KIND_BOOLEAN, KIND_STRING = range(4)
KINDS: Final = 4

_FRACTIONAL = re.compile(r"(-|\+)? ?\d+((\.\d+)|((?:\.\d+)?[Ee][-+]?\d+))", re.ASCII)
_INTEGRAL = re.compile(r"(-|\+)? ?\d+", re.ASCII)
_BOOLEANS = frozenset({"true", "false"})
# One number per string tells how many bytes of which sort it has: dots in the low bits, then signs, then those that
# an exponent or a blank may bring, then all others.
_DOT, _SIGN, _ODD, _ALIEN = 1, 1 << 15, 1 << 30, 1 << 45
_SORT = np.full(256, _ALIEN, dtype=np.int64)
_SORT[list(b"0123456789")] = 0
_SORT[list(b".")] = _DOT
_SORT[list(b"-")] = _SIGN
_SORT[list(b"+eE ")] = _ODD
# Longer digit strings are read by Python, which knows what leaves the range of doubles.
_LONGEST_PLAIN: Final = 300


def classify_text(text: str) -> int:
    """The kind of one string.

    Examples
    --------
    >>> [classify_text(text) for text in ("1", "1.0", "1e-05", "true", ".5", "True", "", "- 3")]
    [1, 0, 0, 2, 3, 3, 3, 1]
    """
    if _FRACTIONAL.fullmatch(text):
        return KIND_FRACTIONAL
    if _INTEGRAL.fullmatch(text):
        return KIND_INTEGRAL
    return KIND_BOOLEAN if text in _BOOLEANS else KIND_STRING


def classify_strings(strings: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Kinds of strings without nulls, and their values as numbers.

    Returns
    -------
    tuple
        Kinds, one of the four a string, and doubles: NaN for what is no number, infinite beyond their range.
    """
    count = len(strings)
    kinds = np.full(count, KIND_STRING, dtype=np.uint8)
    numbers = np.full(count, np.nan)
    if not count:
        return kinds, numbers
    offsets = string_offsets(strings)
    data = string_bytes(strings, offsets)
    begins, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(_SORT[data])])
    sorts = sums[begins + lengths] - sums[begins]
    full = lengths > 0
    padded = np.append(data, np.zeros(2, dtype=np.uint8))
    signed = (padded[begins] == ord("-")) & full
    first, last = padded[begins + signed], padded[np.maximum(begins + lengths - 1, 0)]
    wellformed = full & (lengths <= _LONGEST_PLAIN) & _is_digit(first) & _is_digit(last)
    bare = sorts - np.where(signed, _SIGN, 0)
    kinds[wellformed & (bare == 0)] = KIND_INTEGRAL
    kinds[wellformed & (bare == _DOT)] = KIND_FRACTIONAL
    plain = kinds != KIND_STRING
    if plain.all():
        return kinds, _cast(strings)
    if plain.any():
        numbers[plain] = _cast(strings.filter(pa.array(plain)))
    # What is left: alien bytes make a string, unless it is short enough to be a truth value.
    doubtful = ~plain & full & ((sorts < _ALIEN) | (lengths <= len("false")))
    for at in np.flatnonzero(doubtful).tolist():
        text = strings[at].as_py()
        kinds[at] = kind = classify_text(text)
        if kind in {KIND_FRACTIONAL, KIND_INTEGRAL}:
            numbers[at] = float(text.replace(" ", ""))
    return kinds, numbers


def decide_type(counts: NDArray[np.int64]) -> str:
    """The type of a column, from how many of its values are of which kind.

    Examples
    --------
    >>> import numpy as np
    >>> decide_type(np.array([0, 3, 0, 0])), decide_type(np.array([1, 3, 0, 0])), decide_type(np.array([0, 1, 1, 0]))
    ('Integral', 'Fractional', 'String')
    """
    fractional, integral, boolean, string = (int(count) for count in counts)
    if not fractional + integral + boolean + string:
        return UNKNOWN
    # AWS's files have no Boolean.
    if string or boolean:
        return STRING
    return FRACTIONAL if fractional else INTEGRAL


def _is_digit(data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((data >= ord("0")) & (data <= ord("9")))


def _cast(strings: pa.StringArray) -> NDArray[np.float64]:
    return np.asarray(pc.cast(strings, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
