"""The state table as a dict."""

from __future__ import annotations

from collections.abc import Sequence

from sagewatch.errors import ConflictError
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write


class MemoryItems:
    """``Items`` in a dict, with DynamoDB's all-or-nothing conditional writes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Item] = {}

    def get(self, pk: str, sk: str) -> Item | None:
        """The row, or None."""
        return self.rows.get((pk, sk))

    def query(self, pk: str, sk_from: str = "", sk_to: str = "\U0010ffff") -> list[Item]:
        """The rows of a partition in order."""
        found = [row for row in self.rows.values() if row.pk == pk and sk_from <= row.sk <= sk_to]
        return sorted(found, key=lambda row: row.sk.encode())

    def write(self, writes: Sequence[Write]) -> None:
        """All or none."""
        for write in writes:
            self._check(write.item.pk, write.item.sk, write.expect)
        for write in writes:
            self.rows[write.item.pk, write.item.sk] = write.item

    def delete(self, pk: str, sk: str, expect: int) -> None:
        """Remove one row."""
        self._check(pk, sk, expect)
        self.rows.pop((pk, sk), None)

    def _check(self, pk: str, sk: str, expect: int) -> None:
        if expect == ANY_VERSION:
            return
        row = self.rows.get((pk, sk))
        if (ABSENT if row is None else row.version) != expect:
            raise ConflictError("item_was_changed")
