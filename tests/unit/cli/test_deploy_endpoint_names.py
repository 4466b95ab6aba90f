"""What deploy-endpoint makes for an endpoint has a name that SageMaker takes, and that no other endpoint's has."""

from __future__ import annotations

import msgspec
import pytest

from sagewatch.cli.deploy_endpoint import name_model
from sagewatch.cli.endpoint_parts import EndpointPlan
from sagewatch.sandbox.sagemaker.protocol import check_request

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
