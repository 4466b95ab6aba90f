"""Large input payloads are cut out of their lines before these are decoded: nobody asked for them.

A decoder skips a string byte by byte, to see that it is one; a search for the closing quote is five times as
fast. What is cut out is the inside of the first ``data`` string of a line, so the rest is checked as ever.
"""

from __future__ import annotations

from sagewatch.capture.blocks import Block

WORTH_BYTES = 4096
"""Average length of a line from which on it pays."""

_OPENING = b'"data":"'
_NEAR = 400  # observedContentType and mode, which come before it, are short
_BACKSLASH = ord("\\")


def cut_payloads(block: Block) -> bytes | None:
    """The block's lines without the inside of each line's first ``data`` string, or None if it does not pay.

    The string's inside is not looked at; one that ends in an escape sequence stays as it is.
    """
    if block.end - block.begin < WORTH_BYTES * len(block.ends):
        return None
    buffer = block.buffer
    parts: list[bytearray] = []
    start = block.begin
    for end in block.ends:
        opening = buffer.find(_OPENING, start, min(end, start + _NEAR))
        if opening >= 0 and _is_input(buffer[start:opening]):
            opening += len(_OPENING)
            closing = buffer.find(b'"', opening, end)
            if closing > opening and buffer[closing - 1] != _BACKSLASH:
                parts.append(buffer[start:opening])
                start = closing
        parts.append(buffer[start:end])
        start = end
    return b"".join(parts)


def _is_input(before: bytearray) -> bool:
    """Whether what comes before a ``data`` string says that it is the request's."""
    return b'"endpointInput"' in before and b'"endpointOutput"' not in before
