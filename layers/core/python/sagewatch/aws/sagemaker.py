"""``Hosting`` and ``Jobs`` in SageMaker. Source: SageMaker API reference; CONTRACTS of UpdateEndpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.errors import DeclinedError, RefusedError, RetryError


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

    def list_tags(self, arn: str) -> dict[str, str]:
        """The resource's tags."""
        with sorting_errors():
            pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {row["Key"]: row["Value"] for page in pages for row in page["Tags"]}

    def create_model(self, request: Mapping[str, Any]) -> None:
        """Make the model, unless it exists."""
        name = request["ModelName"]
        _create(self._client.create_model, request, lambda: self.describe_model(name))

    def create_endpoint_config(self, request: Mapping[str, Any]) -> None:
        """Make the configuration, unless it exists."""
        name = request["EndpointConfigName"]
        _create(self._client.create_endpoint_config, request, lambda: self.describe_endpoint_config(name))

    def update_endpoint(self, name: str, config_name: str, deployment: Mapping[str, Any]) -> None:
        """Start the move. Weights and instance counts that autoscaling set stay (matched by variant name)."""
        request: dict[str, Any] = {
            "EndpointName": name,
            "EndpointConfigName": config_name,
            "RetainAllVariantProperties": True,
        }
        if deployment:
            request["DeploymentConfig"] = dict(deployment)
        try:
            _change(self._client.update_endpoint, **request)
        except RefusedError as error:
            # The API has one code for "busy now", for "config not visible yet" and for a deployment that it will
            # never begin: two heal with time, and what does not heal ends with the diagnosis's own deadline.
            if error.code == "ValidationException":
                raise DeclinedError("update_refused", error.message) from error
            raise
        except RetryError as error:
            if error.reason == "ResourceLimitExceeded":  # no room for the fleet that this deployment needs
                raise DeclinedError(error.reason, str(error.__cause__ or "")) from error
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
    """Processing jobs.

    Parameters
    ----------
    client
        Of another account or region, in place of ours.
    """

    def __init__(self, client: Any = None) -> None:
        self._client = client or build_client("sagemaker")

    def create_processing_job(self, request: Mapping[str, Any]) -> None:
        """Start the job, unless there is one of that name."""
        name = request["ProcessingJobName"]
        _create(self._client.create_processing_job, request, lambda: self.describe_processing_job(name))

    def describe_processing_job(self, name: str) -> dict[str, Any] | None:
        """The job as it is now."""
        return _describe(self._client.describe_processing_job, ProcessingJobName=name)

    def stop_processing_job(self, name: str) -> None:
        """Ask the job to stop, unless it has ended."""
        job = self.describe_processing_job(name)
        if job is not None and job["ProcessingJobStatus"] == "InProgress":
            _change(self._client.stop_processing_job, ProcessingJobName=name)


def _describe(call: Callable[..., dict[str, Any]], **names: str) -> dict[str, Any] | None:
    try:
        with sorting_errors():
            answer = call(**names)
    except ClientError as error:
        # SageMaker says "Could not find ..." with the code ValidationException, or ResourceNotFound;
        # a describe call with a well-formed name has no other validation to fail.
        if read_code(error) in {"ValidationException", "ResourceNotFound"}:
            return None
        raise
    answer.pop("ResponseMetadata", None)  # of this call, not of the thing
    return answer


def _create(
    call: Callable[..., Any], request: Mapping[str, Any], describe: Callable[[], dict[str, Any] | None]
) -> None:
    if describe() is not None:
        return
    try:
        _change(call, **request)
    except (RefusedError, RetryError):
        # "Already exists" has the code of any other mistake, and another worker may have been faster.
        if describe() is None:
            raise


def _change(call: Callable[..., Any], **request: Any) -> None:
    try:
        with sorting_errors():
            call(**request)
    except ClientError as error:
        message = str(error.response.get("Error", {}).get("Message", ""))
        raise RefusedError(error.operation_name, read_code(error), message) from error
    except ParamValidationError as error:
        # The SDK knows the API better than whoever wrote the live configuration's clone.
        raise RefusedError(call.__name__, "ParamValidation", str(error)) from error
