"""Endpoints of the local SageMaker behave as AWS's do, as far as a diagnosis can tell."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.sandbox.sagemaker.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagewatch.sandbox.local_aws import LocalAws

KEY = re.compile(r"capture/[^/]+/AllTraffic/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl")


def test_an_endpoint_answers_with_what_its_inference_module_returns(endpoints: Any) -> None:
    endpoints.create(endpoints.config("plain"))
    answer = endpoints.invoke()
    assert answer["class"][:3] == [14, 0.98, "plain"]
    assert answer["variant"] == "AllTraffic"


def test_a_capture_file_has_sagemakers_key_and_lines(endpoints: Any) -> None:
    endpoints.create(endpoints.config("captured"))
    for number in range(7):
        endpoints.invoke(b"\x93NUMPY", InferenceId=f"id-{number}", CustomAttributes="source=test")
    endpoints.invoke(b"1,2\n", "text/csv")
    files = endpoints.captured()
    assert [len(lines) for _, lines in files] == [5, 3]
    assert all(KEY.fullmatch(key) for key, _ in files)
    first = files[0][1][0]
    assert first["captureData"]["endpointInput"] == {
        "observedContentType": "application/x-npy",
        "mode": "INPUT",
        "data": base64.b64encode(b"\x93NUMPY").decode(),
        "encoding": "BASE64",
    }
    output = first["captureData"]["endpointOutput"]
    assert (output["mode"], output["encoding"]) == ("OUTPUT", "JSON")
    assert output["data"].startswith("[[14, 0.98")
    assert first["eventMetadata"]["inferenceId"] == "id-0"
    assert first["eventMetadata"]["customAttributes"] == ["source=test"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["eventMetadata"]["inferenceTime"])
    assert first["eventVersion"] == "0"
    last = files[1][1][-1]["captureData"]["endpointInput"]
    assert (last["data"], last["encoding"]) == ("1,2\n", "CSV")


def test_sampling_captures_about_the_wanted_share(endpoints: Any) -> None:
    endpoints.create(endpoints.config("sampled", sampling=30))
    for _ in range(60):
        endpoints.invoke()
    assert 8 <= sum(len(lines) for _, lines in endpoints.captured()) <= 30


def test_a_bad_request_is_a_model_error_with_the_models_sentence(endpoints: Any) -> None:
    endpoints.create(endpoints.config("strict"))
    with pytest.raises(ClientError) as caught:
        endpoints.invoke(b"?", "video/mp4")
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 415
    assert "video/mp4 is not accepted" in caught.value.response["OriginalMessage"]
    (_, (line,)) = endpoints.captured()[0]
    assert line["captureData"]["endpointOutput"]["observedContentType"] is None


def test_an_update_swaps_the_config_and_announces_each_state(
    endpoints: Any, watched: Callable[[str], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    name = endpoints.create(endpoints.config("plain"))
    hooked = endpoints.config("hooked")
    endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    during = endpoints.describe()
    assert during["EndpointStatus"] == "Updating"
    assert during["EndpointConfigName"].endswith("plain")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == hooked
    assert endpoints.invoke()["class"][2] == "plain", "the old container answers until the new one is healthy"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    after = endpoints.settle()
    assert after["EndpointConfigName"] == hooked
    assert "PendingDeploymentSummary" not in after
    assert endpoints.invoke()["class"][2] == "hooked"
    events = eventually(lambda: e if len(e := watched(f"endpoint/{name}")) == 4 else None)
    states = [(e["detail"]["EndpointStatus"], e["detail"]["EndpointConfigName"]) for e in events]
    plain = during["EndpointConfigName"]
    assert states == [("CREATING", plain), ("IN_SERVICE", plain), ("UPDATING", plain), ("IN_SERVICE", hooked)]
    assert events[0]["source"] == "aws.sagemaker"
    assert events[0]["account"] == "123456789012"
    assert events[0]["detail"]["LastModifiedTime"] > 1e12, "milliseconds"


def test_no_request_fails_while_an_endpoint_is_swapped(endpoints: Any) -> None:
    name = endpoints.create(endpoints.config("plain"))
    endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=endpoints.config("hooked"))
    answers = []
    while endpoints.describe()["EndpointStatus"] == "Updating":
        answers.append(endpoints.invoke()["class"][2])
    answers += [endpoints.invoke()["class"][2] for _ in range(5)]
    assert set(answers) == {"plain", "hooked"}
    assert answers == sorted(answers, reverse=True), "never back to the old container"


def test_a_model_that_never_answers_ping_rolls_back_silently(endpoints: Any) -> None:
    plain = endpoints.config("plain")
    name = endpoints.create(plain)
    endpoints.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=endpoints.config("broken", NEVER_LOADS="yes")
    )
    after = endpoints.settle()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", plain)
    assert "FailureReason" not in after
    assert endpoints.invoke()["class"][2] == "plain"


def test_a_new_endpoint_whose_model_never_loads_fails_and_says_why(endpoints: Any) -> None:
    endpoints.sagemaker.create_endpoint(
        EndpointName=endpoints.prefix, EndpointConfigName=endpoints.config("broken", NEVER_LOADS="yes")
    )
    after = endpoints.settle()
    assert after["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in after["FailureReason"]
    assert "the model is broken" in after["FailureReason"]


@pytest.mark.parametrize("retain", [True, False])
def test_an_update_keeps_weights_and_counts_only_if_told_to(endpoints: Any, retain: bool) -> None:
    name = endpoints.create(endpoints.config("plain"))
    endpoints.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.25, "DesiredInstanceCount": 3}
        ],
    )
    endpoints.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=endpoints.config("hooked"),
        RetainAllVariantProperties=retain,
        DeploymentConfig={"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    )
    (variant,) = endpoints.settle()["ProductionVariants"]
    expected = (0.25, 3) if retain else (1.0, 1)
    assert (variant["DesiredWeight"], variant["DesiredInstanceCount"]) == expected


def test_each_fault_happens_as_often_as_it_was_injected(endpoints: Any, aws: LocalAws) -> None:
    plain = endpoints.config("plain")
    name = endpoints.create(plain)
    hooked = endpoints.config("hooked")
    aws.faults.inject(Fault.THROTTLE, times=3, operation="UpdateEndpoint")
    with pytest.raises(ClientError, match="Rate exceeded"):  # the client itself tries three times
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    aws.faults.inject(Fault.REFUSE_UPDATE)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    aws.faults.inject(Fault.SILENT_ROLLBACK)
    endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    assert endpoints.settle()["EndpointConfigName"] == plain
    endpoints.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hooked)
    assert endpoints.settle()["EndpointConfigName"] == hooked
    assert aws.faults.waiting() == []


def test_events_are_lost_and_doubled_on_demand(
    endpoints: Any,
    aws: LocalAws,
    watched: Callable[[str], list[dict[str, Any]]],
    eventually: Callable[..., Any],
) -> None:
    aws.faults.inject(Fault.LOSE_EVENT)  # CREATING
    aws.faults.inject(Fault.DOUBLE_EVENT)  # IN_SERVICE
    name = endpoints.create(endpoints.config("plain"))
    events = eventually(lambda: e if len(e := watched(f"endpoint/{name}")) == 2 else None)
    assert [event["detail"]["EndpointStatus"] for event in events] == ["IN_SERVICE", "IN_SERVICE"]
    assert events[0]["id"] != events[1]["id"]


def test_a_deleted_endpoint_and_its_parts_are_gone(endpoints: Any, eventually: Callable[..., Any]) -> None:
    config = endpoints.config("plain")
    name = endpoints.create(config)
    endpoints.sagemaker.delete_endpoint(EndpointName=name)

    def gone() -> bool:
        return name not in [e["EndpointName"] for e in endpoints.sagemaker.list_endpoints()["Endpoints"]]

    assert eventually(gone)
    endpoints.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    endpoints.sagemaker.delete_model(ModelName=config)
    for call, arguments in (
        (endpoints.sagemaker.describe_endpoint, {"EndpointName": name}),
        (endpoints.sagemaker.describe_endpoint_config, {"EndpointConfigName": config}),
        (endpoints.sagemaker.describe_model, {"ModelName": config}),
    ):
        with pytest.raises(ClientError, match="Could not find"):
            call(**arguments)
    with pytest.raises(ClientError, match="not found"):
        endpoints.invoke()


def test_several_workers_answer_on_one_port(endpoints: Any) -> None:
    endpoints.create(endpoints.config("two", SAGEMAKER_MODEL_SERVER_WORKERS="2"))
    workers = {endpoints.invoke()["class"][3] for _ in range(60)}
    assert 1 <= len(workers) <= 2


def test_tags_are_kept(endpoints: Any) -> None:
    name = endpoints.create(endpoints.config("plain"))
    arn = endpoints.describe()["EndpointArn"]
    endpoints.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    endpoints.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert endpoints.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert arn.endswith(f"endpoint/{name}")


def test_a_request_that_sagemaker_refuses_is_refused_here(endpoints: Any) -> None:
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        endpoints.sagemaker.create_endpoint(EndpointName="nobody", EndpointConfigName="nothing")
    config = endpoints.config("plain")
    with pytest.raises(ClientError, match="already existing model"):
        endpoints.sagemaker.create_model(ModelName=config, PrimaryContainer={"Image": "i"})


def test_a_model_archive_that_is_missing_or_broken_fails_the_endpoint_with_its_address(
    endpoints: Any, aws: LocalAws
) -> None:
    config = endpoints.config("plain")
    aws.client("s3").put_object(Bucket="captures", Key=endpoints.url.split("/", 3)[3], Body=b"not a tar")
    endpoints.sagemaker.create_endpoint(EndpointName=endpoints.prefix, EndpointConfigName=config)
    after = endpoints.settle()
    assert after["EndpointStatus"] == "Failed"
    assert endpoints.url in after["FailureReason"]


def test_faults_are_injected_over_http_too(endpoints: Any, aws: LocalAws) -> None:
    url = f"{aws.environment['AWS_ENDPOINT_URL_SAGEMAKER']}/_admin/faults"
    wish = json.dumps({"fault": "throttle", "times": 3, "operation": "ListModels"}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, wish)) as answer:
        assert json.load(answer)[0]["operation"] == "ListModels"
    with pytest.raises(ClientError, match="Rate exceeded"):
        endpoints.sagemaker.list_models()
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")) as answer:
        assert json.load(answer) == []
    endpoints.sagemaker.list_models()
