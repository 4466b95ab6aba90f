"""What DescribeEndpoint shows, and what an update keeps. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.store import EndpointRecord, VariantState

if TYPE_CHECKING:
    from collections.abc import Mapping


def initial_variants(config: Mapping[str, Any]) -> list[VariantState]:
    """The variants of a config as it names them."""
    return [
        VariantState(
            name=variant["VariantName"],
            model_name=variant["ModelName"],
            weight=float(variant.get("InitialVariantWeight", 1.0)),
            instances=variant.get("InitialInstanceCount"),
        )
        for variant in config["ProductionVariants"]
    ]


def retained_variants(config: Mapping[str, Any], old: list[VariantState]) -> list[VariantState]:
    """The variants of a new config with weight and instance count of the old variant of the same name."""
    by_name = {variant.name: variant for variant in old}
    new = initial_variants(config)
    for variant in new:
        if variant.name in by_name:
            variant.weight = by_name[variant.name].weight
            variant.instances = by_name[variant.name].instances
    return new


def describe_variant(variant: VariantState) -> dict[str, Any]:
    """A variant as DescribeEndpoint shows it."""
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
    }
    if variant.instances is not None:
        shown |= {"CurrentInstanceCount": variant.instances, "DesiredInstanceCount": variant.instances}
    return shown


def describe_capture(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The short form of a DataCaptureConfig that DescribeEndpoint shows; headers and options are left out."""
    if config is None:
        return None
    enabled = config.get("EnableCapture", False)
    shown = {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
    return {key: value for key, value in shown.items() if value != ""}


def describe_endpoint(record: EndpointRecord) -> dict[str, Any]:
    """What DescribeEndpoint answers; what is absent is left out, or the SDK's own models refuse it."""
    described: dict[str, Any] = {
        "EndpointName": record.name,
        "EndpointArn": record.arn,
        "EndpointConfigName": record.config_name,
        "EndpointStatus": record.status,
        "CreationTime": record.created,
        "LastModifiedTime": record.modified,
        "ProductionVariants": [describe_variant(variant) for variant in record.variants] or None,
        "DataCaptureConfig": describe_capture(record.config.get("DataCaptureConfig")),
        "FailureReason": record.failure_reason,
        "LastDeploymentConfig": record.deployment_config,
    }
    if record.pending_config_name is not None:
        described["PendingDeploymentSummary"] = {
            "EndpointConfigName": record.pending_config_name,
            "StartTime": record.pending_since,
        }
    return {key: value for key, value in described.items() if value is not None}
