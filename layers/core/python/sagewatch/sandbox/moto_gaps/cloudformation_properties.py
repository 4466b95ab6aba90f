"""Properties that moto's CloudFormation drops: a bucket's events and versions, a table's TTL."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, s3_backends

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS_ON: dict[str, Any] = {"EventBridgeConfiguration": {}}


def after_creation(model: Any, apply: Callable[[Any, dict[str, Any], str, str], None]) -> None:
    """Make a CloudFormation type of moto apply the properties that it forgets, after it created a resource."""
    original = model.create_from_cloudformation_json.__func__

    def create(
        cls: Any,
        /,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **more: Any,
    ) -> Any:
        # moto changes the dictionary it is given.
        properties = copy.deepcopy(cloudformation_json.get("Properties", {}))
        resource = original(cls, resource_name, cloudformation_json, account_id, region_name, **more)
        apply(resource, properties, account_id, region_name)
        return resource

    model.create_from_cloudformation_json = classmethod(create)


def apply_bucket(bucket: Any, properties: dict[str, Any], account: str, region: str) -> None:
    """Send the bucket's events to EventBridge and keep versions, where the template says so."""
    del region
    if "VersioningConfiguration" in properties:
        s3_backends[account]["aws"].put_bucket_versioning(
            bucket.name, properties["VersioningConfiguration"]["Status"]
        )
    wanted = properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration")
    if wanted is not None and str(wanted.get("EventBridgeEnabled", True)).lower() != "false":
        s3_backends[account]["aws"].put_bucket_notification_configuration(bucket.name, dict(EVENTS_ON))


def apply_table(table: Any, properties: dict[str, Any], account: str, region: str) -> None:
    """Name the table's time-to-live attribute. moto never expires an item, but it can be described."""
    specification = properties.get("TimeToLiveSpecification")
    if specification is not None:
        dynamodb_backends[account][region].update_time_to_live(table.name, specification)


def fill() -> None:
    """Wrap the two types."""
    after_creation(FakeBucket, apply_bucket)
    after_creation(Table, apply_table)
