"""The distinct answers of one capture file, each parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.capture.answer import AnswerParser, Output, Prediction, UnreadableAnswerError, decode_together
from sagewatch.capture.segment import CONFIDENCE_STEPS, NO_CONFIDENCE

if TYPE_CHECKING:
    from sagewatch.capture.spec import CaptureSpec

ERROR_RESPONSE = "error_response"
"""Reason of an answer without a content type."""

_CACHED_ANSWERS = 8192
_BYTES = [bytes([value]) for value in range(256)]


class Answer:
    """A parsed answer: class indexes (2 bytes each) and confidence bytes, or why there are none."""

    __slots__ = ("classes", "confidences", "count", "reason")

    def __init__(self, classes: bytes, confidences: bytes, reason: str | None = None) -> None:
        self.classes = classes
        self.confidences = confidences
        self.count = len(confidences)
        self.reason = reason


class Answers(dict[Output, Answer]):
    """Each distinct answer of a file, parsed once. ``plain`` while each one held exactly one prediction."""

    def __init__(self, spec: CaptureSpec) -> None:
        super().__init__()
        self._parser = AnswerParser(spec)
        self._max_labels = spec.max_labels
        self._codes: dict[str, bytes] = {}
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
        documents = decode_together(new)
        if documents is None:
            self.update((output, self._parse(output)) for output in new)
        else:
            self.update(zip(new, map(self._read, documents), strict=True))
        return list(map(self.__getitem__, outputs))

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
            known = self._codes.get(label)
            if known is not None:
                return Answer(known, _BYTES[_to_byte(confidence)])
        else:
            self.plain = False
        labels = dict.fromkeys(label for label, _ in found)
        new = [label for label in labels if label not in self._codes]
        if len(self._codes) + len(new) > self._max_labels:
            raise UnreadableAnswerError("too_many_classes")
        for label in new:
            self._codes[label] = len(self._codes).to_bytes(2, "little")
        classes = b"".join(self._codes[label] for label, _ in found)
        return Answer(classes, bytes(_to_byte(confidence) for _, confidence in found))

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in the order of their first appearance."""
        return tuple(self._codes)


def _to_byte(confidence: float | None) -> int:
    return NO_CONFIDENCE if confidence is None else round(CONFIDENCE_STEPS * confidence)
