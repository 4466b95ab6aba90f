"""The records of one large JSON document, one by one: memory holds one record, not the document."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from sagewatch.errors import RejectedInputError
from sagewatch.quality.payload import WRAPPERS

# A document up to here is read whole; a larger one record by record.
LARGEST_WHOLE_DOCUMENT: Final = 16 << 20
LONGEST_RECORD: Final = 64 << 20
_SNIFFED: Final = 4096
_READ: Final = 1 << 20
# What changes the depth, separates, or begins a string; a string whole, where its end is there.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|"|[][{},]', re.DOTALL)
_COMMA: Final = ord(",")
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")


class UnendingDocumentError(ValueError):
    """The document ends in the middle, or a record in it is longer than any record."""


_LIST = re.compile(rb"\s*\[\s*[\[{]")
_WRAPPED = re.compile(rb'\s*\{\s*"(\w+)"\s*:\s*\[')


def iterate_document(path: Path) -> Iterator[bytes]:
    """The records of a large document, not looked into.

    Raises
    ------
    RejectedInputError
        When it is no list of records.
    UnendingDocumentError
        When brackets do not close, or close too often.
    """
    with path.open("rb") as file:
        head = file.read(_SNIFFED)
        mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        depth = find_depth(head[mark:])
        if depth is None:
            raise RejectedInputError("a large JSON document must be a list of records", where=str(path))
        file.seek(mark)
        yield from iterate_elements(file, depth)


def find_depth(head: bytes) -> int | None:
    """How deep the records of a document lie, from its first bytes; None where it is one record, or no list of any."""
    if _LIST.match(head):
        return 1
    wrapped = _WRAPPED.match(head)
    return 2 if wrapped is not None and wrapped[1].decode("ascii", "replace") in WRAPPERS else None


def iterate_elements(file: BinaryIO, depth: int) -> Iterator[bytes]:
    """The bytes of each element of an array, not looked into.

    Parameters
    ----------
    depth
        How deep the elements lie: 1 in ``[a, b]``, 2 in ``{"instances": [a, b]}``.

    Raises
    ------
    UnendingDocumentError
        When brackets do not close, or close too often.
    """
    cutter = _Cutter(depth)
    rest, at = b"", 0
    while True:
        # As much again as is kept: a long record is not searched over and over.
        read = file.read(max(_READ, len(rest)))
        rest += read
        for match in _TOKEN.finditer(rest, at):
            if match[0] == b'"':
                # A string whose end is not read yet.
                at = match.start()
                break
            at = match.end()
            element = cutter.take(rest, match)
            if element is not None:
                yield element
        if not read:
            break
        keep = at if cutter.begun is None else cutter.begun
        if len(rest) - keep > LONGEST_RECORD:
            raise UnendingDocumentError("a record is longer than 64 MB")
        rest, at = rest[keep:], at - keep
        cutter.begun = None if cutter.begun is None else 0
    if cutter.level or rest[at:].strip():
        raise UnendingDocumentError("the document ends in the middle")


class _Cutter:
    """How deep the reading is, and where the element that it is in begins; None outside of any."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.level = 0
        self.begun: int | None = None

    def take(self, content: bytes, match: re.Match[bytes]) -> bytes | None:
        """Pass over a string, a bracket or a comma; the element that ends there, if one does."""
        sign = match[0][0]
        element = None
        if self.begun is not None and self.level == self._depth and (sign == _COMMA or sign in _CLOSING):
            element = content[self.begun : match.start()].strip()
            self.begun = None
        self.level += (sign in _OPENING) - (sign in _CLOSING)
        if self.level < 0:
            raise UnendingDocumentError("a bracket closes that was never opened")
        if self.begun is None and self.level == self._depth and (sign == _COMMA or sign in _OPENING):
            self.begun = match.end()
        # Between the brackets of an empty list lies nothing; between two commas something is missing.
        return element if element or sign == _COMMA else None
