"""A capture file that is too large for one transaction is counted once and whole, or not at all; in memory and in DynamoDB."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest

from sagewatch.capture import Segment, encode_segment
from sagewatch.capture.segment import MOST_IN_PIECE
from sagewatch.errors import ConflictError, RetryError
from sagewatch.finding import Stream
from sagewatch.memory.items import MemoryItems
from sagewatch.ports import Write
from sagewatch.state import State, streams
from tests.aws_in_process import dynamo_items

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
STREAM = Stream("signs", "AllTraffic")
LIMIT_BYTES, LIMIT_ROWS = 4 * 1024 * 1024, 100  # of TransactWriteItems


class Limited:
    """A table that takes no more at once than DynamoDB, and goes away before the writing of that number."""

    def __init__(self, items):
        self._items, self.writings, self.gone_before = items, [], None

    def __getattr__(self, name):
        return getattr(self._items, name)

    def write(self, writes):
        if len(self.writings) == self.gone_before:
            raise RetryError("throttled")
        size = sum(len(one.item.body) + len(one.item.pk) + len(one.item.sk) + 100 for one in writes)
        assert size <= LIMIT_BYTES
        assert len(writes) <= LIMIT_ROWS
        self.writings.append(len(writes))
        self._items.write(writes)


@pytest.fixture(params=["memory", "aws"])
def items(request):
    if request.param == "memory":
        yield Limited(MemoryItems())
        return
    with dynamo_items() as found:
        yield Limited(found)


def build_segment(predictions, **changes):
    rng = random.Random(7)
    return msgspec.structs.replace(
        Segment(
            bucket="b", key="k", etag="e", stream=STREAM, first_at=AT, last_at=AT,
            labels=tuple(map(str, range(256))), classes=rng.randbytes(predictions), confidences=rng.randbytes(predictions),
            rejected=3,
        ),
        **changes,
    )  # fmt: skip


LARGE = build_segment(2_200_000)  # 4.4 MB that do not deflate


def read(state):
    found = state.load_segments(STREAM, None)
    return b"".join(one.classes for one in found), b"".join(one.confidences for one in found)


def test_a_file_of_more_than_a_transaction_takes_is_counted_once_and_whole(items):
    state = State(items)
    assert state.put_segment(LARGE, AT)
    assert len(items.writings) == 2
    assert read(state) == (LARGE.classes, LARGE.confidences)
    assert sum(one.rejected for one in state.load_segments(STREAM, None)) == 3
    items.writings.clear()
    assert not state.put_segment(LARGE, AT + timedelta(minutes=5))
    assert items.writings == []


def test_of_a_file_whose_counting_was_cut_short_nothing_is_read_until_it_is_counted_again(items):
    state = State(items)
    small = build_segment(10, key="small")
    state.put_segment(small, AT)
    items.writings.clear()
    items.gone_before = 1
    with pytest.raises(RetryError):
        state.put_segment(LARGE, AT)
    assert read(state) == (small.classes, small.confidences)
    items.gone_before = None
    assert state.put_segment(LARGE, AT + timedelta(minutes=7, microseconds=123_456))
    assert not state.put_segment(LARGE, AT + timedelta(minutes=8))
    found = [one for one in state.load_segments(STREAM, None) if one.key == "k"]
    assert [one.part for one in found] == list(range(found[0].parts))
    assert b"".join(one.classes for one in found) == LARGE.classes


def test_pieces_of_a_try_that_cut_the_file_otherwise_are_no_mark_and_no_part_of_it(items, monkeypatch):
    """Another version of the code, or other classes in monitors.yml, between the try and the next."""
    state = State(items)
    with monkeypatch.context() as patch:
        patch.setattr(streams, "encode_segment", partial(encode_segment, limit_bytes=100_000))
        items.gone_before = 1
        with pytest.raises(RetryError):
            state.put_segment(LARGE, AT)
    items.gone_before = None
    pieces = len(encode_segment(LARGE))
    assert len(items.query("stream#signs#AllTraffic", "segment#", "segment#~")) > pieces
    assert read(state) == (b"", b"")
    assert state.put_segment(LARGE, AT + timedelta(minutes=7))
    assert read(state) == (LARGE.classes, LARGE.confidences)
    assert not state.put_segment(LARGE, AT + timedelta(minutes=8))


def test_of_two_who_count_a_large_file_at_once_one_has_counted_it():
    items = MemoryItems()
    other = State(items)
    answers = []

    class Crossed(Limited):
        def write(self, writes):
            if len(self.writings) == 1 and not answers:
                answers.append(other.put_segment(LARGE, AT))
            super().write(writes)

    assert not State(Crossed(items)).put_segment(LARGE, AT + timedelta(seconds=1))
    assert answers == [True]
    assert read(other) == (LARGE.classes, LARGE.confidences)


def test_many_small_pieces_are_no_more_rows_than_a_transaction_takes():
    """A file of one class deflates to nothing, but a piece holds no more predictions than are folded at once."""
    items = Limited(MemoryItems())
    segment = build_segment(0, labels=("a",), classes=bytes(101 * MOST_IN_PIECE), confidences=b"")
    assert State(items).put_segment(segment, AT)
    assert items.writings == [100, 1]


@pytest.mark.parametrize("predictions", [169_800, 169_900, 169_950, 170_000, 170_100])
def test_a_file_is_cut_alike_whenever_it_is_counted(predictions):
    segment = build_segment(predictions)
    times = [None, AT, *(AT + timedelta(microseconds=step) for step in (1, 999_999))]
    cuts = {len(encode_segment(msgspec.structs.replace(segment, counted_at=at))) for at in times}
    assert len(cuts) == 1


def test_an_older_version_s_file_that_fits_a_transaction_stays_counted(items):
    """All its pieces were written at once, the first as good a mark as the last."""
    state = State(items)
    segment = build_segment(400_000)
    pieces = encode_segment(msgspec.structs.replace(segment, counted_at=AT))
    assert len(pieces) > 1
    state.put_segment(segment, AT)
    rows = items.query("stream#signs#AllTraffic", "segment#", "segment#~")
    assert [row.sk[-4:] for row in rows] == [f"{n:04d}" for n in range(len(pieces))]
    with pytest.raises(ConflictError):
        items.write([Write(rows[0])])
    assert not state.put_segment(segment, AT + timedelta(days=1))
