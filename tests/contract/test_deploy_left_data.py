"""Data that a stack leaves behind: it never goes with a stack, and is found where it is in the next one's way."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from deploy.refused import RefusedError
from deploy.stack import deploy, find_left
from tests.contract.stacks import TABLE, Osls, small, stand

DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


def test_a_bucket_of_which_nothing_is_said_is_told_as_that_and_not_as_ones_own_data(aws):
    def refuse(params, **_):
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    aws.events.register("before-parameter-build.s3.HeadBucket", refuse)
    (told,) = find_left(small(), "123456789012", aws, {})
    assert (
        told
        == "sagewatch-dev-evidence-123456789012-eu-west-1 (another account's, or you may not look: HeadBucket answers 403)"
    )


def test_data_of_a_removed_stack_are_found_before_cloudformation_fails_on_them(aws, package):
    location = {"LocationConstraint": "eu-west-1"}
    name = "sagewatch-dev-evidence-123456789012-eu-west-1"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    assert find_left(small(), "123456789012", aws, {}) == [name]
    osls = Osls()
    with pytest.raises(RefusedError, match=rf"{name}.*import"):
        deploy(package, "dev", aws, osls, dry_run=False, words=[])
    assert osls.commands == []


def test_data_left_by_a_first_deployment_that_failed_are_found_though_its_stack_stands(aws, package):
    """osls makes the stack with its own bucket first, and adds the rest in a second step."""
    stand(aws, {"Resources": {"ServerlessDeploymentBucket": {"Type": "AWS::S3::Bucket", "Properties": {}}}})
    keys = [{**one, "AttributeType": "S"} for one in ({"AttributeName": "pk"},)]
    schema = TABLE["KeySchema"]
    aws.client("dynamodb").create_table(
        TableName=TABLE["TableName"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=keys,
        KeySchema=schema,
    )
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match=r"sagewatch-dev-state.*import"):
            deploy(package, "dev", aws, Osls(), dry_run=dry_run, words=[])


def test_captures_that_were_kept_may_be_the_captures_of_the_next_stack(aws):
    name = "sagewatch-dev-captures-123456789012-eu-west-1"
    location = {"LocationConstraint": "eu-west-1"}
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    bucket = {"Type": "AWS::S3::Bucket", "Condition": "MakeCaptureBucket", "Properties": {"BucketName": name}}
    for given, left in (("", [name]), (name, [])):
        template = {
            "Parameters": {"CaptureBucketName": {"Default": given}},
            "Conditions": {"MakeCaptureBucket": {"Fn::Equals": [{"Ref": "CaptureBucketName"}, ""]}},
            "Resources": {"CaptureBucket": bucket},
        }
        assert find_left(template, "123456789012", aws, {}) == left


def test_a_bucket_that_the_standing_stack_was_given_is_in_the_way_of_one_that_makes_its_own(aws):
    """The standing template has the bucket too, under a condition that was false: it is not the stack's."""
    name = "sagewatch-dev-captures-123456789012-eu-west-1"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bucket = {"Type": "AWS::S3::Bucket", "Condition": "MakeCaptureBucket", "Properties": {"BucketName": name}}

    def build(given):
        return {
            "Parameters": {"CaptureBucketName": {"Default": given}},
            "Conditions": {"MakeCaptureBucket": {"Fn::Equals": [{"Ref": "CaptureBucketName"}, ""]}},
            "Resources": {"CaptureBucket": bucket},
        }

    for before, after, left in ((name, "", [name]), ("", "", []), (name, name, []), ("", name, [])):
        assert find_left(build(after), "123456789012", aws, build(before)) == left


def test_nothing_that_holds_data_goes_with_the_stack_or_with_a_replacement(template):
    for name, row in template["Resources"].items():
        if row["Type"] in DATA and name != "ServerlessDeploymentBucket":
            # Except what a rolled back deployment had just made: it would be in the way of the next.
            assert row["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert row["UpdateReplacePolicy"] == "Retain", name
