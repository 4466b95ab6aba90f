"""Capture files are written when full, when old, when the config changes and at the end; never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sagewatch.sandbox.sagemaker.capture import CaptureSettings, Payload
from sagewatch.sandbox.sagemaker.capture_writer import CaptureWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOTH = frozenset({"INPUT", "OUTPUT"})


class RecordingS3:
    """An S3 that remembers keys and bodies."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  AWS's spelling
        self.objects[f"{Bucket}/{Key}"] = Body

    def line_counts(self) -> list[int]:
        return [body.count(b"\n") for body in self.objects.values()]


class Clock:
    """A time that moves when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def settings(prefix: str = "capture") -> CaptureSettings:
    return CaptureSettings("bucket", prefix, 100, BOTH, frozenset(), frozenset())


def add(writer: CaptureWriter, to: CaptureSettings | None = None) -> None:
    payload = Payload("text/csv", b"1")
    writer.add(to or settings(), "e", "v", payload, payload, inference_id=None, custom_attributes=None)


@pytest.fixture
def s3() -> RecordingS3:
    return RecordingS3()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(s3: RecordingS3, clock: Clock) -> Iterator[CaptureWriter]:
    made: Any = CaptureWriter(s3, flush_records=3, flush_seconds=10, seed=1, now=clock)
    made.start()
    yield made
    made.stop()


def test_a_full_file_is_written_at_once_under_the_time_of_its_first_record(
    writer: CaptureWriter, s3: RecordingS3, clock: Clock
) -> None:
    for _ in range(3):
        add(writer)
        clock.now += timedelta(seconds=1)
    assert s3.line_counts() == [3]
    assert "/2026/01/02/03/04-05-000-" in next(iter(s3.objects))


def test_what_is_held_is_written_at_the_end(writer: CaptureWriter, s3: RecordingS3) -> None:
    add(writer)
    writer.stop()
    assert s3.line_counts() == [1]


def test_a_changed_destination_does_not_take_the_old_lines_with_it(
    writer: CaptureWriter, s3: RecordingS3
) -> None:
    add(writer)
    add(writer, settings("elsewhere"))
    writer.flush("e")
    assert sorted(key.split("/")[1] for key in s3.objects) == ["capture", "elsewhere"]
    assert s3.line_counts() == [1, 1]


def test_flushing_one_endpoint_leaves_the_others(writer: CaptureWriter, s3: RecordingS3) -> None:
    add(writer)
    writer.flush("another")
    assert s3.objects == {}
    writer.flush()
    assert s3.line_counts() == [1]
