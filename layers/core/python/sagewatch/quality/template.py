"""Capture lines that differ only in their values, read at once: the shape of one line is proved, then compared.

An endpoint writes every record in the same way: the same keys in the same order, other values. Such a block of lines
needs no JSON parser, only the places of its quotes and commas.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sagewatch.quality.cells import Field
from sagewatch.quality.record import Record, decode_record

# Keys whose strings may differ from line to line; all others are the same in every line, to the byte.
_VARYING: Final = frozenset(
    {b"data", b"eventId", b"inferenceId", b"inferenceTime", b"invocationId", b"customAttributes"}
)
_QUOTE, _COMMA, _BACKSLASH, _FIRST_PRINTABLE = ord('"'), ord(","), ord("\\"), ord(" ")


class Fields(NamedTuple):
    """What a block of lines holds, a value a line; the times are None where the lines tell none."""

    asked: Field
    said: Field
    times: Field | None


class _Place(NamedTuple):
    """Where in its line a string stands that varies.

    Attributes
    ----------
    piece
        Which one it is of those that the line's quotes cut.
    opening, closing
        Which of its line's quotes and commas stand around it.
    breaks
        The line breaks that end it, no part of the field.
    """

    piece: int
    opening: int
    closing: int
    breaks: bytes


class LineTemplate:
    """One line's shape. Both sides of its record are CSV, and the model answered.

    Attributes
    ----------
    fixed
        What stands before, between and behind the varying strings, the quotes around them included.
    """

    def __init__(self, pieces: list[bytes], fields: list[_Place], roles: tuple[int, int, int | None]) -> None:
        self._fields = fields
        self._asked, self._said, self._time = roles
        self.fixed = _find_fixed(pieces, fields)
        self._marks = _count_marks(pieces)
        # The last of the fixed texts ends with the line.
        self._special = len(pieces) - 1 + sum(text.count(b"\\") for text in self.fixed) + 1

    def match(self, block: bytes) -> Fields | None:
        """The fields of all lines; None where one line is of another shape, or a field of another width.

        Parameters
        ----------
        block
            Whole lines, the last one's line break included.
        """
        data = np.frombuffer(block, dtype=np.uint8)
        quotes = data == _QUOTE
        marks = np.flatnonzero(quotes | (data == _COMMA))
        rows, odd = divmod(len(marks), self._marks)
        if not rows or odd:
            return None
        # Of quotes, backslashes, control characters and what is no ASCII (it has a sign) a string holds none that
        # stands for itself: there are those of the fixed texts, and no others.
        special = data.view(np.int8) < _FIRST_PRINTABLE
        special |= data == _BACKSLASH
        special |= quotes
        if np.count_nonzero(special) != rows * self._special:
            return None
        grid = marks.reshape(rows, self._marks)
        for each in self._fields:
            grid[:, each.closing] -= len(each.breaks)
        found = [Field(grid[:, each.opening : each.closing + 1]) for each in self._fields]
        ends = found[-1].ends + len(self.fixed[-1])
        begins = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
        if ends[-1] != len(block) or any((each.lengths < 0).any() for each in found):
            return None
        places = [begins, *(each.ends for each in found)]
        if not all(_stands_at(block, text, at) for text, at in zip(self.fixed, places, strict=True)):
            return None
        return Fields(
            found[self._asked], found[self._said], None if self._time is None else found[self._time]
        )


def learn_template(line: bytes) -> LineTemplate | None:
    """The shape of a line; None where it is not of the plain kind.

    The proof: with a mark in the place of each varying string, the line is decoded by the reader of single lines, and
    each mark must come out where this template will look for it.
    """
    pieces = line.split(b'"')
    if not line.isascii() or not len(pieces) % 2:
        return None
    fields = [
        _find_place(pieces, at)
        for at in range(3, len(pieces) - 1, 2)
        if pieces[at - 1].strip() in {b":", b":["} and pieces[at - 2] in _VARYING
    ]
    if not fields or line.count(b"\\") != sum(field.breaks.count(b"\\") for field in fields):
        return None
    marked = list(pieces)
    for number, field in enumerate(fields):
        marked[field.piece] = b"mark %d" % number + field.breaks
    try:
        record = decode_record(b'"'.join(marked))
    except (msgspec.MsgspecError, RecursionError):
        return None
    roles = _find_roles(record, [b"mark %d" % number for number in range(len(fields))])
    return None if roles is None else LineTemplate(pieces, fields, roles)


def _find_roles(record: Record, marks: list[bytes]) -> tuple[int, int, int | None] | None:
    """Which field is the question, which the answer and which the time."""
    sides = record.sides
    if sides is None or sides.input is None or sides.output is None:
        return None
    if sides.input.encoding != "CSV" or sides.output.encoding != "CSV" or sides.output.content_type is None:
        return None
    places = {mark.decode(): at for at, mark in enumerate(marks)}
    asked = places.get((sides.input.data or "").rstrip("\r\n"))
    said = places.get((sides.output.data or "").rstrip("\r\n"))
    time = record.metadata.inferred_at
    if asked is None or said is None or (time is not None and time not in places):
        return None
    return asked, said, None if time is None else places[time]


def _find_place(pieces: list[bytes], at: int) -> _Place:
    opening = _count_marks(pieces[:at])
    closing = opening + pieces[at].count(b",") + 1
    return _Place(at, opening, closing, pieces[at][_find_breaks(pieces[at]) :])


def _count_marks(pieces: list[bytes]) -> int:
    """How many quotes and commas stand in what the quotes cut."""
    return len(pieces) - 1 + sum(piece.count(b",") for piece in pieces)


def _find_breaks(text: bytes) -> int:
    """Where the line breaks begin with which a string ends, spelled as JSON spells them."""
    end = len(text)
    while text[:end].endswith((rb"\n", rb"\r")):
        end -= 2
    return end


def _find_fixed(pieces: list[bytes], fields: list[_Place]) -> list[bytes]:
    fixed = []
    at, begun = 0, b""
    for field in fields:
        fixed.append(begun + b'"'.join([*pieces[at : field.piece], b""]))
        at, begun = field.piece + 1, field.breaks + b'"'
    fixed.append(begun + b'"'.join(pieces[at:]) + b"\n")
    return fixed


def _stands_at(block: bytes, text: bytes, starts: NDArray[np.int64]) -> bool:
    """True where the same text stands at all of these places."""
    if not len(text):
        return True
    if int(starts.min()) < 0 or int(starts.max()) + len(text) > len(block):
        return False
    windows: NDArray[np.void] = np.ndarray(
        (len(block) - len(text) + 1,), dtype=f"V{len(text)}", buffer=block, strides=(1,)
    )
    return windows[starts].tobytes() == text * len(starts)
