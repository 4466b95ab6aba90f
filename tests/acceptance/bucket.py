"""The evidence bucket, which fails as it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import BinaryIO

from sagewatch.errors import SagewatchError
from sagewatch.memory.world import MemoryClock, MemoryObjects
from sagewatch.ports import StoredObject


class Bucket(MemoryObjects):
    """Objects in memory that cannot be written, or read, for a while."""

    def __init__(self, clock: MemoryClock) -> None:
        super().__init__()
        self.clock = clock
        self.broken: tuple[datetime, SagewatchError, timedelta, bool] | None = None
        self.asked: list[datetime] = []

    def break_until(self, end: datetime, error: SagewatchError, after: timedelta, *, reads: bool) -> None:
        """Every call fails until then, after so long."""
        self.broken = (end, error, after, reads)

    def _fail(self, *, reading: bool) -> None:
        if self.broken is None or self.clock.now >= self.broken[0]:
            return
        _, error, after, reads = self.broken
        if reads or not reading:
            self.asked.append(self.clock.now)
            self.clock.now += after
            raise error

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        self._fail(reading=True)
        return super().open_object(bucket, key)

    def describe_objects(self, bucket: str, prefix: str) -> Sequence[StoredObject]:
        self._fail(reading=True)
        return super().describe_objects(bucket, prefix)

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self._fail(reading=False)
        super().put_object(bucket, key, body, content_type)

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self._fail(reading=False)
        super().create_object(bucket, key, body, content_type)
