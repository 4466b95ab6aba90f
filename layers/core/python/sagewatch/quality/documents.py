"""The JSON files of a report and of a baseline: decoded into their type, or refused in a sentence."""

from __future__ import annotations

import codecs
import json
from typing import Any, Final, TypeVar

import msgspec

from sagewatch.errors import RejectedInputError

STATISTICS: Final = "statistics.json"
CONSTRAINTS: Final = "constraints.json"
_NOTHING: Final = (b"null", b"NaN", b"Infinity")

Document = TypeVar("Document")


def decode_document(
    decoder: msgspec.json.Decoder[Document], content: bytes, what: str, where: str
) -> Document:
    """Read a file.

    Parameters
    ----------
    what
        What it should be, for the sentence.

    Raises
    ------
    RejectedInputError
        When it is no such file.
    """
    try:
        return decoder.decode(_leave_out_nulls(content.removeprefix(codecs.BOM_UTF8)))
    except (ValueError, RecursionError, OverflowError) as error:
        raise RejectedInputError(f"no {what} ({error})", where=where) from error


def _leave_out_nulls(content: bytes) -> bytes:
    """The file without what is null, or no number (NaN, as Python writes it): whoever wrote it had nothing there."""
    if not any(word in content for word in _NOTHING):
        return content
    return msgspec.json.encode(_drop_nulls(json.loads(content, parse_constant=lambda _: None)))


def _drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _drop_nulls(item) for key, item in value.items() if item is not None}
    return [_drop_nulls(item) for item in value if item is not None] if isinstance(value, list) else value


def encode_document(document: msgspec.Struct) -> bytes:
    """The file's content, UTF-8, as people read it."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
