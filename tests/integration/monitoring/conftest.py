"""One local AWS with an endpoint on tabular data, and a stand-in for the analyzer: it counts, and finds what it is told.

The stand-in keeps to the container contract and computes nothing: these tests are about who starts it, with what.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sagewatch.cli.model_archive import build_model_archive
from sagewatch.sandbox.demo import tabular_endpoint
from sagewatch.sandbox.demo.tabular_data import draw_clean, draw_customers, format_rows
from sagewatch.sandbox.demo.tabular_model import fit_model
from sagewatch.sandbox.local_aws import LocalAws
from sagewatch.sandbox.sagemaker.service import SageMakerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::123456789012:role/sagemaker-test"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:latest"
BUCKET = "monitored"
ENDPOINT = "churn"
SPEED_UP = 2400.0  # an hour lasts 1.5 seconds
REAL = "REAL_ANALYZER"
"""With this in its environment, the stand-in steps aside for the image's own program."""
ANALYZER = (
    f"""
import os, runpy, sys
if os.environ.get("{REAL}"):
    runpy.run_path("{Path(__file__).parents[3] / "monitor_image" / "analyze.py"}", run_name="__main__")
    sys.exit()
"""
    """
import json, pathlib
root, env = pathlib.Path(os.environ["CONTAINER_ROOT"]), os.environ
inside = lambda path: root / path.lstrip("/")
source, output = inside(env["dataset_source"]), inside(env["output_path"])
lines = [line for file in source.rglob("*") if file.is_file() for line in file.read_text().splitlines()]
start, end = env.get("start_time", ""), env.get("end_time", "~")
records = [json.loads(line) for line in lines] if "sagemakerCaptureJson" in env["dataset_format"] else lines
seen = [r for r in records if not isinstance(r, dict) or start <= r["eventMetadata"]["inferenceTime"] < end]
monitoring = "baseline_constraints" in env
if monitoring:
    assert inside(env["baseline_constraints"]).is_file() and inside(env["baseline_statistics"]).is_file()
(output / "statistics.json").write_text(json.dumps(
    {"version": 0.0, "dataset": {"item_count": len(seen)}, "features": []}))
(output / "constraints.json").write_text(json.dumps({"version": 0.0, "features": []}))
found = [{"feature_name": f, "constraint_check_type": "data_type_check", "description": "told"}
         for f in env.get("FIND", "").split(",") if f and monitoring]
if monitoring:
    (output / "constraint_violations.json").write_text(json.dumps({"violations": found}))
said = f"CompletedWithViolations: Job completed successfully with {len(found)} violations." if found else \\
    "Completed: Job completed successfully with no violations."
(root / "opt/ml/output/message").write_text(said)
"""
)


OTHER_ANALYZERS = """
import json, os, pathlib
root, env = pathlib.Path(os.environ["CONTAINER_ROOT"]), os.environ
config = json.loads((root / "opt/ml/config/processingjobconfig.json").read_text())
inputs = {one["InputName"]: one["S3Input"]["LocalPath"] for one in config["ProcessingInputs"]}
data = root / inputs["endpoint_input_1"].lstrip("/")
records = [json.loads(line) for file in data.rglob("*") if file.is_file() for line in file.read_text().splitlines()]
settings = root / inputs["analysis_config"].lstrip("/") / "analysis_config.json" if "analysis_config" in inputs else None
found = [{"metric_name": "seen", "constraint_check_type": "LessThanThreshold", "description": json.dumps(
    {"records": len(records), "labelled": sum("groundTruthData" in one for one in records),
     "settings": json.loads(settings.read_text()) if settings else None})}]
output = root / config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"].lstrip("/")
(output / "constraint_violations.json").write_text(json.dumps({"violations": found}))
(root / "opt/ml/output/message").write_text("CompletedWithViolations: Job completed successfully with 1 violations.")
"""
"""Stands in for AWS's other analyzers: it tells what it was given."""


class Monitored:
    """The endpoint, its bucket and its traffic."""

    def __init__(self, aws: LocalAws, model: bytes, weights: str) -> None:
        self.weights = weights
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        self.s3 = aws.client("s3")
        self._model = model
        self._rng = np.random.default_rng(7)

    def deploy(self, name: str) -> None:
        """An endpoint that captures."""
        url = f"s3://{BUCKET}/models/{name}/model.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=url.split("/", 3)[3], Body=self._model)
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "pytorch-inference", "ModelDataUrl": url}
        )  # fmt: skip
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": name,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                }
            ],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://{BUCKET}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
            },
        )
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        until(lambda: self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")

    def ask(self, requests: int, draw: Any = draw_clean) -> None:
        """So many requests of two rows."""
        runtime = self.aws.client("sagemaker-runtime")
        for _ in range(requests):
            body = format_rows(draw(2, self._rng))
            answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=body, ContentType="text/csv")
            assert len(answer["Body"].read().split()) == 2

    def read_json(self, uri: str) -> Any:
        """A JSON object of S3."""
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def end(self, job: str) -> dict[str, Any]:
        """A job, once it has ended."""
        return until(
            lambda: (
                d
                if (d := self.sagemaker.describe_processing_job(ProcessingJobName=job))["ProcessingJobStatus"]
                != "InProgress"
                else None
            )
        )

    def executions(self, schedule: str) -> list[dict[str, Any]]:
        """What became of a schedule's runs, the latest first."""
        answer = self.sagemaker.list_monitoring_executions(MonitoringScheduleName=schedule)
        found: list[dict[str, Any]] = answer["MonitoringExecutionSummaries"]
        return found

    def job_names(self) -> set[str]:
        """All processing jobs."""
        listed = self.sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return {job["ProcessingJobName"] for job in listed}


def until(condition: Any, timeout_seconds: float = 30.0) -> Any:
    """What the condition returns once it is true."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value


def build_definition(**changes: Any) -> dict[str, Any]:
    """A schedule's inline job definition."""
    return {
        "BaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"s3://{BUCKET}/baseline/constraints.json"},
            "StatisticsResource": {"S3Uri": f"s3://{BUCKET}/baseline/statistics.json"},
        },
        "MonitoringInputs": [
            {"EndpointInput": {"EndpointName": ENDPOINT, "LocalPath": "/opt/ml/processing/input/endpoint"}}
        ],
        "MonitoringOutputConfig": {
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"s3://{BUCKET}/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        "MonitoringResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
        },
        "MonitoringAppSpecification": {"ImageUri": IMAGE},
        "RoleArn": ROLE,
        **changes,
    }


@pytest.fixture(scope="session")
def weights() -> str:
    """The tabular demo's model."""
    return json.dumps(fit_model(draw_customers(800, np.random.default_rng(3))))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, weights: str) -> bytes:
    """Its archive."""
    path = tmp_path_factory.mktemp("model") / "churn.json"
    path.write_text(weights)
    return build_model_archive(Path(tabular_endpoint.__file__ or "").parent, path)


@pytest.fixture(scope="session")
def monitored(tmp_path_factory: pytest.TempPathFactory, model: bytes, weights: str) -> Iterator[Monitored]:
    """The endpoint `churn`, in service, with a baseline beside it."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "analyze.py").write_text(ANALYZER)
    for name in ("clarify.py", "model_quality.py"):
        (programs / name).write_text(OTHER_ANALYZERS)
    settings = SageMakerSettings(programs=programs, capture_flush_seconds=60, schedule_speed_up=SPEED_UP)
    with LocalAws(tmp_path_factory.mktemp("monitored") / "sandbox", sagemaker=settings) as aws:
        found = Monitored(aws, model, weights)
        found.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for name in ("statistics.json", "constraints.json"):
            found.s3.put_object(Bucket=BUCKET, Key=f"baseline/{name}", Body=b"{}")
        found.deploy(ENDPOINT)
        yield found


@pytest.fixture
def make_schedule(monitored: Monitored, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes schedules that the test leaves behind nowhere; the clock fires none of them unless asked to."""
    made: list[str] = []

    def make(name: str, expression: str = "cron(0 0 ? * * *)", **config: Any) -> str:
        schedule = f"{request.node.name.replace('_', '-')[5:40].strip('-')}-{name}"
        if not {"MonitoringJobDefinition", "MonitoringJobDefinitionName"} & config.keys():
            config["MonitoringJobDefinition"] = build_definition()
        window = {key: config.pop(key) for key in list(config) if key.startswith("DataAnalysis")}
        kind = config.pop("MonitoringType", "DataQuality")
        monitored.sagemaker.create_monitoring_schedule(
            MonitoringScheduleName=schedule,
            MonitoringScheduleConfig={
                "ScheduleConfig": {"ScheduleExpression": expression, **window},
                "MonitoringType": kind,
                **config,
            },
        )
        made.append(schedule)
        return schedule

    yield make
    left = monitored.sagemaker.list_monitoring_schedules()["MonitoringScheduleSummaries"]
    for name in {one["MonitoringScheduleName"] for one in left} & set(made):
        monitored.sagemaker.delete_monitoring_schedule(MonitoringScheduleName=name)
