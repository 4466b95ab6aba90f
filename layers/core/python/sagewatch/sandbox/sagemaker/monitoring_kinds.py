"""The four kinds of monitor, as SageMaker names their definitions, their jobs and what they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagewatch.sandbox.sagemaker.protocol import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_KIND: Final = "DataQuality"


@dataclass(frozen=True, slots=True)
class MonitorKind:
    """One kind.

    Parameters
    ----------
    name
        As MonitoringType has it; it also begins the names of a definition's members.
    resource
        The part of a definition's ARN.
    job
        How the names of its jobs begin.
    needs_truth
        Captures are joined with ground truth by a job of its own first.
    by_clarify
        Its image is Clarify's: it reads its settings from a file and is given no environment.
    """

    name: str
    resource: str
    job: str
    needs_truth: bool = False
    by_clarify: bool = False


KINDS: Final = {
    kind.name: kind
    for kind in (
        MonitorKind("DataQuality", "data-quality-job-definition", "model-monitoring"),
        MonitorKind(
            "ModelQuality", "model-quality-job-definition", "model-quality-monitoring", needs_truth=True
        ),
        MonitorKind(
            "ModelBias",
            "model-bias-job-definition",
            "model-bias-monitoring",
            needs_truth=True,
            by_clarify=True,
        ),
        MonitorKind(
            "ModelExplainability",
            "model-explainability-job-definition",
            "model-explainability-monitoring",
            by_clarify=True,
        ),
    )
}


def read_kind(config: Mapping[str, Any]) -> MonitorKind:
    """What a schedule's config monitors."""
    return KINDS[config.get("MonitoringType", DEFAULT_KIND)]


@dataclass(frozen=True, slots=True)
class MonitoredInput:
    """What a monitor looks at: an endpoint's captures, or a batch transform's.

    Parameters
    ----------
    endpoint
        Its name; empty for a batch transform.
    captured_uri
        Where a batch transform's captures go; empty for an endpoint.
    given
        The whole EndpointInput or BatchTransformInput.
    """

    endpoint: str
    captured_uri: str
    given: Mapping[str, Any]

    @property
    def local_path(self) -> str:
        """Where the data lie in the container."""
        return str(self.given["LocalPath"])


def read_input(inline: Mapping[str, Any]) -> MonitoredInput:
    """The one input of a definition.

    Raises
    ------
    ApiError
        There is none, or there are several.
    """
    inputs = inline["MonitoringInputs"]
    if len(inputs) == 1 and "EndpointInput" in inputs[0]:
        given = inputs[0]["EndpointInput"]
        return MonitoredInput(str(given["EndpointName"]), "", given)
    if len(inputs) == 1 and "BatchTransformInput" in inputs[0]:
        given = inputs[0]["BatchTransformInput"]
        return MonitoredInput("", str(given["DataCapturedDestinationS3Uri"]).rstrip("/"), given)
    raise refused("One EndpointInput or one BatchTransformInput must be given.")
