"""``Items`` in DynamoDB. Source: DynamoDB API reference, TransactWriteItems and Query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sagewatch.aws.client import build_client, sorting_errors
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write

_BATCH = 100  # TransactWriteItems takes no more


class DynamoItems:
    """The state table.

    Parameters
    ----------
    table
        Its name; keys ``pk`` and ``sk``, TTL attribute ``expires_at``.
    client
        A boto3 client; by default the process's own.
    """

    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._client = client or build_client("dynamodb")

    def get(self, pk: str, sk: str) -> Item | None:
        """The row, or None; consistent."""
        with sorting_errors():
            answer = self._client.get_item(
                TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        return _read_item(answer["Item"]) if "Item" in answer else None

    def query(self, pk: str, sk_from: str = "", sk_to: str = "\U0010ffff") -> list[Item]:
        """The rows of a partition in order, all pages; consistent."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
            # An empty string is no valid key value; a space sorts before every key of ours.
            "ExpressionAttributeValues": {
                ":pk": {"S": pk},
                ":low": {"S": sk_from or " "},
                ":high": {"S": sk_to},
            },
        }
        rows: list[Item] = []
        while True:
            with sorting_errors():
                page = self._client.query(**request)
            rows += [_read_item(row) for row in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return rows
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def write(self, writes: Sequence[Write]) -> None:
        """All or none; a single write goes without a transaction, at half the price."""
        if len(writes) > _BATCH:
            raise ValueError(f"one transaction takes {_BATCH} writes, not {len(writes)}")
        with sorting_errors():
            if len(writes) == 1:
                self._client.put_item(**self._build_put(writes[0]))
            elif writes:
                self._client.transact_write_items(
                    TransactItems=[{"Put": self._build_put(write)} for write in writes]
                )

    def delete(self, pk: str, sk: str, expect: int) -> None:
        """Remove one row."""
        request: dict[str, Any] = {"TableName": self._table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}
        with sorting_errors():
            self._client.delete_item(**request, **_build_condition(expect))

    def _build_put(self, write: Write) -> dict[str, Any]:
        item = write.item
        row: dict[str, Any] = {
            "pk": {"S": item.pk},
            "sk": {"S": item.sk},
            "version": {"N": str(item.version)},
            **_build_body(item.body),
        }
        if item.expires_at is not None:
            row["expires_at"] = {"N": str(item.expires_at)}
        return {"TableName": self._table, "Item": row, **_build_condition(write.expect)}


def _build_condition(expect: int) -> dict[str, Any]:
    if expect == ANY_VERSION:
        return {}
    if expect == ABSENT:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "version = :expected",
        "ExpressionAttributeValues": {":expected": {"N": str(expect)}},
    }


def _build_body(body: bytes) -> dict[str, Any]:
    # JSON is stored as text, so that a person can read it in the console; segments are bytes.
    return {"body": {"S": body.decode()}} if body[:1] == b"{" else {"body": {"B": body}}


def _read_item(row: dict[str, Any]) -> Item:
    body = row["body"]
    expires = row.get("expires_at")
    return Item(
        row["pk"]["S"],
        row["sk"]["S"],
        body["S"].encode() if "S" in body else bytes(body["B"]),
        int(row["version"]["N"]),
        int(expires["N"]) if expires else None,
    )
