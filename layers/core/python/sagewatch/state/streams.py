"""What stands in the table of a stream: its captures, its detectors' states, what was told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from sagewatch.capture import Segment, decode_segment, encode_segment
from sagewatch.detect.checkpoint import Checkpoint
from sagewatch.detect.first_capture import Expectation
from sagewatch.errors import ConflictError
from sagewatch.finding import Finding, Stream, build_content_key
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write
from sagewatch.state.rows import Rows, build_time_key, write_row

SEGMENT_KEPT = timedelta(days=2)
TRANSACTION_BYTES = 3_500_000
TRANSACTION_ROWS = 100
"""Written at once: DynamoDB takes 4 MB in a transaction, keys and conditions among them, and so many rows."""


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """Captures lay in S3 uncounted when their stream would have been called silent.

    Attributes
    ----------
    silent_since
        The end of the last capture that is counted.
    noticed_at, looked_at
        When they were first seen, and when last.
    """

    silent_since: datetime
    noticed_at: datetime
    looked_at: datetime


class StreamRows(Rows):
    """Streams of captures, what is expected of them, and what the bus has heard."""

    def put_segment(self, segment: Segment, now: datetime) -> bool:
        """Count a capture object; False where it had been counted before.

        The segment is the marker: one conditional write makes counting exactly-once. Of a file that is too large for
        one transaction the last piece is the marker: those before it are written first, and again by whoever comes
        after a crash, and nobody reads them until all are there.
        """
        pk, sk = _stream_pk(segment.stream), _segment_sk(segment)
        known = self._items.query(pk, f"{sk}#", f"{sk}#\U0010ffff")
        if _keep_whole(decode_segment(row.body) for row in known):
            return False
        expires = int((now + SEGMENT_KEPT).timestamp())
        pieces = encode_segment(msgspec.structs.replace(segment, counted_at=now))
        rows = [Item(pk, f"{sk}#{n:04d}", piece, 1, expires) for n, piece in enumerate(pieces)]
        # Where the marker stands already a piece may lie of a try that was broken off, and that cut the file otherwise.
        expect = next((row.version for row in known if row.sk == rows[-1].sk), ABSENT)
        last = rows[-1] = msgspec.structs.replace(rows[-1], version=expect + 1)
        *staged, marking = _group_by_size(rows)
        for group in staged:
            self._items.write([Write(row, ANY_VERSION) for row in group])
        try:
            self._items.write([Write(row, expect if row is last else ANY_VERSION) for row in marking])
        except ConflictError:
            if self._items.get(pk, last.sk) is None:
                raise
            return False
        return True

    def note_stream(self, stream: Stream) -> None:
        """Remember that the endpoint has this stream: the tick asks all of them."""
        self._items.write(
            [write_row(f"endpoint#{stream.endpoint}", f"stream#{stream.variant}", stream, ANY_VERSION)]
        )

    def list_streams(self, endpoint: str) -> list[Stream]:
        """The streams of an endpoint that ever had a capture."""
        return [
            msgspec.json.decode(row.body, type=Stream) for row in self._items.query(f"endpoint#{endpoint}")
        ]

    def load_expectation(self, endpoint: str) -> Expectation | None:
        """Since when the endpoint's captures are expected; None before the first look."""
        return self.load_versioned(f"expected#{endpoint}", "first-capture", Expectation)

    def save_expectation(self, expected: Expectation) -> None:
        """Write it; ``ConflictError`` where it was changed meanwhile."""
        self._items.write(
            [write_row(f"expected#{expected.endpoint}", "first-capture", expected, expected.version)]
        )

    def load_segments(self, stream: Stream, since: datetime | None) -> list[Segment]:
        """The stream's segments that begin at or after a time, in order of time; of a file all pieces or none."""
        start = f"segment#{build_time_key(since)}" if since else "segment#"
        rows = self._items.query(_stream_pk(stream), start, "segment#\U0010ffff")
        return _keep_whole(decode_segment(row.body) for row in rows)

    def load_checkpoint(self, stream: Stream) -> tuple[Checkpoint | None, int]:
        """The detectors' states and the version to name when saving; (None, 0) at the start."""
        item = self._items.get(_stream_pk(stream), "checkpoint")
        return (msgspec.json.decode(item.body, type=Checkpoint), item.version) if item else (None, ABSENT)

    def save_checkpoint(self, stream: Stream, checkpoint: Checkpoint, expect: int) -> None:
        """Keep the states; ``ConflictError`` where somebody else was faster."""
        self._items.write([write_row(_stream_pk(stream), "checkpoint", checkpoint, expect)])

    def was_told(self, finding: Finding) -> bool:
        """Whether this raising or clearing is on the bus already."""
        return self._items.get(_stream_pk(finding.stream), _told_sk(finding)) is not None

    def mark_told(self, finding: Finding) -> None:
        """Remember that this raising or clearing is on the bus."""
        self._items.write(
            [write_row(_stream_pk(finding.stream), _told_sk(finding), finding.window, ANY_VERSION)]
        )

    def load_unread(self, stream: Stream) -> Unread | None:
        """Since when captures of the stream wait to be counted, as it was last noticed; None where the row is damaged.

        It says but how long to wait: whoever asks writes it anew, and no silence is hidden by it.
        """
        item = self._items.get(_stream_pk(stream), "unread")
        try:
            return msgspec.json.decode(item.body, type=Unread) if item else None
        except msgspec.MsgspecError:
            return None

    def save_unread(self, stream: Stream, unread: Unread) -> None:
        """Write it; of two writers at once either may have the last word."""
        self._items.write([write_row(_stream_pk(stream), "unread", unread, ANY_VERSION)])


def _keep_whole(pieces: Iterable[Segment]) -> list[Segment]:
    """Those of files all of whose pieces are there, in their order; of a try that was broken off none."""
    found = list(pieces)
    there = Counter((one.identity[:-1], one.parts) for one in found)
    return [one for one in found if there[one.identity[:-1], one.parts] == one.parts]


def _group_by_size(rows: Sequence[Item]) -> list[list[Item]]:
    """The rows in order, in groups that a transaction takes."""
    groups: list[list[Item]] = [[]]
    for row in rows:
        size_bytes = sum(len(one.body) for one in [*groups[-1], row])
        if groups[-1] and (size_bytes > TRANSACTION_BYTES or len(groups[-1]) == TRANSACTION_ROWS):
            groups.append([])
        groups[-1].append(row)
    return groups


def _stream_pk(stream: Stream) -> str:
    return f"stream#{stream.endpoint}#{stream.variant}"


def _segment_sk(segment: Segment) -> str:
    name = build_content_key(segment.bucket, segment.key, segment.etag)
    return f"segment#{build_time_key(segment.first_at)}#{name}"


def _told_sk(finding: Finding) -> str:
    # A finding that grew more severe is told again, and one that lasts now and then: both are part of what was told.
    what = "cleared" if finding.cleared_at else f"raised#{finding.severity}"
    if finding.cleared_at is None and finding.tellings:
        what += f"#{finding.tellings}"
    return f"told#{finding.finding_id}#{what}"
