"""The SageMaker SDK v3's monitors work against the local SageMaker, unchanged, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from sagewatch.sandbox.demo.tabular_data import COLUMNS, PREDICTION, draw_clean, draw_drifted, format_baseline
from sagewatch.sandbox.demo.tabular_endpoint.inference import score
from sagewatch.sandbox.processes import GUARD_DIRECTORY, inherited_environment
from tests.integration.monitoring.conftest import BUCKET, ENDPOINT, IMAGE, ROLE, Monitored

if TYPE_CHECKING:
    from pathlib import Path

# `Session()` asks STS for the account unless it is told a default bucket.
START = """
import json, sys, time, urllib.request
import boto3
from sagemaker.core.helper.session_helper import Session
bucket, endpoint, image, role, admin, data = sys.argv[1:]
session = Session(boto_session=boto3.Session(), default_bucket=bucket)
def fire(name):
    body = json.dumps({"schedule": name}).encode()
    urllib.request.urlopen(urllib.request.Request(admin, body)).read()
def wait(monitor):
    for _ in range(100):
        found = monitor.list_executions()
        if found and found[0].describe()["ProcessingJobStatus"] != "InProgress":
            return found
        time.sleep(0.2)
"""
DEFAULT_MONITOR = (
    START
    + """
from sagemaker.core.model_monitor.model_monitoring import DefaultModelMonitor, MonitoringExecution
from sagemaker.core.model_monitor.dataset_format import DatasetFormat
from sagemaker.core.model_monitor.cron_expression_generator import CronExpressionGenerator
monitor = DefaultModelMonitor(role=role, instance_count=1, instance_type="ml.m5.xlarge", env={"REAL_ANALYZER": "1"},
    sagemaker_session=session)
monitor.image_uri = image
monitor.suggest_baseline(baseline_dataset=data, dataset_format=DatasetFormat.csv(header=True),
    output_s3_uri=f"s3://{bucket}/suggested", wait=True, logs=False)
baseline = monitor.latest_baselining_job
rows = baseline.baseline_statistics().body_dict["dataset"]["item_count"]
constraints = baseline.suggested_constraints().body_dict
monitor.create_monitoring_schedule(monitor_schedule_name="Sdk-Default", endpoint_input=endpoint,
    output_s3_uri=f"s3://{bucket}/reports", statistics=monitor.baseline_statistics(),
    constraints=monitor.suggested_constraints(), schedule_cron_expression=CronExpressionGenerator.daily(),
    enable_cloudwatch_metrics=True)
described = monitor.describe_schedule()
fire("Sdk-Default")
(execution,) = wait(monitor)
again = MonitoringExecution.from_processing_arn(session, execution.describe()["ProcessingJobArn"])
attached = DefaultModelMonitor.attach("Sdk-Default", session)
answer = {"rows": rows, "constraints": constraints, "definition": monitor.job_definition_name,
    "schedule": described["MonitoringScheduleName"], "image": execution.describe()["AppSpecification"]["ImageUri"],
    "environment": execution.describe()["Environment"], "message": execution.describe()["ExitMessage"],
    "violations": again.constraint_violations().body_dict["violations"],
    "inputs": [one.input_name for one in again.processing_inputs], "destination": again.output.s3_output.s3_uri,
    "attached": attached.monitoring_schedule_name}
monitor.stop_monitoring_schedule()
answer["stopped"] = monitor.describe_schedule()["MonitoringScheduleStatus"]
monitor.start_monitoring_schedule()
monitor.delete_monitoring_schedule()
answer["left"] = boto3.client("sagemaker").list_data_quality_job_definitions()["JobDefinitionSummaries"]
print(json.dumps(answer))
"""
)
PLAIN_MONITOR = (
    START
    + """
from sagemaker.core.model_monitor.model_monitoring import ModelMonitor, MonitoringOutput
monitor = ModelMonitor(role=role, image_uri=image, instance_count=1, instance_type="ml.m5.xlarge",
    env={"THRESHOLD": "0.5", "publish_cloudwatch_metrics": "Disabled"}, sagemaker_session=session)
monitor.create_monitoring_schedule(monitor_schedule_name="sdk-plain", endpoint_input=endpoint,
    output=MonitoringOutput(source="/opt/ml/processing/output", destination=f"s3://{bucket}/plain"),
    schedule_cron_expression="cron(0 0 ? * * *)")
fire("sdk-plain")
(execution,) = wait(monitor)
answer = {"statistics": execution.statistics().body_dict["dataset"]["item_count"],
    "environment": execution.describe()["Environment"], "status": execution.describe()["ProcessingJobStatus"]}
monitor.delete_monitoring_schedule()
print(json.dumps(answer))
"""
)


def run_story(monitored: Monitored, story: str, data: str = "") -> dict[str, object]:
    """What a story prints last; nothing of it may call out."""
    aws = monitored.aws
    outbound = aws.directory / "sdk-outbound.log"
    admin = f"{aws.sagemaker.url}/_admin/schedules"
    done = subprocess.run(
        [sys.executable, "-c", story, BUCKET, ENDPOINT, IMAGE, ROLE, admin, data],
        env={
            **inherited_environment(),
            **aws.environment,
            "PYTHONPATH": str(GUARD_DIRECTORY),
            "SANDBOX_OUTBOUND_LOG": str(outbound),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not outbound.exists(), outbound.read_text()
    answer: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def test_default_model_monitor_suggests_schedules_lists_and_reads(
    monitored: Monitored, tmp_path: Path
) -> None:
    data = tmp_path / "train.csv"
    trained = json.loads(monitored.weights)
    rows = draw_clean(600, np.random.default_rng(5))
    data.write_text(format_baseline(rows, lambda cells: score(trained, cells)))
    monitored.ask(100, draw_drifted)
    story = run_story(monitored, DEFAULT_MONITOR, str(data))
    assert story["rows"] == 600
    suggested = {one["name"]: one for one in story["constraints"]["features"]}
    assert list(suggested) == [PREDICTION, *COLUMNS]
    assert suggested["region"]["string_constraints"]["domains"]
    assert suggested["day_calls"]["inferred_type"] == "Integral"
    assert story["schedule"] == story["attached"] == "Sdk-Default"
    assert story["image"] == IMAGE
    assert story["environment"]["publish_cloudwatch_metrics"] == "Enabled"
    assert story["message"].startswith("CompletedWithViolations: Job completed successfully with ")
    assert {one["feature_name"] for one in story["violations"]} >= {"day_minutes", "international_plan"}
    assert {"baseline", "constraints"} <= set(story["inputs"])
    assert story["destination"].startswith(f"s3://{BUCKET}/reports/{ENDPOINT}/Sdk-Default/20")
    assert story["stopped"] == "Stopped"
    assert story["left"] == []


def test_model_monitor_with_our_image_runs_and_its_execution_reads_statistics(monitored: Monitored) -> None:
    monitored.ask(2)
    story = run_story(monitored, PLAIN_MONITOR)
    assert story["status"] == "Completed"
    assert story["statistics"] >= 2
    assert story["environment"]["THRESHOLD"] == "0.5"
    assert "baseline_constraints" not in story["environment"]
