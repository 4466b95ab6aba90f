"""SageMaker in memory: endpoints that move when told to, jobs that end when told to."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sagewatch.errors import RetryError


class MemorySageMaker:
    """``Hosting`` and ``Jobs`` in dicts. ``settle`` finishes whatever is under way.

    Attributes
    ----------
    calls
        Every changing call, in order, as (operation, name).
    rolls_back
        While True, updates end in a silent rollback.
    """

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.rolls_back = False
        self._target: dict[str, str] = {}

    def deploy(self, endpoint: str, variant: str = "AllTraffic", **config: Any) -> None:
        """An endpoint in service, with a model and a configuration of its own."""
        container = {"Image": "image", "ModelDataUrl": f"s3://models/{endpoint}.tar.gz", "Environment": {}}
        self.create_model({"ModelName": f"{endpoint}-model", "PrimaryContainer": container})
        variants = [{"VariantName": variant, "ModelName": f"{endpoint}-model", "InitialInstanceCount": 1}]
        self.create_endpoint_config(
            {"EndpointConfigName": f"{endpoint}-config", "ProductionVariants": variants, **config}
        )
        self.endpoints[endpoint] = {
            "EndpointName": endpoint,
            "EndpointConfigName": f"{endpoint}-config",
            "EndpointStatus": "InService",
        }
        self.calls.clear()

    def settle(self) -> None:
        """End every update under way, and every job."""
        for name, config in self._target.items():
            endpoint = self.endpoints[name]
            endpoint["EndpointStatus"] = "InService"
            if not self.rolls_back:
                endpoint["EndpointConfigName"] = config
        self._target.clear()
        for job in self.jobs.values():
            if job["ProcessingJobStatus"] in {"InProgress", "Stopping"}:
                ended = job["ProcessingJobStatus"] == "InProgress"
                job["ProcessingJobStatus"] = "Completed" if ended else "Stopped"

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """The endpoint as it is now."""
        return copy.deepcopy(self.endpoints.get(name))

    def describe_endpoint_config(self, name: str) -> dict[str, Any] | None:
        """The configuration."""
        return copy.deepcopy(self.configs.get(name))

    def describe_model(self, name: str) -> dict[str, Any] | None:
        """The model."""
        return copy.deepcopy(self.models.get(name))

    def list_tags(self, arn: str) -> dict[str, str]:
        """The tags that models and configurations were made with."""
        everything = [*self.models.values(), *self.configs.values()]
        found = [one for one in everything if one.get("ModelArn", one.get("EndpointConfigArn")) == arn]
        return {tag["Key"]: tag["Value"] for one in found for tag in one.get("Tags", [])}

    def create_model(self, request: Mapping[str, Any]) -> None:
        """Make the model unless there is one."""
        self.calls.append(("CreateModel", request["ModelName"]))
        arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model/{request['ModelName']}"
        self.models.setdefault(request["ModelName"], {**request, "ModelArn": arn})

    def create_endpoint_config(self, request: Mapping[str, Any]) -> None:
        """Make the configuration unless there is one."""
        self.calls.append(("CreateEndpointConfig", request["EndpointConfigName"]))
        arn = f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/{request['EndpointConfigName']}"
        self.configs.setdefault(request["EndpointConfigName"], {**request, "EndpointConfigArn": arn})

    def update_endpoint(self, name: str, config_name: str, deployment: Mapping[str, Any]) -> None:
        """Start an update; busy while one is under way."""
        self.calls.append(("UpdateEndpoint", config_name))
        endpoint = self.endpoints[name]
        if endpoint["EndpointStatus"] != "InService" or config_name not in self.configs:
            raise RetryError("endpoint_is_busy")
        endpoint["EndpointStatus"] = "Updating"
        endpoint["LastDeploymentConfig"] = dict(deployment)
        if not deployment:
            del endpoint["LastDeploymentConfig"]
        self._target[name] = config_name

    def delete_endpoint_config(self, name: str) -> None:
        """Remove the configuration."""
        self.calls.append(("DeleteEndpointConfig", name))
        self.configs.pop(name, None)

    def delete_model(self, name: str) -> None:
        """Remove the model."""
        self.calls.append(("DeleteModel", name))
        self.models.pop(name, None)

    def create_processing_job(self, request: Mapping[str, Any]) -> None:
        """Start the job unless there is one."""
        self.calls.append(("CreateProcessingJob", request["ProcessingJobName"]))
        self.jobs.setdefault(request["ProcessingJobName"], {**request, "ProcessingJobStatus": "InProgress"})

    def describe_processing_job(self, name: str) -> dict[str, Any] | None:
        """The job as it is now."""
        return copy.deepcopy(self.jobs.get(name))

    def stop_processing_job(self, name: str) -> None:
        """Stop the job, unless it has ended."""
        self.calls.append(("StopProcessingJob", name))
        if name in self.jobs and self.jobs[name]["ProcessingJobStatus"] == "InProgress":
            self.jobs[name]["ProcessingJobStatus"] = "Stopping"
