"""A job of another account is seen with the role that its spoke made for us, and with no other right."""

from __future__ import annotations

import boto3
import botocore.session
import pytest

from sagewatch.aws.elsewhere import SageMakerElsewhere, name_reader
from sagewatch.aws.sagemaker import SageMakerJobs
from sagewatch.place import Place
from tests.aws_in_process import empty_aws

READER = "sagewatch-prod-123456789012eucentral1"
THERE = Place("210987654321", "eu-north-1")
JOB = {
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
    },
    "AppSpecification": {"ImageUri": "image"},
    "RoleArn": "arn:aws:iam::210987654321:role/monitor",
}


@pytest.fixture
def theirs():
    """SageMaker of the other account, as its own people have it."""
    with empty_aws("eu-central-1"):
        given = boto3.client("sts").assume_role(
            RoleArn=name_reader(THERE, "aws", READER), RoleSessionName="owner"
        )
        keys = given["Credentials"]
        yield boto3.client(
            "sagemaker",
            region_name=THERE.region,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )


def test_a_job_is_described_in_its_own_account_and_region(theirs):
    theirs.create_processing_job(ProcessingJobName="monitor-1", **JOB)
    found = SageMakerElsewhere(READER).describe_job_at(THERE, "monitor-1")
    assert found is not None
    assert found["ProcessingJobArn"] == "arn:aws:sagemaker:eu-north-1:210987654321:processing-job/monitor-1"
    assert SageMakerJobs().describe_processing_job("monitor-1") is None
    other_region = Place(THERE.account, "eu-west-1")
    assert SageMakerElsewhere(READER).describe_job_at(other_region, "monitor-1") is None


def test_a_job_that_is_not_there_is_none(theirs):
    assert SageMakerElsewhere(READER).describe_job_at(THERE, "nobody") is None


def test_the_client_of_a_place_is_made_once(theirs, monkeypatch):
    made = []
    make = botocore.session.Session.create_client
    monkeypatch.setattr(
        botocore.session.Session,
        "create_client",
        lambda self, name, *args, **more: made.append(name) or make(self, name, *args, **more),
    )
    elsewhere = SageMakerElsewhere(READER)
    for _ in range(3):
        elsewhere.describe_job_at(THERE, "nobody")
    # One to assume the role with, one to ask.
    assert made == ["sagemaker", "sts"]
