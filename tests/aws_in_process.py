"""AWS as moto has it in this process, empty, for as long as the ``with`` block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws
from moto.core.models import MockAWS

from sagewatch.aws import client
from sagewatch.aws.dynamodb import DynamoItems


@contextmanager
def empty_aws(region: str = "eu-west-1") -> Iterator[None]:
    """Nothing from before is there, and nothing stays.

    moto empties its state only for the outermost mock, so a mock that someone left open would hand its
    tables to every later test: that is an error here, and not a riddle there.
    """
    if MockAWS._nested_count:
        raise AssertionError("another moto mock is still open: a fixture wider than its test?")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", region)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        with mock_aws():
            client.build_client.cache_clear()
            yield
            client.build_client.cache_clear()


@contextmanager
def dynamo_items() -> Iterator[DynamoItems]:
    """The state table, empty, in DynamoDB."""
    with empty_aws():
        boto3.client("dynamodb").create_table(
            TableName="state",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield DynamoItems("state")
