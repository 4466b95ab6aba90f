"""The hooked twin of what is live, and the owner's own made again from it: requests of the create calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagewatch.diagnose.model import RESTORED_PREFIX, Diagnosis, Policy

TENSORS_VARIABLE = "TENSORS_OUTPUT"
HOOK_VARIABLES = frozenset({TENSORS_VARIABLE, "TENSORS_EVERY", "TENSORS_MAX_REQUESTS", "TENSORS_MAX_BYTES"})
INCIDENT_TAG = "sagewatch:incident"
WITHHELD = "(withheld)"
MOST_TAGS = 50
"""What SageMaker takes of a resource's tags."""
ARCHIVE = ".tar.gz"
_MEGABYTE = 1_000_000
# What the describe calls answer and the create calls do not take; a contract test holds it against botocore.
DESCRIBED_ONLY = frozenset(
    {"EndpointConfigArn", "ModelArn", "CreationTime", "DeploymentRecommendation", "ResponseMetadata"}
)
_PLAIN_SOURCE = frozenset({"S3Uri", "S3DataType", "CompressionType"})


def build_hooked_model(
    model: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis, bucket: str, policy: Policy
) -> dict[str, Any]:
    """The CreateModel request of the hooked twin: the live model and a few environment variables."""
    container = _name_data_once(model["PrimaryContainer"])
    container["Environment"] = {
        **container.get("Environment", {}),
        TENSORS_VARIABLE: f"s3://{bucket}/{diagnosis.tensors_prefix.rstrip('/')}",
        "TENSORS_EVERY": str(policy.every),
        "TENSORS_MAX_REQUESTS": str(policy.requests),
        "TENSORS_MAX_BYTES": str(policy.megabytes * _MEGABYTE),
    }
    return {
        **_without_described(model),
        "ModelName": diagnosis.hooked_model,
        "PrimaryContainer": container,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_hooked_config(
    config: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis
) -> dict[str, Any]:
    """The CreateEndpointConfig request of the clone: everything as it is live but one model's name.

    Variant names stay: RetainAllVariantProperties matches by name. Instance types stay: changing one, or
    dropping a variant, fails where autoscaling holds it. Data capture stays: a configuration without it
    would switch capture off.
    """
    variants = [
        {**v, "ModelName": diagnosis.hooked_model} if v["VariantName"] == diagnosis.variant else dict(v)
        for v in config["ProductionVariants"]
    ]
    return {
        **_without_described(config),
        "EndpointConfigName": diagnosis.hooked_config,
        "ProductionVariants": variants,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_restored_model(
    hooked: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis
) -> dict[str, Any]:
    """The CreateModel request of the owner's model as it was: our twin without the hook's variables."""
    container = _name_data_once(hooked["PrimaryContainer"])
    environment = container.get("Environment", {})
    container["Environment"] = {k: v for k, v in environment.items() if k not in HOOK_VARIABLES}
    return {
        **_without_described(hooked),
        "ModelName": RESTORED_PREFIX + diagnosis.incident_id,
        "PrimaryContainer": container,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_restored_config(
    hooked: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis, model: str
) -> dict[str, Any]:
    """The CreateEndpointConfig request of the owner's configuration as it was: our clone with the owner's model."""
    variants = [
        {**v, "ModelName": model} if v.get("ModelName") == diagnosis.hooked_model else dict(v)
        for v in hooked["ProductionVariants"]
    ]
    return {
        **_without_described(hooked),
        "EndpointConfigName": RESTORED_PREFIX + diagnosis.incident_id,
        "ProductionVariants": variants,
        "Tags": _build_tags(tags, diagnosis),
    }


def withhold_environment(value: Any) -> Any:
    """The same description without the values of containers' variables, but for the hook's: people keep passwords there."""
    if isinstance(value, list):
        return [withhold_environment(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: {name: one if name in HOOK_VARIABLES else WITHHELD for name, one in inside.items()}
        if key == "Environment" and isinstance(inside, Mapping)
        else withhold_environment(inside)
        for key, inside in value.items()
    }


def find_archive(container: Mapping[str, Any]) -> str:
    """Where the model's one archive lies; empty where it has none, such as where its files lie unpacked.

    Examples
    --------
    >>> source = {"S3Uri": "s3://models/a.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    >>> find_archive({"ModelDataSource": {"S3DataSource": source}})
    's3://models/a.tar.gz'
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    url = str(container.get("ModelDataUrl") or source.get("S3Uri") or "")
    return url if url.endswith(ARCHIVE) else ""


def _name_data_once(container: Mapping[str, Any]) -> dict[str, Any]:
    """The container with its data named as CreateModel takes it: by their address, or by their source, not by both.

    DescribeModel answers an address with the source it stands for as well. The address is kept, as nearly every
    owner gave it, unless the source says more or other things.
    """
    named = dict(container)
    if "ModelDataUrl" in named and "ModelDataSource" in named:
        source = named["ModelDataSource"].get("S3DataSource", {})
        is_same = source.get("S3Uri") == named["ModelDataUrl"] and source.get("CompressionType") == "Gzip"
        del named["ModelDataSource" if is_same and source.keys() <= _PLAIN_SOURCE else "ModelDataUrl"]
    return named


def _build_tags(tags: Mapping[str, str], diagnosis: Diagnosis) -> list[dict[str, str]]:
    """The owner's tags, so that costs and rights go by them, and ours. AWS's own cannot be given.

    Of as many as a resource may have the owner's last is left out: a clone without ours could not be found again.
    """
    kept = {k: v for k, v in tags.items() if not k.startswith("aws:") and k != INCIDENT_TAG}
    room = dict(list(kept.items())[: MOST_TAGS - 1])
    return [{"Key": k, "Value": v} for k, v in {**room, INCIDENT_TAG: diagnosis.incident_id}.items()]


def _without_described(described: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key not in DESCRIBED_ONLY}
