"""Every story is played on both stores: the one in memory, and DynamoDB as moto has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.memory.items import MemoryItems
from tests.acceptance.language import Story
from tests.aws_in_process import dynamo_items
from tests.quick_moto import quick_moto

MONITORS = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


@contextmanager
def memory_items() -> Iterator[MemoryItems]:
    """The table in memory, empty."""
    yield MemoryItems()


@contextmanager
def moto_items() -> Iterator[DynamoItems]:
    """The table in DynamoDB, empty."""
    with quick_moto(), dynamo_items() as items:
        yield items


@pytest.fixture(params=["memory", "dynamodb"])
def new_items(request):
    """Makes an empty table: ``with new_items() as items``."""
    return memory_items if request.param == "memory" else moto_items


@pytest.fixture
def items(new_items):
    """An empty table."""
    with new_items() as items:
        yield items


@pytest.fixture
def tell(items):
    """Begin a story: ``tell()``, or with routes of its own."""

    def begin(monitors: str = MONITORS) -> Story:
        return Story(items, monitors)

    return begin
