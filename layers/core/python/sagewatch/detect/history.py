"""The last predictions of a stream: enough to say when a change began and which lines show it.

Memory is bounded three times over: predictions, files and marks of older files.
"""

from __future__ import annotations

from array import array
from collections.abc import Container
from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.finding import Sample

PREDICTIONS_KEPT = 2048
FILES_KEPT = 40
MARKS_KEPT = 64


class FileRun(msgspec.Struct, frozen=True, array_like=True):
    """The last predictions of one capture file: ``lines`` names them, or they run on from ``first_line``.

    ``rejected`` counts the lines of the file that could not be read.
    """

    bucket: str
    key: str
    first_at: datetime
    count: int
    first_line: int
    lines: tuple[int, ...] = ()
    rejected: int = 0

    def line(self, index: int) -> int:
        """The line of a prediction of the run."""
        return self.lines[index] if self.lines else self.first_line + index


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """So many predictions from files that are too old to be named, and when the first of them began."""

    count: int
    first_at: datetime
    rejected: int = 0


class History(msgspec.Struct, frozen=True):
    """Rows (see the detector) of the last predictions, 2 bytes each, and where they came from, oldest first."""

    rows: bytes = b""
    marks: tuple[Mark, ...] = ()
    files: tuple[FileRun, ...] = ()

    @property
    def count(self) -> int:
        """How many predictions it holds."""
        return len(self.rows) // 2

    def list_rows(self) -> list[int]:
        """The rows as numbers, oldest first."""
        return list(memoryview(self.rows).cast("H"))

    def append(self, rows: list[int], segment: Segment, start: int) -> History:
        """The history after more predictions: those of ``segment`` from ``start`` on."""
        if not rows:
            return self
        run = FileRun(
            segment.bucket,
            segment.key,
            segment.first_at,
            len(rows),
            segment.first_line + start,
            segment.lines[start : start + len(rows)],
            0 if start else segment.rejected,
        )
        files = (
            (*self.files[:-1], _join(self.files[-1], run)) if _adjoin(self.files, run) else (*self.files, run)
        )
        joined = self.rows + array("H", rows).tobytes()
        return _trim(History(joined, self.marks, files))

    def find_time(self, back: int) -> datetime:
        """When the file began that holds the prediction ``back`` steps before the last (0 is the last)."""
        left = back
        for run in reversed(self.files):
            if left < run.count:
                return run.first_at
            left -= run.count
        for mark in reversed(self.marks):
            if left < mark.count:
                return mark.first_at
            left -= mark.count
        raise IndexError(back)

    def count_rejected(self, back: int) -> int:
        """Unreadable lines in the files of the last ``back`` + 1 predictions."""
        rejected, left = 0, back
        stretches: list[FileRun | Mark] = [*self.marks, *self.files]
        for stretch in reversed(stretches):
            if left < 0:
                break
            rejected += stretch.rejected
            left -= stretch.count
        return rejected

    def find_samples(self, wanted: Container[int], back: int, limit: int) -> tuple[Sample, ...]:
        """The last capture lines with a row among the ``wanted``, of the last ``back`` + 1 predictions."""
        rows = self.list_rows()
        oldest = max(0, len(rows) - 1 - back)
        samples: list[Sample] = []
        end = len(rows)
        for run in reversed(self.files):
            for at in range(end - 1, max(end - run.count, oldest) - 1, -1):
                if rows[at] not in wanted:
                    continue
                sample = Sample(run.bucket, run.key, run.line(at - (end - run.count)))
                # Several rows of one request stand on one line: it is named once.
                if not samples or samples[-1] != sample:
                    samples.append(sample)
                if len(samples) == limit:
                    return tuple(reversed(samples))
            end -= run.count
        return tuple(reversed(samples))


def _adjoin(files: tuple[FileRun, ...], run: FileRun) -> bool:
    return bool(files) and (files[-1].bucket, files[-1].key) == (run.bucket, run.key)


def _join(before: FileRun, after: FileRun) -> FileRun:
    """Two stretches of one file as one."""
    plain = not before.lines and not after.lines and before.first_line + before.count == after.first_line
    lines = () if plain else tuple(each.line(at) for each in (before, after) for at in range(each.count))
    return msgspec.structs.replace(
        before, count=before.count + after.count, lines=lines, rejected=before.rejected + after.rejected
    )


def _trim(history: History) -> History:
    """Forget what is beyond the limits, the oldest first."""
    marks = list(history.marks)
    files = list(history.files)
    while len(files) > FILES_KEPT:
        oldest = files.pop(0)
        marks.append(Mark(oldest.count, oldest.first_at, oldest.rejected))
    if len(marks) > MARKS_KEPT:
        # Two neighbours become one: times of long ago may be coarse.
        marks = [
            Mark(sum(m.count for m in pair), pair[0].first_at, sum(m.rejected for m in pair))
            for pair in (marks[at : at + 2] for at in range(0, len(marks), 2))
        ]
    excess = history.count - PREDICTIONS_KEPT
    drop = excess
    while drop > 0:
        if marks:
            first = marks.pop(0)
            if first.count > drop:
                marks.insert(0, msgspec.structs.replace(first, count=first.count - drop))
            drop -= min(drop, first.count)
            continue
        run = files.pop(0)
        if run.count > drop:
            files.insert(0, _drop_front(run, drop))
        drop -= min(drop, run.count)
    return History(history.rows[2 * max(0, excess) :], tuple(marks), tuple(files))


def _drop_front(run: FileRun, drop: int) -> FileRun:
    return msgspec.structs.replace(
        run, count=run.count - drop, first_line=run.first_line + drop, lines=run.lines[drop:]
    )
