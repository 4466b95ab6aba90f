"""Whose an endpoint is: ``deploy-endpoint`` and ``teardown`` touch what they made and tagged, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sagewatch.diagnose.plan import HOOKED_PREFIX
from sagewatch.errors import ConfigurationError, SagewatchError

if TYPE_CHECKING:
    from boto3.session import Session

OWNED_TAG = "sagewatch:endpoint"
"""On everything that `deploy-endpoint` makes, with the endpoint's name."""


class NotOursError(SagewatchError):
    """The endpoint may not be touched; the message says why and what to do."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(f"{endpoint} was left alone: {why}")
        self.endpoint = endpoint


def open_session(region: str | None) -> Session:
    """A session of boto3 in the region given, or in that of the AWS configuration.

    Raises
    ------
    ConfigurationError
        There is none.
    """
    import boto3

    session = boto3.session.Session(region_name=region)
    if not session.region_name:
        raise ConfigurationError(
            "which region? Name it, or set AWS_DEFAULT_REGION", where="command line", key="--region"
        )
    return session


def is_made_for(name: str, arn: str, sagemaker: Any) -> bool:
    """Whether a resource was made by `deploy-endpoint` for the endpoint of that name."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return any(tag == {"Key": OWNED_TAG, "Value": name} for page in pages for tag in page["Tags"])


def is_recording(described: Mapping[str, Any]) -> bool:
    """Whether an endpoint, as DescribeEndpoint tells of it, is on a recording configuration of ours or on its way there."""
    return bool(list_recording_configs(described))


def list_recording_configs(described: Mapping[str, Any]) -> list[str]:
    """The recording configurations that an endpoint, as DescribeEndpoint tells of it, is on or on its way to."""
    coming = described.get("PendingDeploymentSummary", {}).get("EndpointConfigName", "")
    both = dict.fromkeys((str(described["EndpointConfigName"]), str(coming)))
    return [config for config in both if config.startswith(HOOKED_PREFIX)]
