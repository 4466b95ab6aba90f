"""Which part of an answer is the predicted class, and which its confidence."""

from __future__ import annotations

import msgspec

MEBIBYTE = 1 << 20


class CaptureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to read one endpoint's answers.

    Attributes
    ----------
    prediction
        JMESPath to the class, or to one class for each row, in a JSON answer; or the column number
        (from 0) of a CSV answer. A CSV answer is a list of rows, so ``[*][0]`` is its first column.
    confidence
        The same for the confidence, a number in [0, 1]; None where answers have none. Where the path finds
        nothing, or anything but a number in [0, 1], the prediction counts without a confidence.
    max_labels
        More distinct classes than this in one file is no classification; further ones are rejected.
    longest_line_bytes
        A longer line is rejected; memory stays below about twice this.
    """

    prediction: str | int = "[*][0]"
    confidence: str | int | None = "[*][1]"
    max_labels: int = 4096
    longest_line_bytes: int = 64 * MEBIBYTE
