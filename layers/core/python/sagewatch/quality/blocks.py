"""Whole lines of a stretch of a file, in constant memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

LONGEST_LINE: Final = 64 << 20
_LONGEST_QUOTED: Final = 16 << 20
_QUOTE, _NEWLINE = ord('"'), ord("\n")


def iterate_blocks(
    path: Path, start: int, end: int, size: int, *, quoted: bool = False
) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines that begin in ``[start, end)``.

    Parameters
    ----------
    start, end
        Offsets in bytes. A line belongs to the stretch in which it begins: stretches side by side share nothing.
    size
        Bytes read at a time.
    quoted
        True where a line break between quotes is none.

    Yields
    ------
    tuple
        The block, and 0; or nothing and 1 for a line that is longer than ``LONGEST_LINE``.
    """
    with path.open("rb") as file:
        at = _seek_line(file, start)
        rest = b""
        while at < end or rest:
            # Reading as much again as is kept: an endless line costs no more than twice its length.
            read = file.read(max(size, len(rest)))
            block = rest + read
            base = at
            cut = _find_end(block, quoted=quoted) if read else len(block)
            if base + cut > end:
                # The last line may begin before the end and reach beyond it.
                inside = block.find(b"\n", max(0, end - base - 1), cut)
                cut = inside + 1 if inside >= 0 else cut
            if not cut and len(block) > LONGEST_LINE:
                at += _skip_line(file, block)
                rest = b""
                yield b"", 1
                continue
            if cut:
                yield block[:cut], 0
                at += cut
            rest = block[cut:]
            if not read or at >= end:
                return


def count_lines(block: bytes) -> int:
    """How many lines a block has, a last one without its break included; an empty block stands for one."""
    breaks = int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == _NEWLINE))
    return max(1, breaks + (not block.endswith(b"\n")))


def _seek_line(file: BinaryIO, start: int) -> int:
    if not start:
        return 0
    if start == len(codecs.BOM_UTF8) and file.read(start) == codecs.BOM_UTF8:
        # Behind the mark that some editors put there, a line begins as well.
        return start
    file.seek(start - 1)
    at = start - 1
    while piece := file.readline(1 << 20):
        at += len(piece)
        if piece.endswith(b"\n"):
            break
    return at


def _skip_line(file: BinaryIO, block: bytes) -> int:
    """Leave the rest of an endless line unread; the answer is its length."""
    length = len(block)
    while piece := file.readline(1 << 20):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return length


def _find_end(block: bytes, *, quoted: bool) -> int:
    """Where the last whole line ends; 0 where none does."""
    end = block.rfind(b"\n") + 1
    if not quoted or not end:
        return end
    content = np.frombuffer(block, dtype=np.uint8)
    outside = np.cumsum(content == _QUOTE, dtype=np.int64) % 2 == 0
    ends = np.flatnonzero((content == _NEWLINE) & outside)
    if len(ends):
        return int(ends[-1]) + 1
    # A quote that nobody closes: it does not swallow the rest of the file.
    return end if len(block) > _LONGEST_QUOTED else 0
