"""Which monitoring job it was, from answers of the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagewatch.report.run import NoRun, Run, recognise_run

REAL = Path(__file__).parents[4] / "shared" / "real" / "events" / "api_responses"
WANTED = {
    "describe_processing_job_data_quality_2_violations.json": (
        "data-quality",
        "model-deploy-3-18-09-17-51-prod",
    ),
    "describe_processing_job_data_quality_completed.json": ("data-quality", None),
    "describe_processing_job_data_quality_completed_2.json": ("data-quality", None),
    "describe_processing_job_model_quality_10_violations.json": (
        "model-quality",
        "model-deploy-3-18-09-17-51-prod",
    ),
    "describe_processing_job_model_quality_10_violations_2024.json": ("model-quality", None),
    "describe_processing_job_model_quality_8_violations.json": ("model-quality", None),
}
NO_RUNS = {
    "describe_processing_job_baselining_completed.json": "baselining",
    "describe_processing_job_groundtruth_merge_in_progress.json": "still_running",
    "describe_processing_job_model_quality_in_progress.json": "still_running",
}


def load(name):
    path = REAL / name
    if not path.is_file():
        pytest.skip("../shared/real is not here: real answers are read in place")
    return json.loads(path.read_text())


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(WANTED))
def test_real_monitoring_jobs_are_recognised(name):
    run = recognise_run(load(name))
    assert isinstance(run, Run)
    kind, endpoint = WANTED[name]
    assert run.kind == kind
    assert run.endpoint == (endpoint or run.endpoint)
    assert run.endpoint
    assert run.schedule
    assert run.variant == "AllTraffic"
    assert run.report_uri.startswith("s3://")
    assert run.start < run.end <= run.ended_at


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(NO_RUNS))
def test_real_jobs_that_are_no_finished_monitors_are_left_alone(name):
    assert recognise_run(load(name)) == NoRun(NO_RUNS[name])


def test_a_schedule_is_known_by_its_arn_where_the_environment_is_empty():
    run = recognise_run(
        {
            "ProcessingJobName": "model-bias-monitoring-202403181700-d9567a3d0635c49202675d97",
            "ProcessingJobStatus": "Failed",
            "FailureReason": "ClientError",
            "MonitoringScheduleArn": "arn:aws:sagemaker:us-east-1:1:monitoring-schedule/nightly",
            "ProcessingEndTime": 1710781045528,
            "ProcessingInputs": [
                {"S3Input": {"LocalPath": "/opt/ml/processing/input/endpoint/signs/Blue/2024/03/18/13"}}
            ],
        }
    )
    assert (run.kind, run.schedule, run.endpoint, run.variant) == ("bias", "nightly", "signs", "Blue")


def test_the_notebooks_manual_run_is_a_run_of_its_own():
    run = recognise_run(
        {
            "ProcessingJobName": "sagemaker-processing-container-2026-11-21",
            "ProcessingJobStatus": "Completed",
            "Environment": {"THRESHOLD": "0.5"},
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": "model_outputs", "S3Output": {"S3Uri": "s3://b/out"}}]
            },
        }
    )
    assert (run.schedule, run.report_uri) == ("sagemaker-processing-container-2026-11-21", "s3://b/out")


def test_somebody_elses_processing_job_is_none_of_ours():
    assert recognise_run({"ProcessingJobName": "etl", "ProcessingJobStatus": "Completed"}) == NoRun(
        "no_monitor"
    )
