"""The files of a processing job: inputs from S3, the two config files, outputs to S3. Layout: CONTRACTS §1.4."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.protocol import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_MESSAGE_BYTES = 1024


class InputMissingError(Exception):
    """An input names an S3 prefix without objects."""


def inside(root: Path, container_path: str) -> Path:
    """Where a container's absolute path lies below the job's private root.

    Raises
    ------
    ValueError
        The path leaves the root.
    """
    path = (root / container_path.lstrip("/")).resolve()
    if not path.is_relative_to(root.resolve()):
        msg = f"{container_path} leaves the container"
        raise ValueError(msg)
    return path


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def relative_key(key: str, prefix: str) -> str:
    """The path, below an input's directory, of an object found by prefix.

    Examples
    --------
    >>> relative_key("a/b/c.json", "a"), relative_key("a/b/c.json", "a/b/"), relative_key("a/c.json", "a/c.json")
    ('b/c.json', 'c.json', 'c.json')
    """
    rest = key.removeprefix(prefix)
    return rest.lstrip("/") if rest else PurePosixPath(key).name


def wanted_objects(s3: Any, uri: str, data_type: str) -> list[tuple[str, str, str]]:
    """Bucket, key and relative path of each object that an input names, by prefix or by manifest."""
    bucket, prefix = split_uri(uri)
    if data_type == "ManifestFile":
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=prefix)["Body"].read())
        bucket, base = split_uri(manifest[0]["prefix"])
        # A manifest of one object names it whole in its prefix, and an empty name after it.
        return [(bucket, base + name, name or PurePosixPath(base).name) for name in manifest[1:]]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return [(bucket, key, relative_key(key, prefix)) for key in keys if not key.endswith("/")]


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Refuse at creation what would fail later for a reason of ours.

    Raises
    ------
    ApiError
        An input or output is not on S3, or its LocalPath is none of a container's.
    """
    inputs = [item.get("S3Input") for item in request.get("ProcessingInputs", [])]
    outputs = [item.get("S3Output") for item in request.get("ProcessingOutputConfig", {}).get("Outputs", [])]
    for side in (*inputs, *outputs):
        path = (side or {}).get("LocalPath", "")
        if not path.startswith("/opt/ml/processing") or ".." in path:
            raise refused("the local SageMaker takes S3Input and S3Output below /opt/ml/processing only")


def download_inputs(s3: Any, request: Mapping[str, Any], root: Path) -> None:
    """Fetch every input to its LocalPath.

    Raises
    ------
    InputMissingError
        Nothing is there; SageMaker fails the job then.
    """
    for item in request.get("ProcessingInputs", []):
        source = item["S3Input"]
        directory = inside(root, source["LocalPath"])
        directory.mkdir(parents=True, exist_ok=True)
        objects = wanted_objects(s3, source["S3Uri"], source.get("S3DataType", "S3Prefix"))
        if not objects:
            raise InputMissingError(f"No S3 objects found under S3 URL {source['S3Uri']!r}.")
        for bucket, key, relative in objects:
            target = inside(root, f"{source['LocalPath']}/{relative}")
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(target))


def make_output_directories(request: Mapping[str, Any], root: Path) -> None:
    """Make each output's LocalPath, as the platform does before the program starts."""
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        inside(root, item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)


def upload_outputs(s3: Any, request: Mapping[str, Any], root: Path) -> None:
    """Write every output's files below its S3Uri."""
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        output = item["S3Output"]
        directory = inside(root, output["LocalPath"])
        bucket, prefix = split_uri(output["S3Uri"])
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            relative = file.relative_to(directory).as_posix()
            s3.upload_file(str(file), bucket, f"{prefix.rstrip('/')}/{relative}".lstrip("/"))


def build_job_config(request: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The content of processingjobconfig.json; what is absent is null there, not missing."""
    application = request["AppSpecification"]
    output = request.get("ProcessingOutputConfig", {})
    return {
        "ProcessingJobArn": arn,
        "ProcessingJobName": request["ProcessingJobName"],
        "Environment": request.get("Environment"),
        "AppSpecification": {
            key: application.get(key) for key in ("ImageUri", "ContainerEntrypoint", "ContainerArguments")
        },
        "ProcessingInputs": [
            {
                "InputName": item["InputName"],
                "AppManaged": item.get("AppManaged", False),
                "S3Input": with_nulls(
                    item["S3Input"],
                    "LocalPath S3Uri S3DataDistributionType S3DataType S3InputMode S3CompressionType S3DownloadMode",
                ),
                "DatasetDefinitionInput": None,
            }
            for item in request.get("ProcessingInputs", [])
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": item["OutputName"],
                    "AppManaged": item.get("AppManaged", False),
                    "S3Output": with_nulls(item["S3Output"], "LocalPath S3Uri S3UploadMode"),
                    "FeatureStoreOutput": None,
                }
                for item in output.get("Outputs", [])
            ],
            "KmsKeyId": output.get("KmsKeyId"),
        },
        "ProcessingResources": request["ProcessingResources"],
        "NetworkConfig": request.get("NetworkConfig"),
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request.get("StoppingCondition"),
    }


def with_nulls(values: Mapping[str, Any], keys: str) -> dict[str, Any]:
    """The named keys (separated by blanks), null where absent."""
    return {key: values.get(key) for key in keys.split()}


def build_resource_config(instance_type: str) -> dict[str, Any]:
    """The content of resourceconfig.json for the only host, as the real one wrote it in 2026."""
    return {
        "current_host": "algo-1",
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": instance_type,
                "hosts": ["algo-1"],
            }
        ],
        "network_interface_name": "lo",
        "topology": None,
    }


def write_configs(request: Mapping[str, Any], arn: str, root: Path) -> None:
    """Write the two files that a program reads its job from."""
    directory = inside(root, "/opt/ml/config")
    directory.mkdir(parents=True, exist_ok=True)
    instance_type = request["ProcessingResources"]["ClusterConfig"]["InstanceType"]
    for name, content in (
        ("processingjobconfig.json", build_job_config(request, arn)),
        ("resourceconfig.json", build_resource_config(instance_type)),
    ):
        (directory / name).write_text(json.dumps(content), encoding="utf-8")
    inside(root, "/opt/ml/output").mkdir(parents=True, exist_ok=True)


def read_message(root: Path) -> str | None:
    """What the program left in /opt/ml/output/message, its first kilobyte."""
    file = inside(root, "/opt/ml/output/message")
    if not file.is_file():
        return None
    return file.read_bytes()[:EXIT_MESSAGE_BYTES].decode("utf-8", "replace")
