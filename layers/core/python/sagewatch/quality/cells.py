"""CSV without quotes as columns, by vector instructions over bytes: one pass finds the cells, one takes them up.

A cell of at most eight bytes is a number, its key: equal cells have equal keys, an empty cell's is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# A column of single letters needs a byte a key.
Keys = NDArray[np.uint64] | NDArray[np.uint8]
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

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""
        return self.keys.nbytes

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
    field = _find_cells(np.frombuffer(content, dtype=np.uint8), width)
    # A blank line of one column is no missing value.
    if field is None or (width == 1 and not field.lengths.all()):
        return None
    return build_columns(content, field)


class Field(NamedTuple):
    """The same field of every line of a block, in cells.

    Attributes
    ----------
    marks
        Places of bytes, a row a line: a cell lies between each two neighbours, both left out.
    """

    marks: Places

    @property
    def width(self) -> int:
        """How many cells it has."""
        return self.marks.shape[1] - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Its bytes, line by line."""
        return self.marks[:, -1] - self.marks[:, 0] - 1

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where it ends, line by line."""
        return self.marks[:, -1]

    def cut(self, block: bytes) -> list[bytes]:
        """The field itself, line by line."""
        starts = self.marks[:, 0] + 1
        return [block[start:end] for start, end in zip(starts.tolist(), self.ends.tolist(), strict=True)]


def build_columns(content: bytes, field: Field) -> Columns:
    """The columns of a field that is plain CSV: it holds no quotes and no line breaks."""
    marks = field.marks
    if int(marks[-1, -1]) + WIDEST > len(content):
        # Eight bytes are taken up at the last cell too.
        content += bytes(WIDEST)
    data = np.frombuffer(content, dtype=np.uint8)
    shortest, longest = _measure(marks)
    letters = np.flatnonzero((shortest == 1) & (longest == 1))
    short = np.flatnonzero((longest <= WIDEST) & ((shortest != 1) | (longest != 1)))
    columns: dict[int, PackedColumn | pa.StringArray] = {
        at: _gather(data, marks[:, at], marks[:, at + 1]) for at in np.flatnonzero(longest > WIDEST).tolist()
    }
    for places, keys in (
        (letters, _take_letters(data, marks, letters)),
        (short, _take_keys(data, marks, short)),
    ):
        columns.update(zip(places.tolist(), map(PackedColumn, keys), strict=True))
    return tuple(columns[at] for at in range(field.width))


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
        counts = np.bincount(keys.view(np.int64) if keys.itemsize == WIDEST else keys)
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


def _find_cells(data: NDArray[np.uint8], width: int) -> Field | None:
    """The cells of all lines; None where a line has not ``width`` cells."""
    # Before the first cell there is no byte.
    found, lines = [np.array([-1])], 0
    for start in range(0, len(data), _BYTES_AT_ONCE):
        part = data[start : start + _BYTES_AT_ONCE]
        breaks = part == _NEWLINE
        lines += np.count_nonzero(breaks)
        found.append(np.flatnonzero((part == _COMMA) | breaks) + start)
    marks = np.concatenate(found)
    if len(marks) != lines * width + 1:
        return None
    # A line's last mark is the next one's first.
    grid: Places = np.ndarray(
        (lines, width + 1), marks.dtype, marks, strides=(width * marks.itemsize, marks.itemsize)
    )
    return None if (data[grid[:, -1]] != _NEWLINE).any() else Field(grid)


def _measure(marks: Places) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How long the shortest and the longest cell of each column is."""
    least, most = [], []
    for _, part in _iterate_rows(marks):
        lengths = part[:, 1:] - part[:, :-1]
        least.append(lengths.min(axis=0))
        most.append(lengths.max(axis=0))
    return np.min(least, axis=0) - 1, np.max(most, axis=0) - 1


def _take_letters(data: NDArray[np.uint8], marks: Places, columns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The cells of columns in which each is one byte, a row a column."""
    keys = np.empty((len(columns), len(marks)), dtype=np.uint8)
    for rows, part in _iterate_rows(marks):
        keys[:, rows] = data[part.T[columns] + 1]
    return keys


def _take_keys(data: NDArray[np.uint8], marks: Places, columns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The cells of columns in which none is longer than eight bytes, a row a column."""
    windows: NDArray[np.uint64] = np.ndarray((len(data) - WIDEST + 1,), "<u8", data, strides=(1,))
    keys = np.empty((len(columns), len(marks)), dtype=np.uint64)
    for rows, part in _iterate_rows(marks):
        begins = part.T[columns] + 1
        taken = windows[begins]
        taken &= _FIRST[part.T[columns + 1] - begins]
        keys[:, rows] = taken
    return keys


def _iterate_rows(marks: Places) -> Iterator[tuple[slice, Places]]:
    """Stretches of rows that stay in the processor's nearest caches."""
    count = -(-marks.size // _CELLS_AT_ONCE)
    step = -(-len(marks) // count)
    for first in range(0, len(marks), step):
        rows = slice(first, first + step)
        yield rows, marks[rows]


def _gather(data: NDArray[np.uint8], before: NDArray[np.int64], behind: NDArray[np.int64]) -> pa.StringArray:
    """A column of longer cells as strings, null where a cell is empty."""
    lengths = behind - before - 1
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    places = np.arange(offsets[-1]) + np.repeat(before + 1 - offsets[:-1], lengths)
    missing = None if lengths.all() else lengths == 0
    return _build_strings(offsets.astype(np.int32), data[places], missing)


def _build_strings(
    offsets: NDArray[np.int32], data: NDArray[np.uint8], missing: NDArray[np.bool_] | None = None
) -> pa.StringArray:
    there = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    buffers = [there, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.StringArray.from_buffers(len(offsets) - 1, *buffers[1:], there)
