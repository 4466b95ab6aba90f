"""What the local SageMaker remembers: models, endpoint configs, endpoints, jobs and tags."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.moto_server import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagewatch.sandbox.sagemaker.variants import Fleet


@dataclass(slots=True)
class VariantState:
    """The part of a variant that changes without a new config."""

    name: str
    model_name: str
    weight: float
    instances: int | None


@dataclass(slots=True)
class EndpointRecord:
    """An endpoint now. Its lock is the store's. It keeps its config when that is deleted, as in AWS."""

    name: str
    arn: str
    config: Mapping[str, Any]
    status: str
    created: float
    modified: float
    variants: list[VariantState] = field(default_factory=list)
    pending_config_name: str | None = None
    pending_since: float = 0.0
    failure_reason: str | None = None
    deployment_config: Mapping[str, Any] | None = None
    fleet: Fleet | None = None

    @property
    def config_name(self) -> str:
        """The name of the config in force."""
        return str(self.config["EndpointConfigName"])


@dataclass(slots=True)
class JobRecord:
    """A processing job now: its request, what became of it, and the monitoring schedule that started it."""

    request: Mapping[str, Any]
    arn: str
    status: str
    created: float
    modified: float
    started: float | None = None
    ended: float | None = None
    exit_message: str | None = None
    failure_reason: str | None = None
    schedule_arn: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class Store:
    """Everything, behind one lock."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = threading.RLock()
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, EndpointRecord] = {}
        self.jobs: dict[str, JobRecord] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource; SageMaker writes names in lower case there."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT_ID}:{kind}/{name.lower()}"

    def tag(self, arn: str, tags: list[dict[str, str]] | None) -> None:
        """Add tags to a resource."""
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags or []})
