"""The processing job that a schedule starts: its request, as the jobs of real schedules look (pure).

Source: DescribeProcessingJob of real data-quality executions; CONTRACTS §1 and §6.2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sagewatch.monitoring.window import Span, format_time
from sagewatch.sandbox.sagemaker import groundtruth_merge
from sagewatch.sandbox.sagemaker.monitoring_kinds import MonitoredInput, MonitorKind, read_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASELINE = "/opt/ml/processing/baseline"
CODE = "/opt/ml/processing/code"
CONFIG = "/opt/ml/processing/input/config"
JOINED = "/opt/ml/processing/input_data"
OUTPUT = "/opt/ml/processing/output"
TRUTH = "/opt/ml/processing/groundtruth"
MERGER = "sagemaker-model-monitor-groundtruth-merger"
CLARIFY = ("python3", "/opt/program/clarify.py")
JOINED_FORMAT = json.dumps(
    {"sagemakerMergeJson": {"captureIndexNames": ["endpointOutput"], "originalDatasetFormat": None}},
    separators=(",", ":"),
)
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
        Capture folders with objects, `<endpoint>/<variant>/yyyy/mm/dd/hh`; of a batch transform, its manifests.
    """

    schedule: str
    job_name: str
    kind: MonitorKind
    inline: Mapping[str, Any]
    span: Span
    capture_uri: str
    folders: Sequence[str]

    @property
    def source(self) -> MonitoredInput:
        """What is looked at."""
        return read_input(self.inline)

    @property
    def joined_uri(self) -> str:
        """Where captures lie that were joined with ground truth."""
        output = self.inline["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]
        return f"{output['S3Uri'].rstrip('/')}/merge"

    @property
    def merge_name(self) -> str:
        """The name of the job that joins: the same as the analysis's, but for its beginning."""
        return f"groundtruth-merge{self.job_name.removeprefix(self.kind.job)}"


def build_request(run: PlannedRun) -> dict[str, Any]:
    """The request to CreateProcessingJob."""
    inline = run.inline
    given = inline["MonitoringAppSpecification"]
    application = {
        key: given[key] for key in ("ImageUri", "ContainerEntrypoint", "ContainerArguments") if given.get(key)
    }
    if run.kind.by_clarify:
        application["ContainerEntrypoint"] = list(CLARIFY)
    return {
        **_build_frame(run, run.job_name, application),
        "Environment": dict(inline.get("Environment", {})) if run.kind.by_clarify else build_environment(run),
        "ProcessingInputs": [*build_file_inputs(inline), *build_data_inputs(run)],
        "ProcessingOutputConfig": build_output(run),
    }


def build_merge_request(run: PlannedRun, truth_uris: Mapping[str, str]) -> dict[str, Any]:
    """The request of the job that joins captures with ground truth.

    Parameters
    ----------
    truth_uris
        Where labels lie, by their hour, `yyyy/mm/dd/hh`.
    """
    program = ["python3", str(Path(groundtruth_merge.__file__))]
    return {
        **_build_frame(run, run.merge_name, {"ImageUri": MERGER, "ContainerEntrypoint": program}),
        "Environment": {"dataset_source": JOINED, "ground_truth_source": TRUTH, "output_path": OUTPUT},
        "ProcessingInputs": [
            *(
                _build_input(f"groundtruth_input_{number}", uri, f"{TRUTH}/{hour}")
                for number, (hour, uri) in enumerate(truth_uris.items(), 1)
            ),
            *(
                _build_input(f"endpoint_input_{number}", f"{run.capture_uri}/{folder}", f"{JOINED}/{folder}")
                for number, folder in enumerate(run.folders, 1)
            ),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "result",
                    "S3Output": {"S3Uri": run.joined_uri, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
                    "AppManaged": False,
                }
            ]
        },
    }


def _build_frame(run: PlannedRun, name: str, application: Mapping[str, Any]) -> dict[str, Any]:
    inline = run.inline
    frame: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": inline["RoleArn"],
        "AppSpecification": application,
        "ProcessingResources": inline["MonitoringResources"],
        "StoppingCondition": inline.get("StoppingCondition", {"MaxRuntimeInSeconds": 3600}),
    }
    if "NetworkConfig" in inline:
        frame["NetworkConfig"] = inline["NetworkConfig"]
    return frame


def build_environment(run: PlannedRun) -> dict[str, str]:
    """The variables that SageMaker adds to the definition's own."""
    inline, source = run.inline, run.source
    given = source.given
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
        "inference_attribute": given.get("InferenceAttribute"),
        "probability_attribute": given.get("ProbabilityAttribute"),
        "probability_threshold_attribute": given.get("ProbabilityThresholdAttribute"),
        "exclude_features_attribute": given.get("ExcludeFeaturesAttribute"),
        "problem_type": inline.get("ProblemType"),
        "analysis_type": "MODEL_QUALITY" if run.kind.name == "ModelQuality" else None,
        "sagemaker_endpoint_name": source.endpoint or None,
        "sagemaker_endpoint_datacapture_prefix": run.capture_uri if source.endpoint else None,
    }
    return {
        "dataset_format": _spell_format(run),
        "dataset_source": JOINED if run.kind.needs_truth else source.local_path,
        "output_path": inline["MonitoringOutputConfig"]["MonitoringOutputs"][0]["S3Output"]["LocalPath"],
        "publish_cloudwatch_metrics": "Disabled",
        **inline.get("Environment", {}),
        **paths,
        **{name: str(value) for name, value in attributes.items() if value is not None},
        "start_time": format_time(run.span.start),
        "end_time": format_time(run.span.end),
        "metric_time": format_time(run.span.start),
        "monitoring_input_type": "ENDPOINT_INPUT" if source.endpoint else "BATCH_TRANSFORM_INPUT",
        "sagemaker_monitoring_schedule_name": run.schedule,
    }


def _spell_format(run: PlannedRun) -> str:
    if run.kind.needs_truth:
        return JOINED_FORMAT
    if run.source.endpoint:
        return CAPTURE_FORMAT
    # The API spells Csv, Header and Line; the container's contract spells them small.
    given = run.source.given.get("DatasetFormat", {})
    small = {
        key.lower(): {name.lower(): value for name, value in inner.items()} for key, inner in given.items()
    }
    return json.dumps(small, separators=(",", ":"))


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
        ("analysis_config", inline.get("ConfigUri"), CONFIG),
    )
    return [_build_input(name, uri, path) for name, uri, path in places if uri]


def build_data_inputs(run: PlannedRun) -> list[dict[str, Any]]:
    """The capture folders, each where the contract says; a batch transform's manifests stand for the data they name."""
    path = run.source.local_path
    if not run.source.endpoint:
        return [
            _build_input(f"batch_input_{number}", uri, f"{path}/{number}", "ManifestFile")
            for number, uri in enumerate(run.folders, 1)
        ]
    uri = run.joined_uri if run.kind.needs_truth else run.capture_uri
    if run.kind.needs_truth and not run.kind.by_clarify:
        path = JOINED
    return [
        _build_input(f"endpoint_input_{number}", f"{uri}/{folder}", f"{path}/{folder}")
        for number, folder in enumerate(run.folders, 1)
    ]


def build_output(run: PlannedRun) -> dict[str, Any]:
    """The report's place: `<destination>/<endpoint>/<schedule>/yyyy/mm/dd/hh`; a batch transform has no endpoint."""
    config = run.inline["MonitoringOutputConfig"]
    output = config["MonitoringOutputs"][0]["S3Output"]
    owner = f"{run.source.endpoint}/{run.schedule}" if run.source.endpoint else run.schedule
    uri = f"{output['S3Uri'].rstrip('/')}/{owner}/{run.span.end:%Y/%m/%d/%H}"
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


def _build_input(name: str, uri: str, path: str, data_type: str = "S3Prefix") -> dict[str, Any]:
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": path,
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
