"""The hooked configuration is the live one in everything but one model; the deployment is the endpoint's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.validate import ParamValidator

from sagewatch.diagnose.clone import (
    DESCRIBED_ONLY,
    build_hooked_config,
    build_hooked_model,
    build_restored_model,
    find_archive,
)
from sagewatch.diagnose.model import Policy
from sagewatch.diagnose.plan import build_deployment, check_model, plan_diagnosis
from sagewatch.errors import RejectedInputError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012"
MODEL = {
    "ModelName": "champion",
    "ModelArn": f"{ARN}:model/champion",
    "CreationTime": NOW,
    "PrimaryContainer": {
        "Image": "image",
        "ImageConfig": {"RepositoryAccessMode": "Platform"},
        "ModelDataUrl": "s3://models/champion.tar.gz",
        "Environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": "2", "THRESHOLD": "0.5"},
    },
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/model-role",
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    "EnableNetworkIsolation": False,
    "DeploymentRecommendation": {"RecommendationStatus": "COMPLETED", "RealTimeInferenceRecommendations": []},
}
CONFIG = {
    "EndpointConfigName": "signs-7",
    "EndpointConfigArn": f"{ARN}:endpoint-config/signs-7",
    "CreationTime": NOW,
    "KmsKeyId": "alias/endpoint",
    "ProductionVariants": [
        {
            "VariantName": "champion",
            "ModelName": "champion",
            "InitialInstanceCount": 4,
            "InstanceType": "ml.g5.xlarge",
            "InitialVariantWeight": 9.0,
            "VolumeSizeInGB": 64,
            "ModelDataDownloadTimeoutInSeconds": 900,
            "ContainerStartupHealthCheckTimeoutInSeconds": 300,
            "EnableSSMAccess": True,
            "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 2, "MaxInstanceCount": 8},
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
        },
        {
            "VariantName": "challenger",
            "ModelName": "challenger",
            "InitialInstanceCount": 2,
            "InstanceType": "ml.g5.xlarge",
            "InitialVariantWeight": 1.0,
        },
    ],
    "ShadowProductionVariants": [
        {
            "VariantName": "shadow",
            "ModelName": "next",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.g5.xlarge",
        }
    ],
    "DataCaptureConfig": {
        "EnableCapture": True,
        "InitialSamplingPercentage": 30,
        "DestinationS3Uri": "s3://captures/capture",
        "KmsKeyId": "alias/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "JsonContentTypes": ["application/json"],
            "CsvContentTypes": ["text/csv"],
        },
    },
    "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://answers/async"}},
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/endpoint-role",
    "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
}
LIVE = {
    "EndpointName": "signs",
    "EndpointConfigName": "signs-7",
    "ProductionVariants": [
        {"VariantName": "champion", "CurrentInstanceCount": 6},
        {"VariantName": "challenger", "CurrentInstanceCount": 3},
    ],
}
ROLLING = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
        "WaitIntervalInSeconds": 60,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "signs-5xx"}]},
}
TAGS = {"team": "perception", "aws:cloudformation:stack-name": "signs"}
POLICY = Policy(requests=40, every=3)


def plan(variant="champion", endpoint=LIVE, policy=POLICY):
    return plan_diagnosis("i1", variant, "14", endpoint, CONFIG, MODEL, policy, NOW)


def refuses(operation, request):
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    return ParamValidator().validate(request, model.input_shape).generate_report()


def test_the_clone_differs_in_the_model_of_one_variant_and_in_nothing_else():
    clone = build_hooked_config(CONFIG, TAGS, plan())
    expected = {key: value for key, value in CONFIG.items() if key not in DESCRIBED_ONLY}
    expected["EndpointConfigName"] = "sagewatch-hooked-i1"
    expected["ProductionVariants"] = [
        {**CONFIG["ProductionVariants"][0], "ModelName": "sagewatch-hooked-i1"},
        CONFIG["ProductionVariants"][1],
    ]
    expected["Tags"] = [{"Key": "team", "Value": "perception"}, {"Key": "sagewatch:incident", "Value": "i1"}]
    assert clone == expected
    assert refuses("CreateEndpointConfig", clone) == ""


def test_of_fifty_tags_one_makes_room_for_ours():
    """SageMaker takes 50: with 51 it would refuse the clone, and every diagnosis of that endpoint."""
    tags = {f"tag-{n}": str(n) for n in range(50)} | {"aws:cloudformation:stack-name": "theirs"}
    built = build_hooked_config(CONFIG, tags, plan())["Tags"]
    assert len(built) == 50
    assert built[-1] == {"Key": "sagewatch:incident", "Value": "i1"}
    assert not [tag for tag in built if tag["Key"].startswith("aws:")]
    again = build_hooked_config(CONFIG, {tag["Key"]: tag["Value"] for tag in built}, plan())["Tags"]
    assert again == built


def test_a_container_whose_variables_leave_no_room_for_the_hooks_is_refused_before_anything_is_made():
    model = {
        **MODEL,
        "PrimaryContainer": {**MODEL["PrimaryContainer"], "Environment": {f"V{n}": "" for n in range(97)}},
    }
    with pytest.raises(RejectedInputError, match="has 97 environment variables: there is no room"):
        check_model(model, hooks_live=True)
    check_model(model, hooks_live=False)
    model["PrimaryContainer"]["Environment"].popitem()
    check_model(model, hooks_live=True)


def test_of_several_variants_the_one_of_the_finding_is_hooked():
    clone = build_hooked_config(CONFIG, {}, plan("challenger"))
    assert [v["ModelName"] for v in clone["ProductionVariants"]] == ["champion", "sagewatch-hooked-i1"]


def test_variant_names_and_instance_types_stay_so_that_autoscaling_and_retained_counts_do():
    clone = build_hooked_config(CONFIG, {}, plan())
    for before, after in zip(CONFIG["ProductionVariants"], clone["ProductionVariants"], strict=True):
        assert (before["VariantName"], before["InstanceType"]) == (
            after["VariantName"],
            after["InstanceType"],
        )


def test_the_hooked_model_is_the_live_one_and_four_environment_variables():
    twin = build_hooked_model(MODEL, TAGS, plan(), "evidence", POLICY)
    added = twin["PrimaryContainer"]["Environment"].items() - MODEL["PrimaryContainer"]["Environment"].items()
    assert dict(added) == {
        "TENSORS_OUTPUT": "s3://evidence/tensors/i1",
        "TENSORS_EVERY": "3",
        "TENSORS_MAX_REQUESTS": "40",
        "TENSORS_MAX_BYTES": "500000000",
    }
    assert {k: v for k, v in twin["PrimaryContainer"].items() if k != "Environment"} == {
        k: v for k, v in MODEL["PrimaryContainer"].items() if k != "Environment"
    }
    assert twin["VpcConfig"] == MODEL["VpcConfig"]
    assert refuses("CreateModel", twin) == ""


ARCHIVE = "s3://models/champion.tar.gz"
PLAIN = {"S3Uri": ARCHIVE, "S3DataType": "S3Object", "CompressionType": "Gzip"}
UNPACKED = {"S3Uri": "s3://models/champion/", "S3DataType": "S3Prefix", "CompressionType": "None"}


@pytest.mark.parametrize(
    ("source", "kept", "archive"),
    [
        (PLAIN, "ModelDataUrl", ARCHIVE),
        ({**PLAIN, "ModelAccessConfig": {"AcceptEula": True}}, "ModelDataSource", ARCHIVE),
        (UNPACKED, "ModelDataSource", ""),
    ],
    ids=["the-same", "says-more", "unpacked"],
)
def test_data_that_sagemaker_describes_by_address_and_by_source_is_named_once_in_every_copy(
    source, kept, archive
):
    described = {"ModelDataUrl": source["S3Uri"], "ModelDataSource": {"S3DataSource": source}}
    container = {**MODEL["PrimaryContainer"], **described}
    twin = build_hooked_model({**MODEL, "PrimaryContainer": container}, TAGS, plan(), "evidence", POLICY)
    back = build_restored_model(
        {**twin, "PrimaryContainer": {**twin["PrimaryContainer"], **described}}, {}, plan()
    )
    for made in (twin, back):
        assert {"ModelDataUrl", "ModelDataSource"} & made["PrimaryContainer"].keys() == {kept}
        assert made["PrimaryContainer"][kept] == described[kept]
        assert refuses("CreateModel", made) == ""
    assert find_archive(container) == archive


def test_a_model_that_names_its_archive_by_source_alone_can_be_replayed():
    container = {"Image": "image", "ModelDataSource": {"S3DataSource": PLAIN}}
    check_model({"ModelName": "m", "PrimaryContainer": container}, hooks_live=False)
    container["ModelDataSource"]["S3DataSource"] = UNPACKED
    with pytest.raises(RejectedInputError, match=r"has no model\.tar\.gz"):
        check_model({"ModelName": "m", "PrimaryContainer": container}, hooks_live=False)


def test_a_variant_that_is_scaled_in_to_zero_counts_as_it_is():
    idle = {**LIVE, "ProductionVariants": [{"VariantName": "champion", "CurrentInstanceCount": 0}]}
    made = plan(endpoint=idle)
    assert made.fleet == {"champion": 0, "challenger": 2}
    assert build_deployment(made, Policy(), carefully=True, hooks=True) == {}


@pytest.mark.parametrize(
    ("described", "created"),
    [("DescribeEndpointConfig", "CreateEndpointConfig"), ("DescribeModel", "CreateModel")],
)
def test_every_field_that_sagemaker_describes_can_be_cloned_or_is_known_not_to_be(described, created):
    service = botocore.session.get_session().get_service_model("sagemaker")
    answers = set(service.operation_model(described).output_shape.members)
    assert answers - set(service.operation_model(created).input_shape.members) <= DESCRIBED_ONLY


@pytest.mark.parametrize(
    ("endpoint", "policy", "expected"),
    [
        ({**LIVE, "ProductionVariants": [{"VariantName": "champion", "CurrentInstanceCount": 6},
                                         {"VariantName": "challenger", "CurrentInstanceCount": 1}]}, Policy(), {}),
        ({**LIVE, "LastDeploymentConfig": ROLLING}, Policy(), ROLLING),
        (LIVE, Policy(canary=False), {}),
    ],
)  # fmt: skip
def test_the_swap_is_deployed_as_the_endpoint_always_is(endpoint, policy, expected):
    assert build_deployment(plan(endpoint=endpoint), policy, carefully=True, hooks=True) == expected


def test_one_instance_goes_first_where_there_are_several():
    built = build_deployment(plan(), Policy(swap_within=timedelta(minutes=5)), carefully=True, hooks=True)
    routing = built["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["CanarySize"]) == ("CANARY", {"Type": "INSTANCE_COUNT", "Value": 1})
    assert built["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] == 600, "AWS takes no less"


def test_alarms_of_monitors_yml_join_the_endpoints_own():
    policy = Policy(rollback_alarms=("latency", "signs-5xx"))
    diagnosis = plan(endpoint={**LIVE, "LastDeploymentConfig": ROLLING})
    built = build_deployment(diagnosis, policy, carefully=True, hooks=True)
    assert [a["AlarmName"] for a in built["AutoRollbackConfiguration"]["Alarms"]] == ["signs-5xx", "latency"]
    alone = build_deployment(
        plan(), Policy(canary=False, rollback_alarms=("latency",)), carefully=True, hooks=True
    )
    request = {"EndpointName": "signs", "EndpointConfigName": "x", "DeploymentConfig": alone}
    assert refuses("UpdateEndpoint", request) == ""


def test_the_way_back_takes_no_alarm_of_ours_and_at_last_none_at_all():
    diagnosis = plan(endpoint={**LIVE, "LastDeploymentConfig": ROLLING})
    policy = Policy(rollback_alarms=("latency",))
    assert build_deployment(diagnosis, policy, carefully=True, hooks=False) == ROLLING
    assert build_deployment(diagnosis, policy, carefully=False, hooks=False) == {}
