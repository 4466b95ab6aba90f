"""The JSON files of a report and of a baseline: decoded into their type, or refused in a sentence."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from sagewatch.errors import RejectedInputError

STATISTICS: Final = "statistics.json"
CONSTRAINTS: Final = "constraints.json"

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
        return decoder.decode(content)
    except (ValueError, RecursionError) as error:
        raise RejectedInputError(f"no {what} ({error})", where=where) from error


def encode_document(document: msgspec.Struct) -> bytes:
    """The file's content, UTF-8, as people read it."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
