"""moto's DynamoDB without what it does over and over: a transaction copies no table, a query sorts one partition.

For a rollback moto copies the whole table once for each write of a transaction, and for each query it sorts the whole
table: beside the rows of a thousand incidents a call takes a second. What comes of the calls is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

Partition = dict[Any, Any]


@contextmanager
def quick_moto() -> Iterator[None]:
    """moto's tables are quick for as long as the ``with`` block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoDBBackend, "transact_write_items", _build_transaction())
        patch.setattr(Table, "query", _build_query())
        patch.setattr(Table, "__deepcopy__", lambda table, _: table, raising=False)
        yield


def _build_transaction() -> Callable[..., None]:
    write = DynamoDBBackend.transact_write_items

    def write_or_put_back(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        """All or none: where one fails, what was in each place before is there again."""
        before = [_find_place(self, one["Put"]) for one in transact_items]
        rows = [partition.get(key) for partition, key in before]
        try:
            write(self, transact_items)
        except Exception:
            for (partition, key), row in zip(before, rows, strict=True):
                partition.pop(key, None)
                if row is not None:
                    partition[key] = row
            raise

    return write_or_put_back


def _find_place(backend: DynamoDBBackend, put: dict[str, Any]) -> tuple[Partition, Any]:
    """The partition that is written to, and the key in it; the product puts whole rows and does nothing else."""
    table = backend.get_table(put["TableName"])
    hash_key, range_key = backend.get_keys_value(table, put["Item"])
    return table.items[hash_key], range_key


def _build_query() -> Callable[..., Any]:
    query = Table.query

    def query_partition(self: Table, hash_key: Any, *arguments: Any, **more: Any) -> Any:
        """Nothing but the partition is there to be looked at."""
        whole = self.items
        self.items = {hash_key: whole.get(hash_key, {})}
        try:
            return query(self, hash_key, *arguments, **more)
        finally:
            self.items = whole

    return query_partition
