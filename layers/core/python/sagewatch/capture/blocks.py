"""Whole lines out of a stream, through one reused buffer: fresh memory costs more than parsing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import msgspec

BLOCK_BYTES = 1 << 18
_NEWLINE = b"\n"


@runtime_checkable
class Readable(Protocol):
    """A stream of bytes; an open file and botocore's StreamingBody are ones."""

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:
        """Fill the front of the buffer and say with how many bytes; 0 at the end."""


Source = Readable | Iterable[bytes]


class Block(msgspec.Struct):
    """Some whole lines. ``view`` is only valid until the next block is asked for.

    Attributes
    ----------
    lines
        How many lines it holds; the last line of a file may lack its newline.
    too_long
        True for a line beyond the limit: it counts, its bytes are gone.
    """

    view: memoryview
    lines: int
    too_long: bool = False


def iterate_blocks(source: Source, longest_line_bytes: int) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines, in memory of at most twice the longest line.

    Parameters
    ----------
    source
        A stream, or chunks of bytes of any sizes.
    longest_line_bytes
        A longer line is passed over and reported as such.
    """
    stream = source if isinstance(source, Readable) else _Chunks(source)
    buffer = bytearray(min(BLOCK_BYTES, longest_line_bytes))
    filled = 0
    skipping = False
    while True:
        with memoryview(buffer) as view:
            count = stream.readinto(view[filled:]) or 0
        if not count:
            break
        start, filled = filled, filled + count
        end = buffer.rfind(_NEWLINE, start, filled) + 1
        if not end:
            if filled == len(buffer):
                if len(buffer) < longest_line_bytes:
                    buffer.extend(bytes(min(len(buffer), longest_line_bytes - len(buffer))))
                else:
                    skipping, filled = True, 0
            continue
        begin = 0
        if skipping:
            begin = buffer.find(_NEWLINE, 0, end) + 1
            skipping = False
            yield Block(memoryview(b""), 1, too_long=True)
        if end > begin:
            # Released at once: a buffer with a view on it cannot grow for the next, longer line.
            with memoryview(buffer) as view, view[begin:end] as whole_lines:
                yield Block(whole_lines, buffer.count(_NEWLINE, begin, end))
        buffer[: filled - end] = buffer[end:filled]
        filled -= end
    if skipping:
        yield Block(memoryview(b""), 1, too_long=True)
    elif filled:
        with memoryview(buffer) as view, view[:filled] as last_line:
            yield Block(last_line, 1)


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
