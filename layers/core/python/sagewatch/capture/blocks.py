"""Whole lines out of a stream, through one reused buffer: fresh memory costs more than parsing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, cast

import msgspec

BLOCK_BYTES = 1 << 18
_spare: list[bytearray] = []
"""The last file's buffer: most files are small, and clearing a new one takes longer than reading them."""

_NEWLINE = b"\n"


class Readable(Protocol):
    """A stream of bytes; an open file and botocore's StreamingBody are ones."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:
        """Fill the front of the buffer and say with how many bytes; 0 at the end."""


Source = Readable | Iterable[bytes]


class Block(msgspec.Struct):
    """Some whole lines: ``buffer[begin:end]``, only valid until the next block is asked for.

    Attributes
    ----------
    ends
        Where each line ends, its newline included; the last line of a file may lack one.
    too_long
        True for a line beyond the limit: it counts, its bytes are gone.
    """

    buffer: bytearray
    begin: int
    ends: list[int]
    too_long: bool = False

    @property
    def end(self) -> int:
        """Where the last line ends."""
        return self.ends[-1]

    def split(self) -> Iterator[bytes]:
        """The lines, one by one, with their newlines."""
        start = self.begin
        for end in self.ends:
            yield bytes(self.buffer[start:end])
            start = end


def iterate_blocks(source: Source, longest_line_bytes: int) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines, in memory of at most twice the longest line.

    Parameters
    ----------
    source
        A stream, or chunks of bytes of any sizes.
    longest_line_bytes
        A longer line is passed over and reported as such.
    """
    # A Protocol's own isinstance takes longer than reading a small file.
    stream = cast("Readable", source) if hasattr(source, "readinto") else _Chunks(source)
    buffer = _take_buffer(min(BLOCK_BYTES, longest_line_bytes))
    try:
        yield from _fill_blocks(stream, buffer, longest_line_bytes)
    finally:
        if len(buffer) == BLOCK_BYTES:
            _spare[:] = [buffer]


def _take_buffer(size: int) -> bytearray:
    try:
        return _spare.pop() if size == BLOCK_BYTES else bytearray(size)
    except IndexError:
        return bytearray(size)


def _fill_blocks(stream: Readable, buffer: bytearray, longest_line_bytes: int) -> Iterator[Block]:
    filled = 0
    skipping = False
    while True:
        with memoryview(buffer) as view, view[filled:] as free:
            count = stream.readinto(free) or 0
        if not count:
            break
        start, filled = filled, filled + count
        ends = _find_ends(buffer, start, filled)
        if not ends:
            if filled == len(buffer):
                if len(buffer) < longest_line_bytes:
                    buffer.extend(bytes(min(len(buffer), longest_line_bytes - len(buffer))))
                else:
                    skipping, filled = True, 0
            continue
        end, begin = ends[-1], 0
        if skipping:
            begin, skipping = ends.pop(0), False
            yield Block(buffer, 0, [0], too_long=True)
        if ends:
            yield Block(buffer, begin, ends)
        buffer[: filled - end] = buffer[end:filled]
        filled -= end
    if skipping:
        yield Block(buffer, 0, [0], too_long=True)
    elif filled:
        yield Block(buffer, 0, [filled])


def _find_ends(buffer: bytearray, start: int, stop: int) -> list[int]:
    """Where lines end: a search for each is faster than ``bytearray.count``, which looks at every byte."""
    ends = []
    find = buffer.find
    at = find(_NEWLINE, start, stop)
    while at >= 0:
        at += 1
        ends.append(at)
        at = find(_NEWLINE, at, stop)
    return ends


class _Chunks:
    """Chunks of bytes as a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
