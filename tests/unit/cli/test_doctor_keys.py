"""What the doctor says of keys of one's own and of the jobs' image: what nothing else would tell."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.image import check_image
from sagewatch.cli.checks.keys import check_keys

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd"
ROOT = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
SERVICES = ("events.amazonaws.com", "cloudwatch.amazonaws.com")
ACTIONS = ("kms:GenerateDataKey*", "kms:Decrypt")
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:latest"


def let(services=SERVICES, actions=ACTIONS, **condition):
    row = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": list(actions),
        "Resource": "*",
    }
    return {**row, "Condition": condition} if condition else row


def examine(policy, state="Enabled", output="KmsKeyArn"):
    """The lines about a key with that policy, as AWS would answer."""
    kms = boto3.client("kms", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(kms)
    stub.add_response(
        "describe_key", {"KeyMetadata": {"KeyId": "1234abcd", "KeyState": state}}, {"KeyId": KEY}
    )
    body = json.dumps({"Version": "2012-10-17", "Statement": policy})
    stub.add_response("get_key_policy", {"Policy": body}, {"KeyId": KEY, "PolicyName": "default"})
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:operations"
    with stub:
        patient = Patient(lambda _: kms, {output: KEY, "OperationsTopicArn": topic}, "s", None, NOW)
        return list(check_keys(patient))


OURS = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def deny(principal, actions="kms:*", **condition):
    row = {"Effect": "Deny", "Principal": principal, "Action": actions, "Resource": "*"}
    return {**row, "Condition": condition} if condition else row


NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}
ELSEWHERE = {"StringNotEquals": {"kms:CallerAccount": ACCOUNT}}
THEIRS = {"StringEquals": {"aws:SourceAccount": "999999999999"}}


@pytest.mark.parametrize(
    ("denied", "well"),
    [
        (deny("*"), [True, False, False, False]),
        (deny({"AWS": "*"}, "kms:Decrypt"), [True, False, True, True]),
        (deny({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), [True, False, True, True]),
        (deny({"AWS": ACCOUNT}), [True, False, True, True]),
        (deny({"AWS": f"arn:aws-cn:iam::{ACCOUNT}:role/s-TickRole-1X"}), [True, False, True, True]),
        (deny({"AWS": f"arn:aws:iam::{ACCOUNT}:role/other-TickRole-1X"}), [True, True, True, True]),
        (deny({"Service": SERVICES[0]}, ["kms:GenerateDataKey*"]), [True, True, False, True]),
        (deny("*", ["kms:ScheduleKeyDeletion", "kms:DisableKey"]), [True, True, True, True]),
        (deny("*", **NO_TLS), [True, True, True, True]),
        (deny("*", **THEIRS), [True, True, True, True]),
        (deny("*", **OURS), [True, False, False, False]),
        (deny("*", **ELSEWHERE), [True, None, None, None]),
        ({**deny("*"), "Resource": f"{KEY}-another"}, [True, True, True, True]),
        ({"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "Action": "kms:*"}, [True, None, None, None]),
        ({"Effect": "Deny", "Principal": "*", "NotAction": "kms:Describe*"}, [True, False, False, False]),
        ({"Effect": "Deny", "Principal": "*", "NotAction": "kms:*"}, [True, True, True, True]),
    ],
)
def test_what_a_policy_denies_counts_before_what_it_allows(denied, well):
    lines = examine([denied, ROOT, let()])
    assert [line.well for line in lines] == well
    assert all("a statement denies kms:" in line.found and line.fix for line in lines if not line.well)


@pytest.mark.parametrize(
    ("policy", "well"),
    [
        ([ROOT, let()], [True, True, True, True]),
        ([ROOT, let(**OURS)], [True, True, True, True]),
        (ROOT, [True, True, False, False]),
        ([ROOT, let(SERVICES[:1])], [True, True, True, False]),
        ([ROOT, let(actions=["kms:Decrypt"])], [True, True, False, False]),
        ([ROOT, let(actions=["kms:*"])], [True, True, True, True]),
        ([ROOT, let(StringEquals={"aws:SourceAccount": "999999999999"})], [True, True, False, False]),
        ([ROOT, let(ArnLike={"aws:SourceArn": "arn:aws:events:*"})], [True, True, None, None]),
        (
            [{**ROOT, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"}}, let()],
            [True, None, True, True],
        ),
        ([{**let(), "Effect": "Deny"}, ROOT], [True, True, False, False]),
        ([ROOT, {**let(), "Resource": KEY}], [True, True, True, True]),
        ([ROOT, {**let(), "Resource": [f"{KEY}-another"]}], [True, True, False, False]),
    ],
)
def test_a_keys_policy_is_read_as_aws_would(policy, well):
    lines = examine(policy)
    assert [line.well for line in lines] == well
    assert all(line.fix for line in lines if not line.well)


def test_a_key_of_another_account_is_not_looked_at_and_hinders_no_look_at_the_others():
    theirs = KEY.replace(ACCOUNT, "999999999999")
    kms = boto3.client("kms", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(kms)
    stub.add_response(
        "describe_key", {"KeyMetadata": {"KeyId": "1234abcd", "KeyState": "Enabled"}}, {"KeyId": KEY}
    )
    stub.add_response("get_key_policy", {"Policy": json.dumps({"Statement": [ROOT]})})
    outputs = {
        "KmsKeyArn": theirs,
        "CaptureKmsKeyArn": KEY,
        "OperationsTopicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:operations",
    }
    with stub:
        lines = list(check_keys(Patient(lambda _: kms, outputs, "s", None, NOW)))
    assert [line.well for line in lines] == [None, True, True]
    assert lines[0].found == "is of account 999999999999, and cannot be looked at from here"
    stub.assert_no_pending_responses()


def test_the_policy_that_the_guide_gives_is_well():
    """docs/deploy.md shows a statement to copy: it is the one that is asked for."""
    guide = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text()
    statement = json.loads(guide.partition("```json")[2].partition("```")[0].replace("YOUR-ACCOUNT", ACCOUNT))
    assert [line.well for line in examine([ROOT, statement])] == [True] * 4


def test_a_key_that_is_to_be_deleted_is_no_key():
    line, *_ = examine([ROOT, let()], state="PendingDeletion")
    assert (line.well, line.found) == (False, "pendingdeletion")


@pytest.mark.parametrize("output", ["CaptureKmsKeyArn", "JobVolumeKmsKeyArn"])
def test_of_the_other_keys_only_the_roles_matter(output):
    assert [line.well for line in examine([ROOT], output=output)] == [True, True]


def look_at_image(uri, answer=None, error=None):
    ecr = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stub = Stubber(ecr)
    asked = {
        "registryId": ACCOUNT,
        "repositoryName": "sagewatch-monitor",
        "imageIds": [{"imageTag": "latest"}],
    }
    if error:
        stub.add_client_error("describe_images", error, "no", 400, expected_params=asked)
    elif answer:
        stub.add_response("describe_images", {"imageDetails": [answer]}, asked)
    with stub:
        patient = Patient(lambda _, region_name: ecr, {"MonitorImageUri": uri}, "s", None, NOW)
        (line,) = check_image(patient)
    return line


@pytest.mark.parametrize("error", ["RepositoryNotFoundException", "ImageNotFoundException"])
def test_an_image_that_nobody_pushed_is_found_before_the_first_night(error):
    line = look_at_image(IMAGE, error=error)
    assert line.well is False
    assert "make image" in line.fix


def test_an_image_that_is_there_says_since_when():
    line = look_at_image(IMAGE.removesuffix(":latest"), {"imagePushedAt": datetime(2026, 11, 1, tzinfo=UTC)})
    assert (line.well, line.found) == (True, "pushed 2026-11-01")


@pytest.mark.parametrize(
    ("kind", "well"),
    [
        ("application/vnd.docker.distribution.manifest.v2+json", True),
        ("application/vnd.oci.image.index.v1+json", False),
        ("application/vnd.docker.distribution.manifest.list.v2+json", False),
        ("application/vnd.oci.image.manifest.v1+json", None),
    ],
)
def test_an_image_in_a_form_that_sagemaker_refuses_is_told_with_what_to_do(kind, well):
    answer = {"imagePushedAt": datetime(2026, 11, 1, tzinfo=UTC), "imageManifestMediaType": kind}
    line = look_at_image(IMAGE, answer)
    assert line.well is well
    assert ("make image" in line.fix) is (well is not True)
    assert (kind in line.found) is not (well is True)


def test_an_image_elsewhere_is_not_looked_for():
    assert look_at_image("sagewatch-monitor:local").well is None
