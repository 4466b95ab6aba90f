"""Data-quality job definitions, and how they and a schedule's inline definition become one form."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.protocol import ApiError, only_members, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.sandbox.sagemaker.store import Store

PREFIX = "DataQuality"


def to_inline(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A data-quality job definition in the words of a schedule's inline MonitoringJobDefinition."""
    application = dict(definition[f"{PREFIX}AppSpecification"])
    environment = application.pop("Environment", {})
    inline = {
        "BaselineConfig": definition.get(f"{PREFIX}BaselineConfig"),
        "MonitoringInputs": [definition[f"{PREFIX}JobInput"]],
        "MonitoringOutputConfig": definition[f"{PREFIX}JobOutputConfig"],
        "MonitoringResources": definition["JobResources"],
        "MonitoringAppSpecification": application,
        "StoppingCondition": definition.get("StoppingCondition"),
        "Environment": environment,
        "NetworkConfig": definition.get("NetworkConfig"),
        "RoleArn": definition["RoleArn"],
    }
    return {key: value for key, value in inline.items() if value is not None}


def read_endpoint_input(inline: Mapping[str, Any]) -> dict[str, Any]:
    """The one input that is an endpoint.

    Raises
    ------
    ApiError
        There is another kind of input: a batch transform's captures are not looked at here.
    """
    inputs = inline["MonitoringInputs"]
    if len(inputs) != 1 or "EndpointInput" not in inputs[0]:
        raise refused("the local SageMaker monitors one EndpointInput only")
    return dict(inputs[0]["EndpointInput"])


class DefinitionOperations:
    """CreateDataQualityJobDefinition and its like.

    Parameters
    ----------
    used_by
        Names of the schedules that use a definition.
    """

    def __init__(self, store: Store, used_by: Callable[[str], list[str]]) -> None:
        self._store = store
        self._used_by = used_by
        self._definitions: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateDataQualityJobDefinition": self.create,
            "DescribeDataQualityJobDefinition": self.describe,
            "DeleteDataQualityJobDefinition": self.delete,
            "ListDataQualityJobDefinitions": self.list_definitions,
        }

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a definition down."""
        name = request["JobDefinitionName"]
        arn = self._store.arn("data-quality-job-definition", name)
        if name in self._definitions:
            raise ApiError("ResourceInUse", f"Job definition {arn} already exists.")
        read_endpoint_input(to_inline(request))
        self._definitions[name] = {
            **request,
            "JobDefinitionArn": arn,
            "CreationTime": time.time(),  # noqa: TID251  an edge
        }
        self._store.tag(arn, request.get("Tags"))
        return {"JobDefinitionArn": arn}

    def definition(self, name: str) -> dict[str, Any]:
        """A definition by name, or the error of its absence."""
        found = self._definitions.get(name)
        if found is None:
            raise ApiError("ResourceNotFound", f"Could not find job definition {name}.")
        return found

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was written down."""
        found = self.definition(request["JobDefinitionName"])
        return only_members("DescribeDataQualityJobDefinition", found)

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a definition that no schedule uses."""
        name = request["JobDefinitionName"]
        found = self.definition(name)
        if used_by := self._used_by(name):
            raise refused(f"Job definition {name} is used by the schedule {used_by[0]}.")
        del self._definitions[name]
        self._store.tags.pop(found["JobDefinitionArn"], None)
        return {}

    def list_definitions(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All definitions, or those of one endpoint."""
        summaries = [
            {
                "MonitoringJobDefinitionName": name,
                "MonitoringJobDefinitionArn": item["JobDefinitionArn"],
                "CreationTime": item["CreationTime"],
                "EndpointName": read_endpoint_input(to_inline(item))["EndpointName"],
            }
            for name, item in self._definitions.items()
        ]
        wanted = request.get("EndpointName")
        return build_page(
            request,
            [one for one in summaries if wanted in {None, one["EndpointName"]}],
            answer_key="JobDefinitionSummaries",
            name_key="MonitoringJobDefinitionName",
        )
