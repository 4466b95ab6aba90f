"""Objects on moto's S3, which has conditional writes, and in memory: the same."""

from __future__ import annotations

import boto3
import pytest

from sagewatch.aws.s3 import S3Objects
from sagewatch.memory.world import MemoryObjects
from tests.aws_in_process import empty_aws


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_an_object_that_is_there_is_not_created_again(kind):
    with empty_aws():
        boto3.client("s3").create_bucket(
            Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        objects = S3Objects() if kind == "s3" else MemoryObjects()
        for body in (b"first", b"second"):
            objects.create_object("evidence", "page", body, "text/html")
        assert objects.open_object("evidence", "page").read() == b"first"


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_keys_are_listed_behind_another_and_no_more_than_were_asked_for(kind):
    with empty_aws():
        boto3.client("s3").create_bucket(
            Bucket="captures", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        objects = S3Objects() if kind == "s3" else MemoryObjects()
        for key in ("a/1", "a/2", "a/3", "b/1"):
            objects.put_object("captures", key, b"", "text/plain")
        assert objects.list_after("captures", "a/", "a/1", 1) == ["a/2"]
        assert objects.list_after("captures", "a/", "a/1~", 100) == ["a/2", "a/3"]
        assert objects.list_after("captures", "a/", "a/3", 100) == []
        assert objects.list_after("captures", "a/", "", 100) == ["a/1", "a/2", "a/3"]
