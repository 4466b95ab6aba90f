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


def clarify(report, *inputs):
    """A scheduled job of Clarify's: its environment says nothing."""
    return {
        "ProcessingJobName": "model-explainability-monitoring-202403181700-d9567a3d0635c49202675d97",
        "ProcessingJobStatus": "Completed",
        "MonitoringScheduleArn": "arn:aws:sagemaker:us-east-1:1:monitoring-schedule/nightly-shap",
        "ProcessingEndTime": 1710781045528,
        "ProcessingInputs": [{"S3Input": {"S3Uri": uri, "LocalPath": path}} for uri, path in inputs],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": report}}]},
    }


def test_the_reports_path_names_endpoint_and_schedule_where_nothing_else_does():
    run = recognise_run(
        clarify(
            "s3://b/reports/signs/Nightly-SHAP/2024/03/18/17",
            ("s3://b/config/analysis_config.json", "/opt/ml/processing/input/config"),
            ("s3://b/capture/signs/Blue/2024/03/18/16", "/opt/ml/processing/input/data"),
        )
    )
    assert (run.kind, run.schedule, run.endpoint, run.variant) == (
        "attribution",
        "Nightly-SHAP",
        "signs",
        "Blue",
    )


def test_a_monitor_on_batch_transforms_goes_by_its_schedules_name():
    job = clarify(
        "s3://b/churn/Nightly-SHAP/2024/03/18/17",
        ("s3://b/churn/input/2024/03/18/16", "/opt/ml/processing/input/data"),
    )
    run = recognise_run(job)
    assert (run.schedule, run.endpoint, run.variant) == ("Nightly-SHAP", "Nightly-SHAP", "AllTraffic")


def test_a_model_quality_jobs_variant_is_read_from_the_joined_captures():
    job = clarify(
        "s3://b/reports/signs/hourly/2024/03/18/17",
        (
            "s3://b/reports/merge/signs/Blue/2024/03/18/16",
            "/opt/ml/processing/input_data/signs/Blue/2024/03/18/16",
        ),
    )
    job["Environment"] = {"sagemaker_endpoint_name": "signs", "sagemaker_monitoring_schedule_name": "hourly"}
    run = recognise_run(job)
    assert (run.endpoint, run.variant) == ("signs", "Blue")


@pytest.mark.parametrize(
    ("said", "reason", "message"),
    [
        ("clean.py: line 2: KeyError", "AlgorithmError: See job logs", "clean.py: line 2: KeyError AlgorithmError: See job logs"),
        ("gone", "AlgorithmError: gone, exit code: 1", "AlgorithmError: gone, exit code: 1"),
        ("", "InternalServerError", "InternalServerError"),
        ("Completed: all is well", "", "Completed: all is well"),
    ],
)  # fmt: skip
def test_the_cause_is_what_the_container_said_and_what_sagemaker_adds(said, reason, message):
    job = clarify("s3://b/reports/signs/nightly-shap/2024/03/18/17") | {
        "ExitMessage": said,
        "FailureReason": reason,
    }
    assert recognise_run(job).message == message


@pytest.mark.parametrize("key", ["baseline_statistics", "baseline_constraints", "THRESHOLD"])
def test_a_job_that_compares_is_a_run_whatever_of_its_baseline_it_has(key):
    environment = {"dataset_format": "{}", key: "0.5"}
    job = {"ProcessingJobName": "j", "ProcessingJobStatus": "Completed", "Environment": environment}
    assert isinstance(recognise_run(job), Run)
    assert recognise_run(job | {"Environment": {"dataset_format": "{}"}}) == NoRun("baselining")
