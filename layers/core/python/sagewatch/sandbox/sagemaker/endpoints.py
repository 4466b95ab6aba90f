"""Endpoints: Creating -> InService -> Updating -> InService ..., each step in its own time, as in AWS.

An update is blue-green: the new containers answer /ping before the old ones end. Where they never do, the
endpoint is InService again with its OLD config, and says no more: only the config's name tells.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.sagemaker.endpoint_description import (
    describe_endpoint,
    initial_variants,
    retained_variants,
)
from sagewatch.sandbox.sagemaker.events import ENDPOINT_CHANGE, EventSender, build_endpoint_detail
from sagewatch.sandbox.sagemaker.faults import Fault, Faults
from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.protocol import refused
from sagewatch.sandbox.sagemaker.store import EndpointRecord, Store
from sagewatch.sandbox.sagemaker.variants import ContainerHost, Fleet, UnhealthyVariantError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.sandbox.sagemaker.capture_writer import CaptureWriter
    from sagewatch.sandbox.sagemaker.models import ModelOperations

LOG = logging.getLogger(__name__)


class EndpointOperations:
    """CreateEndpoint and its like, and the threads in which endpoints change."""

    def __init__(
        self,
        store: Store,
        models: ModelOperations,
        host: ContainerHost,
        captures: CaptureWriter,
        sender: EventSender,
        faults: Faults,
    ) -> None:
        self._store = store
        self._models = models
        self._host = host
        self._captures = captures
        self._sender = sender
        self._faults = faults
        self._threads: list[threading.Thread] = []
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateEndpoint": self.create_endpoint,
            "DescribeEndpoint": self.describe_endpoint,
            "UpdateEndpoint": self.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self.update_weights,
            "DeleteEndpoint": self.delete_endpoint,
            "ListEndpoints": self.list_endpoints,
        }

    def endpoint(self, name: str) -> EndpointRecord:
        """An endpoint by name, or the error of its absence."""
        found = self._store.endpoints.get(name)
        if found is None:
            raise refused(f'Could not find endpoint "{self._store.arn("endpoint", name)}".')
        return found

    def create_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to create; answered at once."""
        name = request["EndpointName"]
        config = self._models.config(request["EndpointConfigName"])
        arn = self._store.arn("endpoint", name)
        if name in self._store.endpoints:
            raise refused(f'Cannot create already existing endpoint "{arn}".')
        now = time.time()  # noqa: TID251  an edge
        record = EndpointRecord(name, arn, config, "Creating", now, now)
        self._store.endpoints[name] = record
        self._store.tag(arn, request.get("Tags"))
        self._announce(record)
        self._run(self._create, record, config)
        return {"EndpointArn": arn}

    def describe_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The endpoint now."""
        record = self.endpoint(request["EndpointName"])
        return describe_endpoint(record)

    def update_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to replace the config; refused while the endpoint is not InService."""
        record = self.endpoint(request["EndpointName"])
        config = self._models.config(request["EndpointConfigName"])
        for variant in config["ProductionVariants"]:
            self._models.model(variant["ModelName"])
        self._refuse_unless_in_service(record)
        if self._faults.take(Fault.REFUSE_UPDATE):
            raise refused(f'Cannot update in-progress endpoint "{record.arn}".')
        if request.get("DeploymentConfig") and self._faults.take(Fault.REFUSE_DEPLOYMENT):
            raise refused("The alarms of the deployment's auto-rollback do not exist.")
        if request["EndpointConfigName"] == record.config_name:
            raise refused("The new endpoint configuration is the one in use: a new one is needed.")
        record.pending_config_name = config["EndpointConfigName"]
        record.pending_since = time.time()  # noqa: TID251  an edge
        record.deployment_config = request.get("DeploymentConfig", record.deployment_config)
        self._change(record, "Updating")
        self._run(self._update, record, config, bool(request.get("RetainAllVariantProperties", False)))
        return {"EndpointArn": record.arn}

    def update_weights(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Change weights and instance counts; done at once."""
        record = self.endpoint(request["EndpointName"])
        self._refuse_unless_in_service(record)
        by_name = {variant.name: variant for variant in record.variants}
        for wanted in request["DesiredWeightsAndCapacities"]:
            variant = by_name.get(wanted["VariantName"])
            if variant is None:
                raise refused(f'The variant "{wanted["VariantName"]}" does not exist.')
            variant.weight = float(wanted.get("DesiredWeight", variant.weight))
            variant.instances = wanted.get("DesiredInstanceCount", variant.instances)
        self._change(record, "InService")
        return {"EndpointArn": record.arn}

    def delete_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to delete."""
        record = self.endpoint(request["EndpointName"])
        if record.status in {"Creating", "Updating", "Deleting"}:
            raise refused(f'Cannot delete endpoint "{record.arn}" while it is {record.status}.')
        self._change(record, "Deleting")
        self._run(self._delete, record)
        return {}

    def list_endpoints(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """All endpoints."""
        summaries = [
            {
                "EndpointName": record.name,
                "EndpointArn": record.arn,
                "CreationTime": record.created,
                "LastModifiedTime": record.modified,
                "EndpointStatus": record.status,
            }
            for record in self._store.endpoints.values()
        ]
        return build_page(
            request, summaries, answer_key="Endpoints", name_key="EndpointName", status_key="EndpointStatus"
        )

    def stop(self) -> None:
        """End every container, in order where no update is under way."""
        with self._store.lock:
            fleets = [record.fleet for record in self._store.endpoints.values() if record.fleet]
        for fleet in fleets:
            fleet.stop()
        self._host.close()
        for thread in self._threads:
            thread.join(1)

    def _refuse_unless_in_service(self, record: EndpointRecord) -> None:
        if record.status != "InService":
            raise refused(f'Cannot update in-progress endpoint "{record.arn}".')

    def _start_fleet(self, record: EndpointRecord, config: Mapping[str, Any]) -> Fleet:
        with self._store.lock:
            models = {
                variant["ModelName"]: self._models.model(variant["ModelName"])
                for variant in config["ProductionVariants"]
            }
        return self._host.start_fleet(record.name, config, models)

    def _create(self, record: EndpointRecord, config: Mapping[str, Any]) -> None:
        try:
            fleet = self._start_fleet(record, config)
        except UnhealthyVariantError as error:
            with self._store.lock:
                record.failure_reason = str(error)[:1024]
                self._change(record, "Failed")
            return
        with self._store.lock:
            record.fleet = fleet
            record.variants = initial_variants(config)
            self._change(record, "InService")

    def _update(self, record: EndpointRecord, config: Mapping[str, Any], retain: bool) -> None:
        slow = self._faults.take(Fault.SLOW_UPDATE)
        if slow:
            time.sleep(slow.seconds)
        new: Fleet | None = None
        if not self._faults.take(Fault.SILENT_ROLLBACK):
            try:
                new = self._start_fleet(record, config)
            except UnhealthyVariantError as error:
                LOG.warning("update_rolled_back endpoint=%s %s", record.name, error)
        if new is not None:
            with self._store.lock:
                old, record.fleet = record.fleet, new  # traffic moves here
            self._captures.flush(record.name)
            if old is not None:
                old.stop()
        with self._store.lock:
            if new is not None:
                record.config = config
                record.variants = (
                    retained_variants(config, record.variants) if retain else initial_variants(config)
                )
            record.pending_config_name = None
            self._change(record, "InService")

    def _delete(self, record: EndpointRecord) -> None:
        if record.fleet is not None:
            record.fleet.stop()
        self._captures.flush(record.name)
        with self._store.lock:
            del self._store.endpoints[record.name]
            self._store.tags.pop(record.arn, None)

    def _change(self, record: EndpointRecord, status: str) -> None:
        record.status = status
        record.modified = time.time()  # noqa: TID251  an edge
        self._announce(record)

    def _announce(self, record: EndpointRecord) -> None:
        described = describe_endpoint(record)
        self._sender.send(ENDPOINT_CHANGE, record.arn, build_endpoint_detail(described))

    def _run(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
