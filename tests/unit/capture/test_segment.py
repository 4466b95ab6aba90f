"""Stored segments: the same after a round trip, and never above the limit of an item."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgspec
import pytest

from sagewatch.capture import Segment, decode_segment, encode_segment, split_segment
from sagewatch.capture.segment import MOST_IN_PIECE
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream

FIRST_AT = datetime(2026, 11, 21, 10, 33, 28, 867_000, tzinfo=UTC)


def build_segment(predictions: int, labels: int = 43, **changes: object) -> Segment:
    rng = random.Random(7)
    width = 1 if labels <= 256 else 2
    classes = b"".join(rng.randrange(labels).to_bytes(width, "little") for _ in range(predictions))
    segment = Segment(
        bucket="b",
        key="k",
        etag="e",
        stream=Stream("signs", "AllTraffic"),
        first_at=FIRST_AT,
        last_at=FIRST_AT,
        labels=tuple(str(label) for label in range(labels)),
        classes=classes,
        confidences=rng.randbytes(predictions),
        rejected=3,
        rejected_reasons={"not_json": 3},
        errors=1,
    )
    return msgspec.structs.replace(segment, **changes)


def read_all(pieces: tuple[Segment, ...]) -> list[tuple[str, float | None, int]]:
    return [
        (piece.labels[index], piece.confidence(at), piece.line(at))
        for piece in pieces
        for at, index in enumerate(piece.indexes())
    ]


@pytest.mark.parametrize("labels", [1, 43, 256, 257, 3000])
def test_a_stored_segment_reads_back_equal(labels: int) -> None:
    segment = build_segment(5000, labels)
    assert tuple(map(decode_segment, encode_segment(segment))) == (segment,)


@pytest.mark.parametrize("lines", [(), tuple(range(1, 100_001, 2))])
def test_a_large_segment_is_cut_into_pieces_that_say_the_same(lines: tuple[int, ...]) -> None:
    segment = build_segment(50_000, lines=lines)
    blobs = encode_segment(segment, limit_bytes=20_000)
    pieces = tuple(map(decode_segment, blobs))
    assert len(blobs) > 1
    assert max(map(len, blobs)) <= 20_000
    assert read_all(pieces) == read_all((segment,))
    assert [piece.part for piece in pieces] == list(range(len(pieces)))
    assert {piece.parts for piece in pieces} == {len(pieces)}
    assert len({piece.identity for piece in pieces}) == len(pieces)
    assert sum(piece.rejected for piece in pieces) == 3
    assert sum(piece.errors for piece in pieces) == 1


def test_a_piece_holds_no_more_than_a_fold_is_to_hold_however_well_it_deflates() -> None:
    segment = build_segment(2 * MOST_IN_PIECE + 1, labels=1)
    pieces = tuple(map(decode_segment, encode_segment(segment)))
    assert [piece.part for piece in pieces] == [0, 1, 2]
    assert max(piece.predictions for piece in pieces) <= MOST_IN_PIECE
    assert sum(piece.predictions for piece in pieces) == segment.predictions


def test_a_prediction_too_large_for_an_item_is_refused() -> None:
    with pytest.raises(ValueError, match="one prediction"):
        encode_segment(build_segment(1, labels=3000), limit_bytes=500)


def test_a_piece_holds_at_least_one_prediction() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        split_segment(build_segment(3), 0)


def test_counts_name_every_label() -> None:
    segment = build_segment(0, 3, classes=b"\x00\x02\x02", confidences=b"")
    assert segment.count_labels() == {"0": 1, "1": 0, "2": 2}


@pytest.mark.parametrize("blob", [b"", b"oops", encode_segment(build_segment(9))[0][:-9]])
def test_bytes_that_are_no_segment_are_rejected(blob: bytes) -> None:
    with pytest.raises(RejectedInputError):
        decode_segment(blob)
