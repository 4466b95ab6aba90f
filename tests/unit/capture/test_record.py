"""Single lines, payload included."""

from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, datetime

import pytest

from sagewatch.capture import pick_lines, read_record
from sagewatch.errors import RejectedInputError
from tests.unit.capture.test_reader import capture_line


def test_an_image_comes_back_as_the_bytes_that_were_sent() -> None:
    record = read_record(capture_line([[14, 0.5]], image=b"\x93NUMPY\x00\xff"))
    assert record.input is not None
    assert record.input.content == b"\x93NUMPY\x00\xff"
    assert record.input.content_type == "application/x-npy"
    assert record.output is not None
    assert record.output.content == b"[[14, 0.5]]"
    assert record.inferred_at == datetime(2026, 11, 21, 10, 33, 28, tzinfo=UTC)


def test_a_side_that_was_not_captured_is_none() -> None:
    record = read_record(b'{"captureData": {"endpointInput": {"data": "a,b", "encoding": "CSV"}}}')
    assert record.output is None
    assert record.input is not None
    assert record.input.content == b"a,b"
    assert record.inferred_at is None


@pytest.mark.parametrize("line", [b"", b"[]", b"\xff", b'{"captureData": 1}', b"[" * 100_000])
def test_what_is_no_capture_line_is_rejected(line: bytes) -> None:
    with pytest.raises(RejectedInputError, match="not_a_capture"):
        read_record(line)


def test_a_payload_that_is_not_base64_is_rejected_with_its_side() -> None:
    line = b'{"captureData": {"endpointInput": {"data": "%%%", "encoding": "BASE64"}}}'
    with pytest.raises(RejectedInputError) as caught:
        read_record(line, where="s3://b/k")
    assert (caught.value.reason, caught.value.where, caught.value.key) == (
        "bad_base64",
        "s3://b/k",
        "endpointInput",
    )


def test_lines_are_picked_by_number() -> None:
    lines = [capture_line([[sign]], image=b"x" * 100_000) for sign in range(1, 9)]
    picked = dict(pick_lines(io.BytesIO(b"".join(lines)), [1, 5, 8, 99]))
    assert picked == {1: lines[0].rstrip(b"\n"), 5: lines[4].rstrip(b"\n"), 8: lines[7].rstrip(b"\n")}


def test_picking_stops_reading_after_the_last_line_wanted() -> None:
    def chunks() -> object:
        yield b"first\nsecond\n" + b"x" * (1 << 20) + b"\n"
        raise AssertionError("read on")

    assert dict(pick_lines(chunks(), [2])) == {2: b"second"}


def test_all_lines_of_a_large_file_are_picked_in_memory_of_a_few_of_them() -> None:
    line = capture_line([[14]], image=b"x" * 300_000)
    file = io.BytesIO(line * 100)
    tracemalloc.start()
    count = sum(1 for _ in pick_lines(file, range(1, 101)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100
    assert peak < 8 * len(line)
