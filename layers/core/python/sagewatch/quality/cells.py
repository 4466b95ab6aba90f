"""CSV without quotes as columns, by vector instructions over bytes: one pass finds the cells, one takes them up.

A cell of at most eight bytes is a number of 64 bits: equal cells are equal numbers, an empty cell is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

WIDEST: Final = 8
_COMMA, _NEWLINE = ord(","), ord("\n")
# Stretches that stay in the processor's nearest caches.
_BYTES_AT_ONCE: Final = 1 << 18
_CELLS_AT_ONCE: Final = 1 << 15
# So many keys can be counted by their own number: all of two bytes.
_FEW: Final = 1 << 16
# The first n bytes of a key.
_FIRST: Final = np.array([(1 << 8 * count) - 1 for count in range(WIDEST + 1)], dtype=np.uint64)


class PackedColumn:
    """A column of cells of at most eight bytes, each in one number, its first byte the lowest; 0 is missing."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def to_strings(self) -> pa.StringArray:
        """The same cells one by one, null where one is missing."""
        missing = self.keys == 0
        there = unpack_keys(self.keys[~missing])
        if not missing.any():
            return there
        places = np.cumsum(~missing) - 1
        return there.take(pa.array(places, mask=missing))


# Strings, null where a value is missing; or short ones, packed.
Columns = tuple[pa.StringArray | PackedColumn, ...]


def split_cells(content: bytes, width: int) -> Columns | None:
    """The columns of plain CSV; None for any other, which Arrow must read.

    Parameters
    ----------
    content
        Whole rows, without header. Plain: each has ``width`` cells, and there are no quotes, carriage returns,
        blank lines or NULs.
    """
    if not content.endswith(b"\n"):
        content += b"\n"
    if any(byte in content for byte in (b'"', b"\r", b"\0")) or not is_utf8(content):
        return None
    ends = _find_ends(np.frombuffer(content, dtype=np.uint8), width)
    # A blank line of one column is no missing value.
    if ends is None or (width == 1 and (np.diff(ends[:, 0], prepend=-1) == 1).any()):
        return None
    return _build_columns(content, ends)


class Stretches(NamedTuple):
    """The same field of every line of a block: where it begins and ends, in bytes."""

    starts: Places
    ends: Places

    def cut(self, block: bytes) -> list[bytes]:
        """The fields themselves."""
        return [block[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]


def split_fields(block: bytes, fields: Sequence[Stretches], most: int) -> tuple[Columns, list[int]] | None:
    """The columns of plain CSV that stands in some fields of every line; None where the lines differ in width.

    Parameters
    ----------
    fields
        In the order of their columns; none of them may be empty, or hold a quote or a line break.
    most
        Lines with more cells are no table.

    Returns
    -------
    tuple
        The columns, and how many of them each field gave.
    """
    if any((field.starts == field.ends).any() for field in fields):
        return None
    cut = [field.cut(block) for field in fields]
    widths = [lines[0].count(b",") + 1 for lines in cut]
    if sum(widths) > most:
        return None
    # Copied together they are a table, and all that follows reads half of the block's bytes.
    content = b"\n".join(map(b",".join, zip(*cut, strict=True))) + b"\n"
    ends = _find_ends(np.frombuffer(content, dtype=np.uint8), sum(widths))
    if ends is None or len(ends) != len(cut[0]):
        return None
    begins, column = np.concatenate([[0], ends[:-1, -1] + 1]), 0
    for field, width in zip(fields, widths, strict=True):
        column += width
        begins += field.ends - field.starts + 1
        if (ends[:, column - 1] != begins - 1).any():
            # As many cells in all, divided otherwise between the fields.
            return None
    return _build_columns(content, ends), widths


def join_columns(parts: Sequence[PackedColumn | pa.StringArray]) -> PackedColumn | pa.StringArray:
    """The same column of rows that follow one another."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, PackedColumn) for part in parts):
        return PackedColumn(np.concatenate([part.keys for part in parts]))
    return pa.concat_arrays([part.to_strings() if isinstance(part, PackedColumn) else part for part in parts])


def count_keys(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """Distinct keys and how often each occurs."""
    if int(keys.max()) < _FEW:
        counts = np.bincount(keys.view(np.int64))
        found = np.flatnonzero(counts)
        return found.astype(np.uint64), counts[found]
    counted = pc.value_counts(pa.array(keys))
    return counted.field(0).to_numpy(), counted.field(1).to_numpy()


def unpack_keys(keys: Keys) -> pa.StringArray:
    """Keys, none of them 0, as the strings that they are."""
    spread = np.ascontiguousarray(keys.astype("<u8")).view(np.uint8)
    offsets = np.zeros(len(keys) + 1, dtype=np.int32)
    # A key lies between the largest of one byte less and the largest of its own number of bytes.
    np.cumsum(np.searchsorted(_FIRST, keys), out=offsets[1:])
    return _build_strings(offsets, spread[spread != 0])


def is_utf8(content: bytes) -> bool:
    """True for text in UTF-8; quick where it is ASCII."""
    if content.isascii():
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _find_ends(data: NDArray[np.uint8], width: int) -> Places | None:
    """Where each cell ends, a row a line; None where a line has not ``width`` cells."""
    found, lines = [], 0
    for start in range(0, len(data), _BYTES_AT_ONCE):
        part = data[start : start + _BYTES_AT_ONCE]
        breaks = part == _NEWLINE
        lines += np.count_nonzero(breaks)
        found.append(np.flatnonzero((part == _COMMA) | breaks) + start)
    ends = np.concatenate(found)
    if len(ends) != lines * width:
        return None
    grid = ends.reshape(-1, width)
    return None if (data[grid[:, -1]] != _NEWLINE).any() else grid


def _build_columns(content: bytes, ends: Places) -> Columns:
    """Columns of the cells that end at these places, a row a line, a column a column, one byte between any two."""
    starts = np.empty_like(ends)
    flat = starts.reshape(-1)
    flat[:1] = 0
    np.add(ends.reshape(-1)[:-1], 1, out=flat[1:])
    # Eight bytes are taken up at the last cell too.
    data = np.frombuffer(content + bytes(WIDEST), dtype=np.uint8)
    keys, longest = _take_up(data, starts, ends)
    return tuple(
        PackedColumn(keys[at]) if length <= WIDEST else _gather(data, starts[:, at], ends[:, at])
        for at, length in enumerate(longest)
    )


def _take_up(data: NDArray[np.uint8], starts: Places, ends: Places) -> tuple[Keys, list[int]]:
    """The first eight bytes of all cells, a row a column; and how long each column's longest cell is."""
    rows, width = ends.shape
    windows: Keys = np.ndarray((len(data) - WIDEST + 1,), dtype="<u8", buffer=data, strides=(1,))
    keys = np.empty((width, rows), dtype=np.uint64)
    longest = np.zeros(width, dtype=np.int64)
    step = max(1, _CELLS_AT_ONCE // width)
    for first in range(0, rows, step):
        begins = starts[first : first + step]
        lengths = ends[first : first + step] - begins
        np.maximum(longest, lengths.max(axis=0), out=longest)
        taken = windows[begins]
        taken &= _FIRST[np.minimum(lengths, WIDEST, out=lengths)]
        keys[:, first : first + step] = taken.T
    return keys, longest.tolist()


def _gather(data: NDArray[np.uint8], starts: Places, ends: Places) -> pa.StringArray:
    """A column of longer cells as strings, null where a cell is empty."""
    lengths = ends - starts
    offsets = np.zeros(len(ends) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    missing = lengths == 0
    return _build_strings(offsets.astype(np.int32), data[places], missing if missing.any() else None)


def _build_strings(
    offsets: NDArray[np.int32], data: NDArray[np.uint8], missing: NDArray[np.bool_] | None = None
) -> pa.StringArray:
    there = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    buffers = [there, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.StringArray.from_buffers(len(offsets) - 1, *buffers[1:], there)
