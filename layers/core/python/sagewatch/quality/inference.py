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
_MINUS, _POINT, _SLASH = ord("-"), ord("."), ord("/")
_DIGITS_AFTER_POINT = ord("9") - _POINT
# Bytes that a plain number has nowhere but in front, and those that no number at all has.
_STRANGE = np.ones(256, dtype=np.bool_)
_STRANGE[list(b"0123456789.")] = False
_ALIEN = np.ones(256, dtype=np.bool_)
_ALIEN[list(b"0123456789.+-eE ")] = False
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
    offsets = string_offsets(strings)
    data = string_bytes(strings, offsets)
    begins, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    odd = _find_odd(data, begins, lengths)
    if odd.all():
        return _classify_any(strings, data, begins, lengths)
    if not odd.any():
        kinds = _classify_plain(data, begins, lengths)
        return _classify_any(strings, data, begins, lengths) if kinds is None else (kinds, _cast(strings))
    # A few of another kind, such as 1e-05 among many probabilities, are looked at by themselves.
    kinds, numbers = np.empty(len(odd), dtype=np.uint8), np.empty(len(odd))
    for chosen in (odd, ~odd):
        kinds[chosen], numbers[chosen] = classify_strings(strings.filter(pa.array(chosen)))
    return kinds, numbers


def _find_odd(
    data: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which strings are no digits and points with at most a minus sign before them."""
    odd = (lengths < 1) | (lengths > _LONGEST_PLAIN)
    strange = ((data - np.uint8(_POINT)) > _DIGITS_AFTER_POINT) | (data == _SLASH)
    if not odd.any():
        signed = data[begins] == _MINUS
        if np.count_nonzero(strange) == np.count_nonzero(signed) and not (lengths == signed).any():
            return odd
    places = np.flatnonzero(strange)
    # Of several that begin at one place all but the last are empty.
    owners = np.searchsorted(begins, places, side="right") - 1
    leading = (places == begins[owners]) & (data[places] == _MINUS) & (lengths[owners] > 1)
    odd[owners[~leading]] = True
    return odd


def _classify_any(
    strings: pa.StringArray, data: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """What ``classify_strings`` answers, for strings of any kind."""
    kinds = np.full(len(strings), KIND_STRING, dtype=np.uint8)
    numbers = np.full(len(strings), np.nan)
    full = lengths > 0
    padded = np.append(data, np.zeros(2, dtype=np.uint8))
    signed = (padded[begins] == _MINUS) & full
    first, last = padded[begins + signed], padded[np.maximum(begins + lengths - 1, 0)]
    wellformed = full & (lengths <= _LONGEST_PLAIN) & _is_digit(first) & _is_digit(last)
    # How many bytes a plain number may not have, and how many points it has.
    strange = _count_bytes(_STRANGE[data], begins, lengths) - signed
    points = _count_bytes(data == _POINT, begins, lengths)
    kinds[wellformed & (strange == 0) & (points == 0)] = KIND_INTEGRAL
    kinds[wellformed & (strange == 0) & (points == 1)] = KIND_FRACTIONAL
    plain = kinds != KIND_STRING
    if plain.all():
        return kinds, _cast(strings)
    if plain.any():
        numbers[plain] = _cast(strings.filter(pa.array(plain)))
    # What is left: bytes that no number has make a string, unless it is short enough to be a truth value.
    doubtful = ~plain & full
    if doubtful.any():
        alien = _count_bytes(_ALIEN[data], begins, lengths)
        doubtful &= (alien == 0) | (lengths <= len("false"))
    for at in np.flatnonzero(doubtful).tolist():
        text = strings[at].as_py()
        kinds[at] = kind = classify_text(text)
        if kind in {KIND_FRACTIONAL, KIND_INTEGRAL}:
            numbers[at] = float(text.replace(" ", ""))
    return kinds, numbers


def _classify_plain(
    data: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint8] | None:
    """Kinds of strings none of which is odd; None where a point stands at an end, or two in one string.

    Every step is one pass of vector instructions over bytes: this is the path of nearly all numbers.
    """
    points = np.flatnonzero(data == _POINT)
    if not len(points):
        return np.full(len(begins), KIND_INTEGRAL, dtype=np.uint8)
    starts, ends = begins + (data[begins] == _MINUS), begins + lengths - 1
    if len(points) == len(begins):
        # As many points as strings: one in each, if the first lies within the first and so on.
        return np.full(len(begins), KIND_FRACTIONAL, np.uint8) if _lie_within(points, starts, ends) else None
    owners = np.searchsorted(ends, points)
    pointed = np.zeros(len(begins), dtype=np.bool_)
    pointed[owners] = True
    if np.count_nonzero(pointed) != len(points) or not _lie_within(points, starts[owners], ends[owners]):
        return None
    return np.where(pointed, KIND_FRACTIONAL, KIND_INTEGRAL).astype(np.uint8)


def _lie_within(points: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bool:
    return bool(((points > starts) & (points < ends)).all())


def _count_bytes(
    marked: NDArray[np.bool_], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many bytes of each string are marked."""
    if not marked.any():
        return np.zeros(len(begins), dtype=np.int64)
    sums = np.zeros(len(marked) + 1, dtype=np.int32)
    np.cumsum(marked, dtype=np.int32, out=sums[1:])
    return np.asarray(sums[begins + lengths] - sums[begins], dtype=np.int64)


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
