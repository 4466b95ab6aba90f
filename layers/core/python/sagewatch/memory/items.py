"""The state table as a dict."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from sagewatch.errors import ConflictError
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write


class MemoryItems:
    """``Items`` in a dict, with DynamoDB's all-or-nothing conditional writes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Item] = {}
        # Sort keys of each partition in order, so that a day of a fleet is searched, not walked through.
        self._order: dict[str, list[bytes]] = {}

    def get(self, pk: str, sk: str) -> Item | None:
        """The row, or None."""
        return self.rows.get((pk, sk))

    def query(self, pk: str, sk_from: str = "", sk_to: str = "\U0010ffff") -> list[Item]:
        """The rows of a partition in order."""
        order = self._order.get(pk, [])
        found = order[bisect_left(order, sk_from.encode()) : bisect_right(order, sk_to.encode())]
        return [self.rows[pk, sk.decode()] for sk in found]

    def write(self, writes: Sequence[Write]) -> None:
        """All or none."""
        for write in writes:
            self._check(write.item.pk, write.item.sk, write.expect)
        for write in writes:
            key = (write.item.pk, write.item.sk)
            if key not in self.rows:
                insort(self._order.setdefault(key[0], []), key[1].encode())
            self.rows[key] = write.item

    def delete(self, pk: str, sk: str, expect: int) -> None:
        """Remove one row."""
        self._check(pk, sk, expect)
        if self.rows.pop((pk, sk), None) is not None:
            order = self._order[pk]
            del order[bisect_left(order, sk.encode())]

    def _check(self, pk: str, sk: str, expect: int) -> None:
        if expect == ANY_VERSION:
            return
        row = self.rows.get((pk, sk))
        if (ABSENT if row is None else row.version) != expect:
            raise ConflictError("item_was_changed")
