"""Job definitions of the four kinds of monitor, and how they and a schedule's inline definition become one form."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.monitoring_kinds import KINDS, MonitorKind, read_input, read_kind
from sagewatch.sandbox.sagemaker.protocol import ApiError, only_members, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.sandbox.sagemaker.store import Store


def to_inline(kind: MonitorKind, definition: Mapping[str, Any]) -> dict[str, Any]:
    """A job definition in the words of a schedule's inline MonitoringJobDefinition.

    What only a definition can say stands beside them: ``GroundTruthS3Uri``, ``ConfigUri`` and ``ProblemType``.
    """
    application = dict(definition[f"{kind.name}AppSpecification"])
    monitored = dict(definition[f"{kind.name}JobInput"])
    truth = monitored.pop("GroundTruthS3Input", {})
    inline = {
        "BaselineConfig": definition.get(f"{kind.name}BaselineConfig"),
        "MonitoringInputs": [monitored],
        "GroundTruthS3Uri": truth.get("S3Uri"),
        "MonitoringOutputConfig": definition[f"{kind.name}JobOutputConfig"],
        "MonitoringResources": definition["JobResources"],
        "Environment": application.pop("Environment", {}),
        "ConfigUri": application.pop("ConfigUri", None),
        "ProblemType": application.pop("ProblemType", None),
        "MonitoringAppSpecification": application,
        "StoppingCondition": definition.get("StoppingCondition"),
        "NetworkConfig": definition.get("NetworkConfig"),
        "RoleArn": definition["RoleArn"],
    }
    return {key: value for key, value in inline.items() if value is not None}


class DefinitionOperations:
    """CreateDataQualityJobDefinition and its like, for each kind.

    Parameters
    ----------
    used_by
        Names of the schedules that use a definition of a kind.
    """

    def __init__(self, store: Store, used_by: Callable[[str, str], list[str]]) -> None:
        self._store = store
        self._used_by = used_by
        self._definitions: dict[tuple[str, str], dict[str, Any]] = {}
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {}
        for kind in KINDS.values():
            for verb, work in (("Create", self.create), ("Describe", self.describe), ("Delete", self.delete)):
                self.operations[f"{verb}{kind.name}JobDefinition"] = functools.partial(work, kind)
            self.operations[f"List{kind.name}JobDefinitions"] = functools.partial(self.list_definitions, kind)

    def create(self, kind: MonitorKind, request: Mapping[str, Any]) -> dict[str, Any]:
        """Write a definition down."""
        name = request["JobDefinitionName"]
        arn = self._store.arn(kind.resource, name)
        if (kind.name, name) in self._definitions:
            raise ApiError("ResourceInUse", f"Job definition {arn} already exists.")
        read_input(to_inline(kind, request))
        self._definitions[kind.name, name] = {
            **request,
            "JobDefinitionArn": arn,
            "CreationTime": time.time(),  # noqa: TID251  an edge
        }
        self._store.tag(arn, request.get("Tags"))
        return {"JobDefinitionArn": arn}

    def definition(self, kind: MonitorKind, name: str) -> dict[str, Any]:
        """A definition by name, or the error of its absence."""
        found = self._definitions.get((kind.name, name))
        if found is None:
            raise ApiError("ResourceNotFound", f"Could not find job definition {name}.")
        return found

    def read_inline(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What a schedule runs, in the words of an inline definition, wherever it is written."""
        if "MonitoringJobDefinition" in config:
            return dict(config["MonitoringJobDefinition"])
        kind = read_kind(config)
        return to_inline(kind, self.definition(kind, config["MonitoringJobDefinitionName"]))

    def describe(self, kind: MonitorKind, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was written down."""
        found = self.definition(kind, request["JobDefinitionName"])
        return only_members(f"Describe{kind.name}JobDefinition", found)

    def delete(self, kind: MonitorKind, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget a definition that no schedule uses."""
        name = request["JobDefinitionName"]
        found = self.definition(kind, name)
        if used_by := self._used_by(kind.name, name):
            raise refused(f"Job definition {name} is used by the schedule {used_by[0]}.")
        del self._definitions[kind.name, name]
        self._store.tags.pop(found["JobDefinitionArn"], None)
        return {}

    def list_definitions(self, kind: MonitorKind, request: Mapping[str, Any]) -> dict[str, Any]:
        """All definitions of a kind, or those of one endpoint."""
        summaries = [
            {
                "MonitoringJobDefinitionName": name,
                "MonitoringJobDefinitionArn": item["JobDefinitionArn"],
                "CreationTime": item["CreationTime"],
                "EndpointName": read_input(to_inline(kind, item)).endpoint,
            }
            for (owner, name), item in self._definitions.items()
            if owner == kind.name
        ]
        wanted = request.get("EndpointName")
        return build_page(
            request,
            [one for one in summaries if wanted in {None, one["EndpointName"]}],
            answer_key="JobDefinitionSummaries",
            name_key="MonitoringJobDefinitionName",
        )
