"""What one side of a request carried, as rows of cells: CSV, JSON and JSON Lines, plain or in BASE64."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import io
import json
import math
from typing import Any, Final

import msgspec

from sagewatch.quality.profile import MOST_COLUMNS

# A cell is a value as a string (None: missing) and its name where it has one.
Cell = tuple[str | None, str | None]
Row = list[Cell]

# Keys under which model servers wrap their rows; a list of numbers below one is a row a number.
WRAPPERS: Final = frozenset({"instances", "predictions", "inputs", "outputs", "records", "scores"})
# What batch transform appends to a record.
_APPENDED: Final = frozenset({"SageMakerInferenceId", "SageMakerInferenceTime"})
TRANSFORM_OUTPUT: Final = "SageMakerOutput"

_SCALARS = (str, int, float, bool, type(None))


class UnreadablePayloadError(Exception):
    """These bytes hold no row; ``reason`` is a code. Never leaves the package."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_payload(data: str, encoding: str | None, content_type: str | None) -> list[Row]:
    """The rows that a captured side holds.

    Parameters
    ----------
    data, encoding, content_type
        The fields of a capture record.

    Raises
    ------
    UnreadablePayloadError
        ``bad_base64``, ``binary_payload``, ``not_json``, ``not_csv``, ``too_many_columns`` or ``unknown_encoding``.
    """
    kind = (content_type or "").lower()
    if encoding == "BASE64":
        return _parse_text(_decode(data), kind, sniff=True)
    if encoding == "JSON":
        return parse_json(data, lines="lines" in kind)
    if encoding == "CSV":
        return parse_csv_text(data)
    if encoding is None:
        return _parse_text(data, kind, sniff=True)
    raise UnreadablePayloadError("unknown_encoding")


def parse_csv_text(text: str) -> list[Row]:
    """Rows of CSV without a header; an empty cell is missing."""
    try:
        rows: list[Row] = [
            [(None, cell or None) for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row
        ]
    except csv.Error as error:
        raise UnreadablePayloadError("not_csv") from error
    return [_bound(row) for row in rows]


def parse_json(text: str, *, lines: bool = False) -> list[Row]:
    """Rows of a JSON document, or of one document a line."""
    if lines and "\n" in text.strip():
        return [row for line in text.splitlines() if line.strip() for row in explode(load_json(line))]
    try:
        return explode(load_json(text))
    except UnreadablePayloadError:
        if "\n" not in text.strip():
            raise
    return [row for line in text.splitlines() if line.strip() for row in explode(load_json(line))]


def explode(document: Any) -> list[Row]:
    """A JSON document as rows: lists of records are rows, a record or a list of values is one.

    Nested records are flattened with dotted names. What lies in a list has no name: such a row goes by position.
    """
    return [flatten(record) for record in list_records(document)]


def list_records(document: Any) -> list[Any]:
    """What a JSON document holds that makes a row each."""
    if isinstance(document, dict):
        wrapped = [key for key in document if key in WRAPPERS and isinstance(document[key], list)]
        if len(wrapped) == 1 and len(document) == 1:
            return list(document[wrapped[0]])
        return [document]
    if isinstance(document, list) and all(isinstance(item, dict | list) for item in document):
        return document
    return [document]


def spell(value: object) -> str | None:
    """A value as the string that its type is told from; None stays None, and numbers that are none are missing too.

    What JSON does not have is spelled as Python writes it, bytes as the text that they are, value by value: whether others
    of its column are text changes nothing.

    Examples
    --------
    >>> spell(True), spell(1), spell(1.0), spell("x"), spell(None), spell(float("nan")), spell(b"12")
    ('true', '1', '1.0', 'x', None, None, '12')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return str(value)
    return str(value)


def flatten(value: Any, name: str | None = None) -> Row:
    """A record's cells in the order of the document, the model's answer of a batch transform first."""
    if isinstance(value, _SCALARS):
        return [(name, spell(value))]
    row: Row = []
    # A stack, not recursion: a hostile document may be deep.
    pending: list[tuple[str | None, Any]] = [(name, value)]
    while pending:
        key, item = pending.pop()
        if isinstance(item, dict):
            prefix = f"{key}." if key else ""
            inner = [(None if key == "" else f"{prefix}{each}", item[each]) for each in _order(item)]
            pending.extend(reversed(inner))
        elif isinstance(item, list):
            pending.extend(("", each) for each in reversed(item))
        else:
            row.append((key or None, spell(item)))
        if len(row) > MOST_COLUMNS or len(pending) > 2 * MOST_COLUMNS:
            raise UnreadablePayloadError("too_many_columns")
    return row


def _order(record: dict[str, Any]) -> list[str]:
    keys = [key for key in record if key not in _APPENDED]
    return sorted(keys, key=lambda key: key != TRANSFORM_OUTPUT)


def _bound(row: Row) -> Row:
    if len(row) > MOST_COLUMNS:
        raise UnreadablePayloadError("too_many_columns")
    return row


def parse_element(element: bytes) -> Row:
    """The row that one element of a list of records makes.

    Raises
    ------
    UnreadablePayloadError
        ``not_utf8``, ``not_json`` or ``too_many_columns``.
    """
    return flatten(load_json(decode_text(element)))


def decode_text(content: bytes) -> str:
    """Text in UTF-8, without the mark that some editors put before it.

    Raises
    ------
    UnreadablePayloadError
        ``not_utf8``.
    """
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadablePayloadError("not_utf8") from error


def load_json(text: str) -> Any:
    """A JSON document; NaN and its like, which Python's writers print, are read too.

    Raises
    ------
    UnreadablePayloadError
        ``not_json``.
    """
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        # Model servers written in Python print NaN, which is no JSON.
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadablePayloadError("not_json") from error


def _decode(data: str) -> str:
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadablePayloadError("bad_base64") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadablePayloadError("binary_payload") from error


def _parse_text(text: str, kind: str, *, sniff: bool) -> list[Row]:
    if "json" in kind:
        return parse_json(text, lines="lines" in kind)
    if "csv" in kind:
        return parse_csv_text(text)
    if kind.startswith(("image/", "audio/", "video/")) or "\x00" in text:
        raise UnreadablePayloadError("binary_payload")
    if sniff and text.lstrip()[:1] in {"{", "["}:
        return parse_json(text)
    return parse_csv_text(text)
