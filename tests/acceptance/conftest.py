"""Every story is played on both stores: the one in memory, and DynamoDB as moto has it."""

from __future__ import annotations

import pytest

from sagewatch.memory.items import MemoryItems
from tests.acceptance.language import Story
from tests.aws_in_process import dynamo_items

MONITORS = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


@pytest.fixture(params=["memory", "dynamodb"])
def items(request):
    """An empty table."""
    if request.param == "memory":
        yield MemoryItems()
        return
    with dynamo_items() as items:
        yield items


@pytest.fixture
def tell(items):
    """Begin a story: ``tell()``, or with routes of its own."""

    def begin(monitors: str = MONITORS) -> Story:
        return Story(items, monitors)

    return begin
