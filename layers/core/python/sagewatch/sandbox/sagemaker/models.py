"""Models, endpoint configs and tags: what is written down and does not move."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.protocol import only_members, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.sandbox.sagemaker.store import Store


class ModelOperations:
    """CreateModel and its like."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateModel": self.create_model,
            "DescribeModel": self.describe_model,
            "DeleteModel": self.delete_model,
            "ListModels": self.list_models,
            "CreateEndpointConfig": self.create_endpoint_config,
            "DescribeEndpointConfig": self.describe_endpoint_config,
            "DeleteEndpointConfig": self.delete_endpoint_config,
            "ListEndpointConfigs": self.list_endpoint_configs,
            "AddTags": self.add_tags,
            "ListTags": self.list_tags,
            "DeleteTags": self.delete_tags,
        }

    def create_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a model down. Its data is fetched when an endpoint needs it."""
        name = request["ModelName"]
        arn = self._store.arn("model", name)
        if name in self._store.models:
            raise refused(f'Cannot create already existing model "{arn}".')
        if not request.get("PrimaryContainer") and not request.get("Containers"):
            raise refused("Either PrimaryContainer or Containers must be given.")
        self._store.models[name] = {
            "EnableNetworkIsolation": False,
            **request,
            "ModelArn": arn,
            "CreationTime": time.time(),  # noqa: TID251  an edge
        }
        self._store.tag(arn, request.get("Tags"))
        return {"ModelArn": arn}

    def model(self, name: str) -> dict[str, Any]:
        """A model by name, or the error of its absence."""
        found = self._store.models.get(name)
        if found is None:
            raise refused(f'Could not find model "{self._store.arn("model", name)}".')
        return found

    def describe_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was written down."""
        return only_members("DescribeModel", self.model(request["ModelName"]))

    def delete_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a model; a running endpoint keeps its copy, as in AWS."""
        found = self.model(request["ModelName"])
        del self._store.models[request["ModelName"]]
        self._store.tags.pop(found["ModelArn"], None)
        return {}

    def list_models(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All models."""
        keys = ("ModelName", "ModelArn", "CreationTime")
        summaries = [{key: item[key] for key in keys} for item in self._store.models.values()]
        return build_page(request, summaries, answer_key="Models", name_key="ModelName")

    def create_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a config down; its models must exist, its name must not."""
        name = request["EndpointConfigName"]
        arn = self._store.arn("endpoint-config", name)
        if name in self._store.configs:
            raise refused(f'Cannot create already existing endpoint configuration "{arn}".')
        for variant in request["ProductionVariants"]:
            self.model(variant.get("ModelName", ""))
        self._store.configs[name] = {
            "EnableNetworkIsolation": False,
            **request,
            "EndpointConfigArn": arn,
            "CreationTime": time.time(),  # noqa: TID251  an edge
        }
        self._store.tag(arn, request.get("Tags"))
        return {"EndpointConfigArn": arn}

    def config(self, name: str) -> dict[str, Any]:
        """A config by name, or the error of its absence."""
        found = self._store.configs.get(name)
        if found is None:
            arn = self._store.arn("endpoint-config", name)
            raise refused(f'Could not find endpoint configuration "{arn}".')
        return found

    def describe_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was written down."""
        return only_members("DescribeEndpointConfig", self.config(request["EndpointConfigName"]))

    def delete_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a config."""
        found = self.config(request["EndpointConfigName"])
        del self._store.configs[request["EndpointConfigName"]]
        self._store.tags.pop(found["EndpointConfigArn"], None)
        return {}

    def list_endpoint_configs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All configs."""
        keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        summaries = [{key: item[key] for key in keys} for item in self._store.configs.values()]
        return build_page(request, summaries, answer_key="EndpointConfigs", name_key="EndpointConfigName")

    def add_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Add tags, and answer all of them."""
        self._store.tag(request["ResourceArn"], list(request["Tags"]))
        return self.list_tags(request)

    def list_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The tags of a resource."""
        tags = self._store.tags.get(request["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def delete_tags(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Take tags away."""
        for key in request["TagKeys"]:
            self._store.tags.get(request["ResourceArn"], {}).pop(key, None)
        return {}
