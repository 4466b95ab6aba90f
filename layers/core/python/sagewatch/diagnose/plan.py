"""What a swap would make: names, the clone of the live configuration, the saliency job's request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sagewatch.diagnose.model import Diagnosis, Phase, Policy
from sagewatch.errors import RejectedInputError

TENSORS_VARIABLE = "TENSORS_OUTPUT"
JOB_PREFIX = "sagewatch-explain-"
HOOKED_PREFIX = "sagewatch-hooked-"
_DESCRIBED_ONLY = (
    "EndpointConfigArn",
    "ModelArn",
    "CreationTime",
    "DeploymentRecommendation",
    "ResponseMetadata",
)


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the saliency job is to run."""

    image_uri: str
    role_arn: str
    instance_type: str
    bucket: str
    max_images: int
    max_runtime_seconds: int
    classes_key: str = ""


def plan_diagnosis(
    incident_id: str,
    endpoint: str,
    variant: str,
    subject: str,
    config: Mapping[str, Any],
    policy: Policy,
    now: datetime,
) -> Diagnosis:
    """The diagnosis that an incident would begin on an endpoint with this live configuration.

    Raises
    ------
    RejectedInputError
        The endpoint cannot be swapped: says why in a sentence.
    """
    where = f"endpoint {endpoint}"
    variants = [v for v in config["ProductionVariants"] if v["VariantName"] == variant]
    if str(config["EndpointConfigName"]).startswith(HOOKED_PREFIX):
        raise RejectedInputError("stands on a hooked configuration already", where=where)
    if not variants:
        raise RejectedInputError(f"has no variant {variant}", where=where)
    if "ModelName" not in variants[0]:
        raise RejectedInputError("hosts inference components, which have no model to hook", where=where)
    return Diagnosis(
        incident_id=incident_id,
        endpoint=endpoint,
        variant=variant,
        subject=subject,
        phase=Phase.SWAPPING,
        original_config=str(config["EndpointConfigName"]),
        original_model=str(variants[0]["ModelName"]),
        hooked_config=HOOKED_PREFIX + incident_id,
        hooked_model=HOOKED_PREFIX + incident_id,
        tensors_prefix=f"tensors/{incident_id}/",
        job=JOB_PREFIX + incident_id,
        started_at=now,
        due=now + policy.swap_within,
        used_on=now.strftime("%Y-%m-%d"),
        used_today=0,
    )


def build_hooked_model(model: Mapping[str, Any], diagnosis: Diagnosis, bucket: str) -> dict[str, Any]:
    """The CreateModel request of the hooked twin: the live model plus one environment variable.

    Raises
    ------
    RejectedInputError
        The model has several containers; which of them to hook is not for us to guess.
    """
    if "PrimaryContainer" not in model:
        raise RejectedInputError(
            "is a pipeline of containers, which cannot be hooked", where=f"model {model.get('ModelName')}"
        )
    request = _without_described(model)
    container = dict(model["PrimaryContainer"])
    output = f"s3://{bucket}/{diagnosis.tensors_prefix.rstrip('/')}"
    container["Environment"] = {**container.get("Environment", {}), TENSORS_VARIABLE: output}
    return {**request, "ModelName": diagnosis.hooked_model, "PrimaryContainer": container}


def build_hooked_config(config: Mapping[str, Any], diagnosis: Diagnosis) -> dict[str, Any]:
    """The CreateEndpointConfig request of the clone: everything as it is live but one model's name.

    Variant names stay: RetainAllVariantProperties matches by name. Data capture stays: a configuration
    without it would switch capture off.
    """
    variants = [
        {**v, "ModelName": diagnosis.hooked_model} if v["VariantName"] == diagnosis.variant else dict(v)
        for v in config["ProductionVariants"]
    ]
    request = _without_described(config)
    return {**request, "EndpointConfigName": diagnosis.hooked_config, "ProductionVariants": variants}


def build_explain_job(diagnosis: Diagnosis, plan: JobPlan) -> dict[str, Any]:
    """The CreateProcessingJob request of the saliency job (``monitor_image/explain.py``)."""
    base = f"s3://{plan.bucket}/"
    inputs = [_build_input("tensors", base + diagnosis.tensors_prefix)]
    if plan.classes_key:
        inputs.append(_build_input("classes", base + plan.classes_key))
    return {
        "ProcessingJobName": diagnosis.job,
        "AppSpecification": {
            "ImageUri": plan.image_uri,
            "ContainerEntrypoint": ["python3", "/opt/program/explain.py"],
        },
        "Environment": {"MAX_IMAGES": str(plan.max_images), "SUSPECT_CLASS": diagnosis.subject},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "explanations",
                    "S3Output": {
                        "S3Uri": f"{base}{build_explain_prefix(diagnosis.incident_id)}",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": plan.instance_type, "VolumeSizeInGB": 20}
        },
        "RoleArn": plan.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": plan.max_runtime_seconds},
        "Tags": [{"Key": "sagewatch:incident", "Value": diagnosis.incident_id}],
    }


def build_explain_prefix(incident_id: str) -> str:
    """Where the saliency job's output lies in the evidence bucket."""
    return f"incidents/{incident_id}/explain/"


def _build_input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _without_described(described: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key not in _DESCRIBED_ONLY}
