"""What reading a data set gave: its rows in profile, and what could not be read, counted and located."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from sagewatch.quality.profile import Batch, Tables

# So many rejected lines are named one by one; all of them are counted.
REJECTED_NAMED: Final = 1000


class RejectedLine(msgspec.Struct, frozen=True, order=True):
    """A line that holds no row: the file, the line from 1, and a reason code."""

    where: str
    line: int
    reason: str


class Counts(msgspec.Struct):
    """How much was read.

    Attributes
    ----------
    lines
        Lines, or records of a format without lines; blank ones included.
    rejected
        Lines that could not be read.
    error_responses
        Captures whose answer has a null content type: the model refused.
    outside_window
        Records before or after the window of the analysis.
    dropped
        Records that the preprocessor left out.
    """

    lines: int = 0
    rejected: int = 0
    error_responses: int = 0
    outside_window: int = 0
    dropped: int = 0

    def merge(self, other: Counts) -> None:
        """Add up."""
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))


class Readout:
    """Rows, counts and rejected lines of some stretch of a data set; readouts merge."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.counts = Counts()
        self.reasons: Counter[str] = Counter()
        self.rejected: list[RejectedLine] = []

    def add(self, batch: Batch, where: str, line: int) -> None:
        """Take in rows; those that make no table are rejected, named by the first one's place."""
        if batch.rows and not self.tables.add(batch):
            self.reject(where, line, "too_many_shapes", batch.rows)

    def reject(self, where: str, line: int, reason: str, count: int = 1) -> None:
        """Count what could not be read."""
        self.counts.rejected += count
        self.reasons[reason] += count
        if len(self.rejected) < REJECTED_NAMED:
            self.rejected.append(RejectedLine(where, line, reason))

    def merge(self, other: Readout) -> None:
        """Take in what another stretch gave."""
        self.tables.merge(other.tables)
        self.counts.merge(other.counts)
        self.reasons.update(other.reasons)
        self.rejected = [*self.rejected, *other.rejected][:REJECTED_NAMED]

    def encode(self) -> bytes:
        """The readout for another process or machine."""
        return msgspec.msgpack.encode(
            _State(self.tables.encode(), self.counts, dict(self.reasons), self.rejected)
        )

    @classmethod
    def decode(cls, content: bytes, where: str = "partial profile") -> Readout:
        """The readout that ``encode`` wrote.

        Raises
        ------
        RejectedInputError
            When it is none.
        """
        readout = cls()
        try:
            state = msgspec.msgpack.decode(content, type=_State)
        except ValueError:
            state = _State(b"", Counts(), {}, [])
        readout.tables = Tables.decode(state.tables, where)
        readout.counts, readout.rejected = state.counts, state.rejected
        readout.reasons = Counter(state.reasons)
        return readout


class _State(msgspec.Struct):
    tables: bytes
    counts: Counts
    reasons: dict[str, int]
    rejected: list[RejectedLine]
