"""Captured records as they are typed: what JSON holds, nothing parsed yet (CONTRACTS §1.5, §6.3)."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class Side(msgspec.Struct, frozen=True, gc=False):
    """One side of a request, as captured; the content type may be null, or not there at all."""

    data: str | None = None
    encoding: str | None = None
    content_type: str | UnsetType | None = msgspec.field(default=UNSET, name="observedContentType")


class Sides(msgspec.Struct, frozen=True, gc=False):
    """What was asked and what was answered, by an endpoint or by a batch transform."""

    input: Side | None = msgspec.field(default=None, name="endpointInput")
    output: Side | None = msgspec.field(default=None, name="endpointOutput")
    transform: Side | None = msgspec.field(default=None, name="batchTransformOutput")


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """When it was."""

    inferred_at: str | None = msgspec.field(default=None, name="inferenceTime")


class Record(msgspec.Struct, frozen=True, gc=False):
    """A capture, or ground truth that stands alone."""

    sides: Sides | None = msgspec.field(default=None, name="captureData")
    truth: Side | None = msgspec.field(default=None, name="groundTruthData")
    metadata: Metadata = msgspec.field(default=Metadata(), name="eventMetadata")


_decoder = msgspec.json.Decoder(Record)


def decode_record(line: bytes) -> Record:
    """One line.

    Raises
    ------
    msgspec.MsgspecError, RecursionError
        When it is no record.
    """
    return _decoder.decode(line)


def decode_records(block: bytes) -> list[Record]:
    """Lines; empty where one of them is no record."""
    try:
        return _decoder.decode_lines(block)
    except (ValueError, RecursionError):
        return []
