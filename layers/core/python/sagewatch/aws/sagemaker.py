"""``Hosting`` and ``Jobs`` in SageMaker. Source: SageMaker API reference; CONTRACTS of UpdateEndpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.errors import RetryError


class SageMakerHosting:
    """Endpoints, their configurations and models."""

    def __init__(self) -> None:
        self._client = build_client("sagemaker")

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """The endpoint as it is now."""
        return _describe(self._client.describe_endpoint, EndpointName=name)

    def describe_endpoint_config(self, name: str) -> dict[str, Any] | None:
        """The configuration."""
        return _describe(self._client.describe_endpoint_config, EndpointConfigName=name)

    def describe_model(self, name: str) -> dict[str, Any] | None:
        """The model."""
        return _describe(self._client.describe_model, ModelName=name)

    def create_model(self, request: Mapping[str, Any]) -> None:
        """Make the model, unless it exists."""
        if self.describe_model(request["ModelName"]) is None:
            _change(self._client.create_model, **request)

    def create_endpoint_config(self, request: Mapping[str, Any]) -> None:
        """Make the configuration, unless it exists."""
        if self.describe_endpoint_config(request["EndpointConfigName"]) is None:
            _change(self._client.create_endpoint_config, **request)

    def update_endpoint(self, name: str, config_name: str) -> None:
        """Start the move. Weights and instance counts that autoscaling set stay (matched by variant name)."""
        try:
            _change(
                self._client.update_endpoint,
                EndpointName=name,
                EndpointConfigName=config_name,
                RetainAllVariantProperties=True,
            )
        except ClientError as error:
            # The API has one code for "busy now" and for "config not visible yet"; both heal with time,
            # and what does not heal ends in the dead-letter queue with this error in its log.
            if read_code(error) == "ValidationException":
                raise RetryError("update_refused") from error
            raise

    def delete_endpoint_config(self, name: str) -> None:
        """Remove the configuration, unless it is gone."""
        if self.describe_endpoint_config(name) is not None:
            _change(self._client.delete_endpoint_config, EndpointConfigName=name)

    def delete_model(self, name: str) -> None:
        """Remove the model, unless it is gone."""
        if self.describe_model(name) is not None:
            _change(self._client.delete_model, ModelName=name)


class SageMakerJobs:
    """Processing jobs."""

    def __init__(self) -> None:
        self._client = build_client("sagemaker")

    def create_processing_job(self, request: Mapping[str, Any]) -> None:
        """Start the job, unless there is one of that name."""
        if self.describe_processing_job(request["ProcessingJobName"]) is None:
            _change(self._client.create_processing_job, **request)

    def describe_processing_job(self, name: str) -> dict[str, Any] | None:
        """The job as it is now."""
        return _describe(self._client.describe_processing_job, ProcessingJobName=name)


def _describe(call: Callable[..., dict[str, Any]], **names: str) -> dict[str, Any] | None:
    try:
        with sorting_errors():
            return call(**names)
    except ClientError as error:
        # SageMaker says "Could not find ..." with the code ValidationException, or ResourceNotFound;
        # a describe call with a well-formed name has no other validation to fail.
        if read_code(error) in {"ValidationException", "ResourceNotFound"}:
            return None
        raise


def _change(call: Callable[..., Any], **request: Any) -> None:
    with sorting_errors():
        call(**request)
