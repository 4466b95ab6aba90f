"""Every story is played on both stores: the one in memory, and DynamoDB as moto has it."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from sagewatch.aws import client
from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.memory.items import MemoryItems
from tests.acceptance.language import Story

MONITORS = """
version: 1
endpoints: {signs: {}, churn: {}}
receivers:
  on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


@pytest.fixture(scope="session")
def dynamo():
    """A DynamoDB for the whole run; each story has a table of its own."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        client.build_client.cache_clear()
        yield boto3.client("dynamodb")
        client.build_client.cache_clear()


@pytest.fixture(params=["memory", "dynamodb"])
def items(request):
    """An empty table."""
    if request.param == "memory":
        return MemoryItems()
    dynamo = request.getfixturevalue("dynamo")
    name = f"state-{abs(hash(request.node.nodeid))}"
    dynamo.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return DynamoItems(name, dynamo)


@pytest.fixture
def tell(items):
    """Begin a story: ``tell()``, or with routes of its own."""

    def begin(monitors: str = MONITORS) -> Story:
        return Story(items, monitors)

    return begin
