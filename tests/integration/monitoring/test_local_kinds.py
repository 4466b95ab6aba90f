"""The local SageMaker's other monitors: model quality, bias and attribution, on ground truth and on batch transforms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.report.run import Run, recognise_run
from tests.integration.monitoring.conftest import BUCKET, ENDPOINT, IMAGE, Monitored, build_definition, until

SNAKE = {
    "ModelQuality": "model_quality",
    "ModelBias": "model_bias",
    "ModelExplainability": "model_explainability",
}
KIND_OF = {"ModelQuality": "model-quality", "ModelBias": "bias", "ModelExplainability": "attribution"}


def define(monitored: Monitored, kind: str, name: str) -> None:
    """A job definition of a kind, on the endpoint, with ground truth where it takes any."""
    inline = build_definition()
    application: dict[str, Any] = {"ImageUri": IMAGE}
    monitored_input = dict(inline["MonitoringInputs"][0])
    if kind == "ModelQuality":
        application |= {
            "ContainerEntrypoint": ["python3", "/opt/program/model_quality.py"],
            "ProblemType": "BinaryClassification",
        }
    else:
        application["ConfigUri"] = f"s3://{BUCKET}/config/analysis_config.json"
    if kind != "ModelExplainability":
        monitored_input["GroundTruthS3Input"] = {"S3Uri": f"s3://{BUCKET}/truth-{name}"}
    getattr(monitored.sagemaker, f"create_{SNAKE[kind]}_job_definition")(
        JobDefinitionName=name,
        **{
            f"{kind}BaselineConfig": {"ConstraintsResource": inline["BaselineConfig"]["ConstraintsResource"]},
            f"{kind}AppSpecification": application,
            f"{kind}JobInput": monitored_input,
            f"{kind}JobOutputConfig": inline["MonitoringOutputConfig"],
        },
        JobResources=inline["MonitoringResources"],
        RoleArn=inline["RoleArn"],
    )


def put_truth(monitored: Monitored, name: str, at: datetime) -> int:
    """Labels for every capture of the hour but one; the answer is their number."""
    prefix = f"capture/{ENDPOINT}/AllTraffic/{at:%Y/%m/%d/%H}/"
    listed = monitored.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    bodies = [monitored.s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed]
    ids = [json.loads(line)["eventMetadata"]["eventId"] for body in bodies for line in body.splitlines()]
    rows = [
        {
            "groundTruthData": {"data": "1", "encoding": "CSV"},
            "eventMetadata": {"eventId": one},
            "eventVersion": "0",
        }
        for one in ids[1:]
    ]
    body = "\n".join(json.dumps(row) for row in rows)
    monitored.s3.put_object(
        Bucket=BUCKET, Key=f"truth-{name}/{at:%Y/%m/%d/%H}/labels.jsonl", Body=body.encode()
    )
    return len(rows)


def see(monitored: Monitored, schedule: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The analysis job of the schedule's only run, once it has ended, and what its stand-in saw."""
    (execution,) = until(
        lambda: (
            rows
            if (rows := monitored.executions(schedule))[0]["MonitoringExecutionStatus"] != "InProgress"
            else None
        )
    )
    assert execution["MonitoringExecutionStatus"] == "CompletedWithViolations", execution
    job = monitored.end(execution["ProcessingJobArn"].rsplit("/", 1)[-1])
    report = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    (row,) = monitored.read_json(f"{report}/constraint_violations.json")["violations"]
    return job, json.loads(row["description"])


@pytest.mark.parametrize("kind", ["ModelQuality", "ModelBias"])
def test_captures_are_joined_with_ground_truth_before_they_are_judged(
    monitored: Monitored, make_schedule: Any, kind: str
) -> None:
    name = f"truth-{kind.lower()}"
    monitored.s3.put_object(Bucket=BUCKET, Key="config/analysis_config.json", Body=b'{"label": 0}')
    define(monitored, kind, name)
    schedule = make_schedule(kind, MonitoringJobDefinitionName=name, MonitoringType=kind)
    monitored.ask(4)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)  # noqa: TID251  an edge
    start = end.replace(minute=0, second=0)
    fired = monitored.aws.sagemaker.monitoring.fire(schedule, start=start, end=end)
    assert (fired["MonitoringExecutionStatus"], "ProcessingJobArn" in fired) == ("Failed", False)
    assert fired["FailureReason"].startswith(f'No S3 objects found under S3 URL "s3://{BUCKET}/truth-{name}/')
    assert fired["MonitoringType"] == kind
    labels = put_truth(monitored, name, start)
    monitored.sagemaker.delete_monitoring_schedule(MonitoringScheduleName=schedule)
    schedule = make_schedule(f"{kind}-2", MonitoringJobDefinitionName=name, MonitoringType=kind)
    fired = monitored.aws.sagemaker.monitoring.fire(schedule, start=start, end=end)
    assert fired["ProcessingJobArn"].rsplit("/", 1)[-1].startswith("groundtruth-merge-")
    job, seen = see(monitored, schedule)
    assert (seen["records"], seen["labelled"]) == (labels, labels)
    run = recognise_run(job)
    assert isinstance(run, Run)
    assert (run.kind, run.schedule, run.endpoint, run.variant) == (
        KIND_OF[kind],
        schedule,
        ENDPOINT,
        "AllTraffic",
    )
    merge = monitored.end(fired["ProcessingJobArn"].rsplit("/", 1)[-1])
    assert merge["ProcessingJobName"].removeprefix("groundtruth-merge") == job[
        "ProcessingJobName"
    ].removeprefix({"ModelQuality": "model-quality-monitoring", "ModelBias": "model-bias-monitoring"}[kind])
    joined = recognise_run(merge)
    assert isinstance(joined, Run)
    assert (joined.merge, joined.endpoint) == (True, ENDPOINT)
    if kind == "ModelQuality":
        assert job["Environment"]["problem_type"] == "BinaryClassification"
        assert job["Environment"]["analysis_type"] == "MODEL_QUALITY"
        assert json.loads(job["Environment"]["dataset_format"])["sagemakerMergeJson"]


def test_attribution_reads_its_settings_from_a_file(monitored: Monitored, make_schedule: Any) -> None:
    monitored.s3.put_object(Bucket=BUCKET, Key="config/analysis_config.json", Body=b'{"label": 0}')
    define(monitored, "ModelExplainability", "shap")
    listed = monitored.sagemaker.list_model_explainability_job_definitions(EndpointName=ENDPOINT)
    assert [one["MonitoringJobDefinitionName"] for one in listed["JobDefinitionSummaries"]] == ["shap"]
    schedule = make_schedule("shap", MonitoringJobDefinitionName="shap", MonitoringType="ModelExplainability")
    monitored.ask(3)
    monitored.aws.sagemaker.monitoring.fire(schedule)
    job, seen = see(monitored, schedule)
    assert seen["settings"] == {"label": 0}
    assert seen["records"] >= 3
    assert not job.get("Environment")
    run = recognise_run(job)
    assert isinstance(run, Run)
    assert (run.kind, run.schedule, run.endpoint) == ("attribution", schedule, ENDPOINT)
    with pytest.raises(ClientError, match="is used by the schedule"):
        monitored.sagemaker.delete_model_explainability_job_definition(JobDefinitionName="shap")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        monitored.sagemaker.describe_model_bias_job_definition(JobDefinitionName="shap")


def test_a_batch_transforms_captures_are_read_by_their_manifests(
    monitored: Monitored, make_schedule: Any
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # noqa: TID251  an edge
    for name in ("a.csv", "b.csv"):
        monitored.s3.put_object(Bucket=BUCKET, Key=f"batch/data/{name}", Body=b"1,2\n3,4\n")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/batch/data/"}, "a.csv", "b.csv"]).encode()
    monitored.s3.put_object(
        Bucket=BUCKET, Key=f"batch/captured/input/{hour:%Y/%m/%d/%H}/m.json", Body=manifest
    )
    source = {
        "BatchTransformInput": {
            "DataCapturedDestinationS3Uri": f"s3://{BUCKET}/batch/captured",
            "DatasetFormat": {"Csv": {"Header": False}},
            "LocalPath": "/opt/ml/processing/input/batch",
        }
    }
    schedule = make_schedule("batch", MonitoringJobDefinition=build_definition(MonitoringInputs=[source]))
    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName=schedule)
    assert "EndpointName" not in described
    monitored.aws.sagemaker.monitoring.fire(schedule, start=hour, end=hour + timedelta(hours=1))
    (execution,) = monitored.executions(schedule)
    job = monitored.end(execution["ProcessingJobArn"].rsplit("/", 1)[-1])
    assert job["ProcessingJobStatus"] == "Completed", job
    assert json.loads(job["Environment"]["dataset_format"]) == {"csv": {"header": False}}
    assert "sagemaker_endpoint_name" not in job["Environment"]
    report = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert report == f"s3://{BUCKET}/reports/{schedule}/{hour + timedelta(hours=1):%Y/%m/%d/%H}"
    assert monitored.read_json(f"{report}/statistics.json")["dataset"]["item_count"] == 4
    run = recognise_run(job)
    assert isinstance(run, Run)
    assert (run.schedule, run.endpoint) == (schedule, schedule)
