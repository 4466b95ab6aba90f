"""The distinct answers of one capture file, each parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sagewatch.capture.answer import (
    Output,
    PlainRow,
    Prediction,
    UnreadableAnswerError,
    build_parser,
    decode_rows,
    decode_together,
    read_label,
)
from sagewatch.capture.segment import CONFIDENCE_STEPS, NO_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagewatch.capture.spec import CaptureSpec

ERROR_RESPONSE = "error_response"
"""Reason of an answer without a content type."""

_CACHED_ANSWERS = 8192
_BYTES = [bytes([value]) for value in range(256)]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A parsed answer: class indexes (2 bytes each) and confidence bytes, or why there are none."""

    classes: bytes
    confidences: bytes
    reason: str | None = None

    @property
    def count(self) -> int:
        """How many predictions it holds."""
        return len(self.confidences)


class Answers(dict[Output, Answer]):
    """Each distinct answer of a file, parsed once. ``plain`` while each one held exactly one prediction."""

    def __init__(self, spec: CaptureSpec) -> None:
        super().__init__()
        self._parser = build_parser(spec)
        self._max_labels = spec.max_labels
        self._codes: dict[str, bytes] = {}
        self._codes_as_written: dict[int | str, bytes] = {}
        self.plain = True

    def look_up(self, outputs: list[Output]) -> list[Answer]:
        """Each answer's predictions; those not met before are parsed, plain JSON ones decoded in one go."""
        try:
            return list(map(self.__getitem__, outputs))
        except KeyError:
            new = [output for output in dict.fromkeys(outputs) if output not in self]
        if len(self) + len(new) > _CACHED_ANSWERS:
            self.clear()
            new = list(dict.fromkeys(outputs))
        rows = decode_rows(new) if self._parser.reads_plain_rows else None
        answers = None if rows is None else self._index_rows(rows)
        if answers is None:
            documents = decode_together(new)
            answers = map(self._parse, new) if documents is None else map(self._read, documents)
        self.update(zip(new, answers, strict=True))
        return list(map(self.__getitem__, outputs))

    def _index_rows(self, rows: list[PlainRow]) -> Iterable[Answer] | None:
        """Answers of one row each, all at once; None where one is odd and each must be looked at by itself."""
        confidences = [confidence for ((_, confidence),) in rows]
        if not 0 <= min(confidences) <= max(confidences) <= 1:
            return None
        written = [label for ((label, _),) in rows]
        codes = self._codes_as_written
        for label in dict.fromkeys(written):
            if label not in codes:
                try:
                    codes[label] = self._encode(read_label(label))
                except UnreadableAnswerError:
                    return None
        return [
            Answer(codes[label], _BYTES[round(CONFIDENCE_STEPS * confidence)])
            for label, confidence in zip(written, confidences, strict=True)
        ]

    def _parse(self, output: Output) -> Answer:
        if output.content_type is None:
            self.plain = False
            return Answer(b"", b"", ERROR_RESPONSE)
        try:
            return self._index(self._parser.parse(output))
        except UnreadableAnswerError as error:
            self.plain = False
            return Answer(b"", b"", error.reason)

    def _read(self, document: object) -> Answer:
        try:
            return self._index(self._parser.read(document))
        except UnreadableAnswerError as error:
            self.plain = False
            return Answer(b"", b"", error.reason)

    def _index(self, found: list[Prediction]) -> Answer:
        if len(found) == 1:
            label, confidence = found[0]
            return Answer(self._encode(label), _BYTES[_to_byte(confidence)])
        self.plain = False
        labels = dict.fromkeys(label for label, _ in found)
        new = [label for label in labels if label not in self._codes]
        if len(self._codes) + len(new) > self._max_labels:
            raise UnreadableAnswerError("too_many_classes")
        classes = b"".join(self._encode(label) for label, _ in found)
        return Answer(classes, bytes(_to_byte(confidence) for _, confidence in found))

    def _encode(self, label: str) -> bytes:
        """The index of a class, a new one where it was not met before."""
        code = self._codes.get(label)
        if code is None:
            if len(self._codes) >= self._max_labels:
                raise UnreadableAnswerError("too_many_classes")
            code = self._codes[label] = len(self._codes).to_bytes(2, "little")
        return code

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in the order of their first appearance."""
        return tuple(self._codes)


def _to_byte(confidence: float | None) -> int:
    return NO_CONFIDENCE if confidence is None else round(CONFIDENCE_STEPS * confidence)
