"""Rights, regions and the network around `make deploy`: each lack is a sentence with the way on."""

from __future__ import annotations

import sys

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from deploy.refused import RefusedError, tell_aws
from deploy.stack import deploy, main
from deploy.surroundings import find_missing, tell_region
from tests.contract.stacks import REFUSED, Osls, stand, swapping


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("cloudformation", "GetTemplate"),
        ("dynamodb", "DescribeTable"),
        ("sagemaker", "ListEndpointConfigs"),
        ("ecr", "DescribeImages"),
    ],
)
def test_a_right_that_the_deployer_lacks_is_a_sentence_with_the_call(
    service, operation, aws, package, monkeypatch, capsys
):
    """Never a traceback, and never data said to be in the way because nobody may look."""
    if service == "sagemaker":
        stand(aws, swapping("signs"))
    refused = ClientError({"Error": {"Code": "AccessDeniedException", "Message": REFUSED}}, operation)

    def refuse(params, **_):
        raise refused

    aws.events.register(f"before-parameter-build.{service}.{operation}", refuse)
    monkeypatch.setattr(sys, "argv", ["stack", "deploy", "--region", "eu-west-1", "--dry-run"])
    monkeypatch.setattr("deploy.stack.boto3.session.Session", lambda region_name: aws)
    monkeypatch.setattr("deploy.stack.package_stack", lambda *_: package)
    if service == "ecr":
        main()  # what cannot be seen of the image is said, and hinders nobody
        told = capsys.readouterr().out
    else:
        with pytest.raises(SystemExit) as left:
            main()
        told = str(left.value)
    assert f"AWS refused {operation}: {REFUSED}. Who runs this needs that right" in told


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            "with an explicit deny in a service control policy",
            "ask whoever keeps its service control policies",
        ),
        (
            "because no permissions boundary allows the s3:ListBucket action",
            "The boundary of who runs this leaves it out",
        ),
        ("because no identity-based policy allows it", "Who runs this needs that right"),
    ],
)
def test_a_refusal_names_who_can_lift_it(why, told):
    """Behind an organization's policy no right of one's own helps."""
    said = {
        "Error": {
            "Code": "AccessDenied",
            "Message": f"User: ada is not authorized to perform: s3:ListBucket {why}",
        }
    }
    assert told in tell_aws(ClientError(said, "ListObjectsV2"))


def test_a_region_that_is_misspelt_is_told_with_the_one_that_may_be_meant():
    session = boto3.session.Session(region_name="eu-west-11")
    told = tell_region(session, EndpointConnectionError(endpoint_url="https://sts.eu-west-11.amazonaws.com/"))
    assert "Nobody answers in eu-west-11" in told
    assert "Did you mean eu-west-1?" in told


@pytest.mark.parametrize("region", ["eu-west-1", "eu-west-11"])
def test_a_dry_run_without_a_network_says_what_it_could_not_compare_with_and_a_deployment_is_refused(
    package, region
):
    class Session:
        region_name = region
        get_available_partitions = boto3.session.Session().get_available_partitions
        get_available_regions = boto3.session.Session().get_available_regions

        def client(self, _):
            raise EndpointConnectionError(endpoint_url=f"https://sts.{region}.amazonaws.com/")

    told = deploy(package, "dev", Session(), Osls(), dry_run=True, words=[])
    assert f"No account to compare with (Nobody answers in {region}" in told
    assert "The stack has 3 resources." in told
    with pytest.raises(RefusedError, match=rf"^Nobody answers in {region}"):
        deploy(package, "dev", Session(), Osls(), dry_run=False, words=[])


def test_a_service_that_a_region_lacks_is_told_and_a_region_that_nobody_knows_is_not_judged():
    class Session:
        def get_available_partitions(self):
            return ["aws"]

        def get_available_regions(self, service, partition):
            return ["eu-west-1"] if service == "scheduler" else ["eu-west-1", "xx-west-1"]

    assert find_missing("xx-west-1", Session()) == ["scheduler"]
    assert find_missing("eu-west-1", Session()) == find_missing("zz-west-1", Session()) == []
    assert find_missing("eu-west-1", boto3.session.Session()) == []
