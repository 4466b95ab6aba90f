"""DynamoDB writes that are atomic between threads, and transactions that cost what they touch.

moto copies the whole table for each transaction, and puts the copy back when a condition fails: that takes ever
longer, and forgets what other requests wrote meanwhile. Single conditional writes race as well.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = threading.RLock()
MAX_OPERATIONS = 100
ONE_AT_A_TIME = ("put_item", "update_item", "delete_item", "get_item", "query", "scan")
Reason = tuple[str | None, str | None, dict[str, Any] | None]


def key_of(backend: Any, kind: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The primary key that an operation of a transaction is about."""
    if kind != "Put":
        return dict(operation["Key"])
    table = backend.get_table(operation["TableName"])
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name]
    return {name: operation["Item"][name] for name in names}


def failed_condition(backend: Any, key: dict[str, Any], operation: dict[str, Any]) -> Reason:
    """The cancellation reason of one operation: (None, None, None) where its condition holds."""
    expression = operation.get("ConditionExpression")
    if expression is None:
        return None, None, None
    current = backend.get_item(operation["TableName"], key)
    condition = get_filter_expression(
        expression,
        operation.get("ExpressionAttributeNames"),
        operation.get("ExpressionAttributeValues"),
    )
    if condition.expr(current):
        return None, None, None
    shown = None
    if operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current:
        shown = current.to_json()["Attributes"]
    return "ConditionalCheckFailed", str(ConditionalCheckFailed().message), shown


def apply(backend: Any, kind: str, key: dict[str, Any], operation: dict[str, Any]) -> None:
    """Write one operation, whose condition is known to hold."""
    names = operation.get("ExpressionAttributeNames")
    values = operation.get("ExpressionAttributeValues")
    condition = {
        "condition_expression": operation.get("ConditionExpression"),
        "expression_attribute_names": names,
        "expression_attribute_values": values,
    }
    if kind == "Put":
        backend.put_item(operation["TableName"], operation["Item"], **condition)
    elif kind == "Delete":
        backend.delete_item(operation["TableName"], key, **condition)
    elif kind == "Update":
        backend.update_item(
            operation["TableName"], key, update_expression=operation["UpdateExpression"], **condition
        )


def restore(backend: Any, operations: list[tuple[dict[str, Any], dict[str, Any], Any]]) -> None:
    """Put back what the touched items were before the transaction."""
    for operation, key, before in operations:
        if before is None:
            backend.delete_item(operation["TableName"], key)
        else:
            backend.put_item(operation["TableName"], before)


def transact_write_items(backend: Any, transact_items: list[dict[str, Any]]) -> None:
    """All operations or none: every condition is checked on the state before the transaction.

    Source: DynamoDB API reference, TransactWriteItems.
    """
    if len(transact_items) > MAX_OPERATIONS:
        raise TooManyTransactionsException
    if any(len(item) != 1 for item in transact_items):
        raise TransactWriteSingleOpException
    with LOCK:
        parts = [(kind, operation) for item in transact_items for kind, operation in item.items()]
        keys = [key_of(backend, kind, operation) for kind, operation in parts]
        named = [
            (operation["TableName"], repr(sorted(key.items())))
            for (_, operation), key in zip(parts, keys, strict=True)
        ]
        if len(set(named)) < len(named):
            raise MultipleTransactionsException
        reasons = [
            failed_condition(backend, key, operation) for (_, operation), key in zip(parts, keys, strict=True)
        ]
        if any(code for code, _, _ in reasons):
            raise TransactionCanceledException(reasons)
        done: list[tuple[dict[str, Any], dict[str, Any], Any]] = []
        try:
            for (kind, operation), key in zip(parts, keys, strict=True):
                current = backend.get_item(operation["TableName"], key)
                done.append((operation, key, current.to_json()["Attributes"] if current else None))
                apply(backend, kind, key, operation)
        except BaseException:  # whatever moto raises: an update expression that does not fit, say
            restore(backend, done)
            raise


def one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a call of moto's wait for the others, so that its condition and its write belong together."""

    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        with LOCK:
            return method(*arguments, **named)

    return call


def fill() -> None:
    """Replace transactions, and put single reads and writes behind the same lock."""
    DynamoDBBackend.transact_write_items = transact_write_items
    for name in ONE_AT_A_TIME:
        setattr(DynamoDBBackend, name, one_at_a_time(getattr(DynamoDBBackend, name)))
