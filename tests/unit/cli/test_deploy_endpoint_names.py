"""What deploy-endpoint makes has a name that SageMaker takes and no other endpoint's has, and teardown finds it by that."""

from __future__ import annotations

import boto3
import msgspec
import pytest

from sagewatch.cli.deploy_endpoint import deploy, name_model
from sagewatch.cli.endpoint_parts import EndpointPlan
from sagewatch.cli.ownership import OWNED_TAG
from sagewatch.cli.teardown import remove_endpoint
from sagewatch.errors import ConfigurationError
from sagewatch.sandbox.sagemaker.protocol import check_request, operation_model
from tests.aws_in_process import empty_aws

PLAN = EndpointPlan(
    name="signs", bucket="b", capture_uri="s3://b/capture", sampling_percentage=100, role_arn="r", image_uri="i",
    instance_type="ml.m5.large", instance_count=1, workers=1,
)  # fmt: skip


@pytest.mark.parametrize("length", [1, 54, 55, 63])
def test_the_model_of_a_long_endpoint_has_a_name_that_sagemaker_takes(length):
    name = name_model(msgspec.structs.replace(PLAN, name="a" * length), b"archive")
    check_request("CreateModel", {"ModelName": name})
    assert name.startswith("a" * min(length, 54) + "-")


def test_two_endpoints_whose_names_are_alike_at_the_beginning_have_models_of_their_own():
    one, other = (name_model(msgspec.structs.replace(PLAN, name="a" * 62 + end), b"archive") for end in "xy")
    assert one != other


@pytest.mark.parametrize(
    "name", ["a" * 64, "a" + "-" * 62 + "b", "-signs", "signs-", "my_signs", "signs.x", ""]
)
def test_a_name_that_sagemaker_refuses_is_refused_before_anything_is_put_or_removed(name):
    """There is no session in this test: whoever asks AWS first fails."""
    with pytest.raises(ConfigurationError, match=r"NAME.*is no name of an endpoint: 1 to 63"):
        deploy(msgspec.structs.replace(PLAN, name=name), b"archive", None)
    with pytest.raises(ConfigurationError, match=r"NAME.*is no name of an endpoint: 1 to 63"):
        remove_endpoint(name, None, {})


@pytest.mark.parametrize("length", [54, 55, 63])
def test_what_was_made_for_a_long_name_is_removed_and_nothing_of_one_that_begins_alike(length):
    mine, theirs = "a" * length, "a" * 54 + "b"
    with empty_aws():
        session = boto3.session.Session(region_name="eu-west-1")
        sagemaker, asked = session.client("sagemaker"), []
        session.events.register(
            "before-parameter-build.sagemaker",
            lambda params, **_: asked.append(params.get("NameContains")),
        )
        made = {}
        for name in (mine, theirs):
            made[name] = model = name_model(msgspec.structs.replace(PLAN, name=name), b"archive")
            tags = [{"Key": OWNED_TAG, "Value": name}]
            variant = {
                "VariantName": "v",
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
            sagemaker.create_model(
                ModelName=model,
                PrimaryContainer={"Image": "i"},
                Tags=tags,
                ExecutionRoleArn="arn:aws:iam::123456789012:role/r",
            )
            sagemaker.create_endpoint_config(
                EndpointConfigName=model, ProductionVariants=[variant], Tags=tags
            )
        model = made[mine]
        assert remove_endpoint(mine, session, {}) == [f"configuration {model}", f"model {model}"]
        assert [one["ModelName"] for one in sagemaker.list_models()["Models"]] == [made[theirs]]
        assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
    longest = operation_model("ListModels").input_shape.members["NameContains"].metadata["max"]
    searched = [one for one in asked if one]
    assert searched
    assert max(map(len, searched)) <= longest
