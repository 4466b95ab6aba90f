"""Processing jobs of the local SageMaker run the image's program on the /opt/ml contract."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.sandbox.sagemaker.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagewatch.sandbox.local_aws import LocalAws

DONE = {"Completed", "Failed", "Stopped"}


class Jobs:
    """Starts jobs named after their test."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.name = name
        self.sagemaker = aws.client("sagemaker")
        self.s3 = aws.client("s3")
        self.s3.put_object(Bucket="captures", Key=f"in/{name}/a/1.json", Body=b"{}")
        self.s3.put_object(Bucket="captures", Key=f"in/{name}/2.json", Body=b"{}")

    def start(self, wish: str = "complete", **changes: Any) -> None:
        request: dict[str, Any] = {
            "ProcessingJobName": self.name,
            "RoleArn": "arn:aws:iam::123456789012:role/sagemaker-test",
            "AppSpecification": {
                "ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:latest",
                "ContainerEntrypoint": ["python3", "/opt/program/explain.py"],
                "ContainerArguments": ["--fast"],
            },
            "Environment": {"WISH": wish},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
            "ProcessingInputs": [
                {
                    "InputName": "tensors",
                    "S3Input": {
                        "S3Uri": f"s3://captures/in/{self.name}/",
                        "LocalPath": "/opt/ml/processing/input/tensors",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "result",
                        "S3Output": {
                            "S3Uri": f"s3://captures/out/{self.name}",
                            "LocalPath": "/opt/ml/processing/output",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        }
        self.sagemaker.create_processing_job(**{**request, **changes})

    def describe(self) -> dict[str, Any]:
        return self.sagemaker.describe_processing_job(ProcessingJobName=self.name)

    def end(self) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while (described := self.describe())["ProcessingJobStatus"] not in DONE:
            assert time.monotonic() < deadline, described
            time.sleep(0.1)
        return described

    def outputs(self) -> dict[str, Any]:
        listed = self.s3.list_objects_v2(Bucket="captures", Prefix=f"out/{self.name}/").get("Contents", [])
        return {
            item["Key"].removeprefix(f"out/{self.name}/"): json.loads(
                self.s3.get_object(Bucket="captures", Key=item["Key"])["Body"].read()
            )
            for item in listed
        }


@pytest.fixture
def jobs(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[Jobs]:
    yield Jobs(aws, request.node.name.replace("_", "-")[5:45].strip("-"))
    aws.faults.clear()


def test_a_job_reads_its_inputs_and_config_and_its_outputs_are_uploaded(jobs: Jobs) -> None:
    jobs.start()
    ended = jobs.end()
    assert ended["ProcessingJobStatus"] == "Completed"
    assert ended["ExitMessage"] == "Completed: all is well."
    assert ended["ProcessingEndTime"] >= ended["ProcessingStartTime"]
    report = jobs.outputs()["deep/report.json"]
    assert report["files"] == ["input/tensors/2.json", "input/tensors/a/1.json"]
    assert report["host"] == "algo-1"
    assert report["arguments"] == ["--fast"]
    config = report["config"]
    assert config["Environment"] == {"WISH": "complete"}
    assert config["NetworkConfig"] is None, "absent values are null"
    assert config["ProcessingInputs"][0]["S3Input"]["S3CompressionType"] is None
    assert config["ProcessingJobArn"] == ended["ProcessingJobArn"]


def test_a_job_announces_its_states_with_casing_and_milliseconds_of_events(
    jobs: Jobs, watched: Callable[[str], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    jobs.start()
    jobs.end()
    events = eventually(lambda: e if len(e := watched(f"processing-job/{jobs.name}")) == 2 else None)
    assert [event["detail"]["ProcessingJobStatus"] for event in events] == ["InProgress", "Completed"]
    assert events[1]["detail-type"] == "SageMaker Processing Job State Change"
    assert events[1]["detail"]["ProcessingEndTime"] > 1e12


def test_a_failed_program_gives_its_message_as_the_reason(jobs: Jobs) -> None:
    jobs.start("fail")
    ended = jobs.end()
    assert ended["ProcessingJobStatus"] == "Failed"
    assert ended["FailureReason"] == "AlgorithmError: no tensors, exit code: 1"
    assert ended["ExitMessage"] == "no tensors"


def test_a_job_without_input_objects_fails_before_it_runs(jobs: Jobs) -> None:
    source = {"S3Uri": "s3://captures/nothing/", "LocalPath": "/opt/ml/processing/input"}
    jobs.start(ProcessingInputs=[{"InputName": "none", "S3Input": {**source, "S3DataType": "S3Prefix"}}])
    ended = jobs.end()
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "No S3 objects found" in ended["FailureReason"]


def test_a_hanging_job_is_stopped_by_request(jobs: Jobs, aws: LocalAws) -> None:
    aws.faults.inject(Fault.HANG_JOB)
    jobs.start()
    jobs.sagemaker.stop_processing_job(ProcessingJobName=jobs.name)
    assert jobs.end()["ProcessingJobStatus"] == "Stopped"


def test_a_hanging_job_is_stopped_at_its_limit(jobs: Jobs, aws: LocalAws) -> None:
    aws.faults.inject(Fault.HANG_JOB)
    jobs.start(StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert jobs.end()["ProcessingJobStatus"] == "Stopped"


def test_a_job_fails_or_lacks_outputs_on_demand(jobs: Jobs, aws: LocalAws) -> None:
    aws.faults.inject(Fault.FAIL_JOB)
    jobs.start()
    assert jobs.end()["ProcessingJobStatus"] == "Failed"
    aws.faults.inject(Fault.JOB_WITHOUT_OUTPUTS)
    jobs.name += "-2"
    source = {"S3Uri": "s3://captures/in/", "LocalPath": "/opt/ml/processing/input", "S3DataType": "S3Prefix"}
    jobs.start(ProcessingInputs=[{"InputName": "all", "S3Input": source}])
    assert jobs.end()["ProcessingJobStatus"] == "Completed"
    assert jobs.outputs() == {}


def test_a_job_that_calls_out_fails_and_is_recorded(jobs: Jobs, aws: LocalAws) -> None:
    before = len(aws.outbound_attempts())
    jobs.start("call out")
    assert jobs.end()["ProcessingJobStatus"] == "Failed"
    (attempt,) = aws.outbound_attempts()[before:]
    assert json.loads(attempt)["host"] == "example.com"


def test_an_isolated_job_has_its_files_and_reaches_nobody_not_even_the_platform(
    jobs: Jobs, aws: LocalAws
) -> None:
    """What works here and calls S3 under isolation would fail on AWS."""
    isolated = {"NetworkConfig": {"EnableNetworkIsolation": True}}
    jobs.start("call the platform")
    assert jobs.end()["ProcessingJobStatus"] == "Completed"
    first = jobs.name
    jobs.name += "-2"
    source = {
        "S3Uri": f"s3://captures/in/{first}/", "LocalPath": "/opt/ml/processing/input/tensors",
        "S3DataType": "S3Prefix",
    }  # fmt: skip
    inputs = {"ProcessingInputs": [{"InputName": "tensors", "S3Input": source}]}
    jobs.start(**inputs, **isolated)
    assert jobs.end()["ProcessingJobStatus"] == "Completed"
    assert jobs.outputs()
    jobs.name += "-3"
    jobs.start("call the platform", **inputs, **isolated)
    assert jobs.end()["ProcessingJobStatus"] == "Failed"


def test_a_name_serves_one_job_only(jobs: Jobs) -> None:
    jobs.start()
    with pytest.raises(ClientError, match="must be unique") as caught:
        jobs.start()
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    jobs.end()


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(ClientError) as caught:
        jobs.describe()
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"


def test_a_job_whose_output_bucket_is_missing_fails_and_says_so(jobs: Jobs) -> None:
    output = {
        "S3Uri": "s3://no-such-bucket/x",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    jobs.start(ProcessingOutputConfig={"Outputs": [{"OutputName": "result", "S3Output": output}]})
    ended = jobs.end()
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "no-such-bucket" in ended["FailureReason"]


def test_a_job_whose_paths_leave_the_container_is_refused(jobs: Jobs) -> None:
    source = {
        "S3Uri": "s3://captures/in/",
        "LocalPath": "/opt/ml/processing/../../x",
        "S3DataType": "S3Prefix",
    }
    with pytest.raises(ClientError, match="below /opt/ml/processing only"):
        jobs.start(ProcessingInputs=[{"InputName": "odd", "S3Input": source}])
