"""One endpoint answer, as it stands in a capture line, to the classes and confidences in it."""

from __future__ import annotations

import base64
import binascii
import csv
import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sagewatch.capture.path import Walk, compile_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sagewatch.capture.spec import CaptureSpec

LONGEST_LABEL = 128
T = TypeVar("T")

_CSV = "text/csv"
_JSON = "application/json"
_COLUMN = re.compile(r"\[\*\]\[([0-9]{1,4})\]")
_LINES = ("jsonlines", "ndjson", "jsonl")
_get_data = attrgetter("data")
_decode_json = msgspec.json.Decoder().decode
_decode_json_lines = msgspec.json.Decoder().decode_lines

PlainRow = tuple[tuple[int | str, float]]
"""The shape that nearly all answers have, ``[[14, 0.98]]``."""

_decode_rows = msgspec.json.Decoder(PlainRow).decode_lines


class Output(msgspec.Struct, frozen=True, gc=False):
    """The output half of a capture line. Absent and null content types differ: null means an error."""

    data: str | None = None
    encoding: str | None = None
    content_type: str | None = msgspec.field(default="", name="observedContentType")


class UnreadableAnswerError(Exception):
    """An answer that holds no predictions; ``reason`` is its reason code. Never leaves ``capture``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Prediction = tuple[str, float | None]
"""A label and, where there is one, its confidence."""


class AnswerParser:
    """Takes answers apart by one spec."""

    def __init__(self, spec: CaptureSpec) -> None:
        self._prediction: Walk = compile_path(spec.prediction)
        self._confidence: Walk | None = None if spec.confidence is None else compile_path(spec.confidence)
        self._columns = _read_columns(spec)
        self.reads_plain_rows = self._columns == (0, 1)

    def parse(self, output: Output) -> list[Prediction]:
        """Every prediction of an answer.

        Raises
        ------
        UnreadableAnswerError
            With one of the reason codes listed in ``reader``.
        """
        found: list[Prediction] = []
        for document in read_documents(output):
            found += self.read(document)
        if not found:
            raise UnreadableAnswerError("prediction_not_found")
        return found

    def read(self, document: Any) -> list[Prediction]:
        """Every prediction of a decoded answer; raises as ``parse`` does."""
        if self._columns is not None and (single := _read_single_row(document, *self._columns)):
            return single
        classes = _as_list(self._prediction(document))
        if not classes:
            raise UnreadableAnswerError("prediction_not_found")
        values = _as_list(self._confidence(document)) if self._confidence is not None else []
        if len(classes) == 1 and len(values) == 1:
            return [(read_label(classes[0]), _read_confidence(values[0]))]
        labels = [read_label(value) for value in classes]
        # Paths drop what they do not find, so a list of another length cannot be matched to rows.
        if len(values) != len(labels):
            return [(label, None) for label in labels]
        return [(label, _read_confidence(value)) for label, value in zip(labels, values, strict=True)]


@lru_cache(maxsize=1024)
def build_parser(spec: CaptureSpec) -> AnswerParser:
    """A spec's parser: its paths are compiled once, and not for each of its files."""
    return AnswerParser(spec)


def decode_together(outputs: Sequence[Output]) -> list[Any] | None:
    """Decode many plain JSON answers in one go; None if one of them is not plain or cannot be decoded."""
    return _decode_joined(outputs, _decode_json_lines)


def decode_rows(outputs: Sequence[Output]) -> list[PlainRow] | None:
    """The same where each answer is one row of a class and a confidence; None if one of them is not."""
    return _decode_joined(outputs, _decode_rows)


def _decode_joined(outputs: Sequence[Output], decode: Callable[[str], list[T]]) -> list[T] | None:
    if any(each.encoding != "JSON" or each.content_type != _JSON or each.data is None for each in outputs):
        return None
    text = "\n".join(map(_get_data, outputs))
    if text.count("\n") != len(outputs) - 1:
        return None
    try:
        documents = decode(text)
    except (ValueError, RecursionError):
        return None
    return documents if len(documents) == len(outputs) else None


def read_documents(output: Output) -> list[Any]:
    """Undo encoding and content type: the JSON documents (a CSV text is one list of rows) of an answer.

    Raises
    ------
    UnreadableAnswerError
        If the text is not what encoding and content type promise.
    """
    if output.data is None:
        raise UnreadableAnswerError("no_output")
    content_type = (output.content_type or "").lower()
    text = output.data
    if output.encoding == "BASE64":
        text = _read_base64_text(text)
        return [_read_csv(text)] if content_type.startswith(_CSV) else _sniff(text, content_type)
    if output.encoding == "CSV":
        return [_read_csv(text)]
    if output.encoding == "JSON":
        return _read_json(text, content_type)
    raise UnreadableAnswerError("unknown_encoding")


def _read_base64_text(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise UnreadableAnswerError("bad_base64") from error


def _sniff(text: str, content_type: str) -> list[Any]:
    # Without capture content types in its config an endpoint's captures are all BASE64 (CONTRACTS §6.3).
    try:
        return _read_json(text, content_type)
    except UnreadableAnswerError:
        if "json" in content_type:
            raise
        return [_read_csv(text)]


def _read_json(text: str, content_type: str) -> list[Any]:
    lines = any(word in content_type for word in _LINES)
    try:
        return _decode_json_lines(text) if lines else [_decode_json(text)]
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError("output_not_json") from error


def _read_csv(text: str) -> list[list[str]]:
    stripped = text.strip()
    if '"' not in stripped:
        return [row.split(",") for row in stripped.splitlines() if row.strip()]
    try:
        return [row for row in csv.reader(stripped.splitlines()) if row]
    except csv.Error as error:
        raise UnreadableAnswerError("output_not_csv") from error


def _read_columns(spec: CaptureSpec) -> tuple[int, int] | None:
    """Columns of class and confidence, where both paths are plain columns."""
    columns = [
        path if isinstance(path, int) else int(match[1]) if match else None
        for path, match in (
            (path, _COLUMN.fullmatch(path) if isinstance(path, str) else None)
            for path in (spec.prediction, spec.confidence)
        )
    ]
    label, confidence = columns
    return None if label is None or confidence is None else (label, confidence)


def _read_single_row(document: Any, label_at: int, confidence_at: int) -> list[Prediction] | None:
    """The shape that nearly all answers have, ``[[14, 0.98]]``, without a walk; None for any other."""
    if type(document) is not list or len(document) != 1:
        return None
    row = document[0]
    if type(row) is not list or len(row) <= label_at or len(row) <= confidence_at:
        return None
    label, confidence = row[label_at], row[confidence_at]
    if type(label) is int and type(confidence) is float and 0 <= confidence <= 1:
        return [(read_label(label), confidence)]
    return None


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def read_label(value: Any) -> str:
    """A class as a person would write it: 14, 14.0 and "14.0" are all ``14``.

    Raises
    ------
    UnreadableAnswerError
        ``class_not_a_scalar``, ``class_empty`` or ``class_too_long``.
    """
    if type(value) is int:
        label = str(value)
    elif isinstance(value, str):
        label = value.strip()
        whole, dot, fraction = label.partition(".")
        if dot and fraction and not fraction.strip("0") and whole.lstrip("-").isdecimal():
            label = whole
    elif isinstance(value, bool):
        label = "true" if value else "false"
    elif isinstance(value, float):
        label = str(int(value)) if value.is_integer() else str(value)
    else:
        raise UnreadableAnswerError("class_not_a_scalar")
    if not label:
        raise UnreadableAnswerError("class_empty")
    if len(label) > LONGEST_LABEL:
        raise UnreadableAnswerError("class_too_long")
    return label


def _read_confidence(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if type(value) is not float and type(value) is not int:
        return None
    # False for NaN too.
    return float(value) if 0 <= value <= 1 else None
