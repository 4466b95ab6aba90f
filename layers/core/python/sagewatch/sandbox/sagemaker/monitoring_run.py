"""The processing job that a schedule starts: its request, as the jobs of real schedules look (pure).

Source: DescribeProcessingJob of real data-quality executions; CONTRACTS §1 and §6.2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sagewatch.monitoring.window import Span, format_time
from sagewatch.sandbox.sagemaker.monitoring_definitions import read_endpoint_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASELINE = "/opt/ml/processing/baseline"
CODE = "/opt/ml/processing/code"
CAPTURE_FORMAT = json.dumps(
    {"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}},
    separators=(",", ":"),
)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One execution that has data.

    Parameters
    ----------
    schedule, job_name
        Names of the schedule and of the job to start.
    inline
        The job's definition, in the words of MonitoringJobDefinition.
    span
        The window of traffic.
    capture_uri
        Where the endpoint's captures go, its own name not included.
    folders
        Capture folders with objects, `<endpoint>/<variant>/yyyy/mm/dd/hh`.
    """

    schedule: str
    job_name: str
    inline: Mapping[str, Any]
    span: Span
    capture_uri: str
    folders: Sequence[str]


def build_request(run: PlannedRun) -> dict[str, Any]:
    """The request to CreateProcessingJob."""
    inline = run.inline
    application = inline["MonitoringAppSpecification"]
    request: dict[str, Any] = {
        "ProcessingJobName": run.job_name,
        "RoleArn": inline["RoleArn"],
        "AppSpecification": {
            key: application[key]
            for key in ("ImageUri", "ContainerEntrypoint", "ContainerArguments")
            if application.get(key)
        },
        "Environment": build_environment(run),
        "ProcessingInputs": [*build_file_inputs(inline), *build_data_inputs(run)],
        "ProcessingOutputConfig": build_output(run),
        "ProcessingResources": inline["MonitoringResources"],
        "StoppingCondition": inline.get("StoppingCondition", {"MaxRuntimeInSeconds": 3600}),
    }
    if "NetworkConfig" in inline:
        request["NetworkConfig"] = inline["NetworkConfig"]
    return request


def build_environment(run: PlannedRun) -> dict[str, str]:
    """The variables that SageMaker adds to the definition's own."""
    inline = run.inline
    endpoint = read_endpoint_input(inline)
    files = {item["InputName"]: item["S3Input"] for item in build_file_inputs(inline)}
    paths = {
        name: f"{files[item]['LocalPath']}/{PurePosixPath(files[item]['S3Uri']).name}"
        for name, item in (
            ("baseline_statistics", "baseline"),
            ("baseline_constraints", "constraints"),
            ("record_preprocessor_script", "pre_processor_script"),
            ("post_analytics_processor_script", "post_processor_script"),
        )
        if item in files
    }
    attributes = {
        "inference_attribute": endpoint.get("InferenceAttribute"),
        "probability_attribute": endpoint.get("ProbabilityAttribute"),
        "exclude_features_attribute": endpoint.get("ExcludeFeaturesAttribute"),
    }
    return {
        "dataset_format": CAPTURE_FORMAT,
        "dataset_source": endpoint["LocalPath"],
        "output_path": inline["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]["LocalPath"],
        "publish_cloudwatch_metrics": "Disabled",
        **inline.get("Environment", {}),
        **paths,
        **{name: value for name, value in attributes.items() if value is not None},
        "start_time": format_time(run.span.start),
        "end_time": format_time(run.span.end),
        "metric_time": format_time(run.span.start),
        "monitoring_input_type": "ENDPOINT_INPUT",
        "sagemaker_endpoint_name": endpoint["EndpointName"],
        "sagemaker_monitoring_schedule_name": run.schedule,
        "sagemaker_endpoint_datacapture_prefix": run.capture_uri,
    }


def build_file_inputs(inline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The baseline's two files and the two scripts, as far as the definition names them."""
    baseline = inline.get("BaselineConfig") or {}
    application = inline["MonitoringAppSpecification"]
    places = (
        ("baseline", baseline.get("StatisticsResource", {}).get("S3Uri"), f"{BASELINE}/stats"),
        ("constraints", baseline.get("ConstraintsResource", {}).get("S3Uri"), f"{BASELINE}/constraints"),
        ("pre_processor_script", application.get("RecordPreprocessorSourceUri"), f"{CODE}/preprocessing"),
        (
            "post_processor_script",
            application.get("PostAnalyticsProcessorSourceUri"),
            f"{CODE}/postprocessing",
        ),
    )
    return [_build_input(name, uri, path) for name, uri, path in places if uri]


def build_data_inputs(run: PlannedRun) -> list[dict[str, Any]]:
    """The capture folders, each where the contract says."""
    path = read_endpoint_input(run.inline)["LocalPath"]
    return [
        _build_input(f"endpoint_input_{number}", f"{run.capture_uri}/{folder}", f"{path}/{folder}")
        for number, folder in enumerate(run.folders, 1)
    ]


def build_output(run: PlannedRun) -> dict[str, Any]:
    """The report's place: `<destination>/<endpoint>/<schedule>/yyyy/mm/dd/hh`."""
    config = run.inline["MonitoringOutputConfig"]
    output = config["MonitoringOutputs"][0]["S3Output"]
    endpoint = read_endpoint_input(run.inline)["EndpointName"]
    uri = f"{output['S3Uri'].rstrip('/')}/{endpoint}/{run.schedule}/{run.span.end:%Y/%m/%d/%H}"
    built: dict[str, Any] = {
        "Outputs": [
            {
                "OutputName": "result",
                "S3Output": {
                    "S3Uri": uri,
                    "LocalPath": output["LocalPath"],
                    "S3UploadMode": output.get("S3UploadMode", "Continuous"),
                },
                "AppManaged": False,
            }
        ]
    }
    if "KmsKeyId" in config:
        built["KmsKeyId"] = config["KmsKeyId"]
    return built


def _build_input(name: str, uri: str, path: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": path,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
