"""S3's events in EventBridge's real shape, on the default bus, once for each object.

moto's have one constant id and sequencer, `eTag` for `etag`, a wrong `reason`, reach every bus, and a put sends a
second event about tags. And who asks a bucket whether it tells EventBridge is not answered.
Source: S3 user guide, "EventBridge event message structure"; S3 API, GetBucketNotificationConfiguration.
"""

from __future__ import annotations

import copy
import time
import uuid
from itertools import count
from typing import Any

from moto.core.responses import ActionResult
from moto.events.models import events_backends
from moto.s3 import notifications
from moto.s3.responses import S3Response

REASONS = {
    "Put": "PutObject",
    "Post": "POST Object",
    "Copy": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
    "Delete": "DeleteObject",
    "DeleteMarkerCreated": "DeleteObject",
}
SEQUENCE = count(time.time_ns())  # rises over restarts too, as S3's sequencer does


def build_event(account: str, bucket: Any, event_name: str, key: Any) -> dict[str, Any]:
    """Build the event of one change to one object.

    Parameters
    ----------
    account
        The bucket's owner.
    bucket, key
        moto's objects.
    event_name
        Such as ``s3:ObjectCreated:Put``.
    """
    described = {
        "key": key.name,
        "size": key.size,
        "etag": key.etag.replace('"', ""),
        "sequencer": f"{next(SEQUENCE):018X}",
    }
    if key.version_id and key.version_id != "null":
        described["version-id"] = key.version_id
    return {
        "version": "0",
        "id": str(uuid.uuid4()),  # noqa: TID251  an edge: the server makes the event
        "detail-type": notifications._detail_type(event_name),  # noqa: SLF001
        "source": "aws.s3",
        "account": account,
        "time": time.time(),  # noqa: TID251  an edge
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": described,
            "request-id": uuid.uuid4().hex[:16].upper(),  # noqa: TID251
            "requester": account,
            "source-ip-address": "127.0.0.1",
            "reason": REASONS.get(event_name.rsplit(":", 1)[-1], event_name),
        },
    }


def send(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:
    """Give the event to the rules of the default bus."""
    name = str(getattr(event_name, "value", event_name))
    if "ObjectTagging" in name:  # moto says it on every put; nobody here tags objects
        return
    event = build_event(account_id, bucket, name, key)
    for rule in list(events_backends[account_id][bucket.region_name].event_buses["default"].rules.values()):
        rule.send_to_targets(copy.deepcopy(event), transform_input=False)


def answer_with_events(answer: Any) -> Any:
    """Wrap moto's answer about a bucket's notifications: it leaves EventBridge out."""

    def answer_whole(self: Any) -> Any:
        found = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if found is None or found.event_bridge is None:
            return answer(self)
        serialize = self.serialized

        def add(result: ActionResult) -> Any:
            return serialize(ActionResult({**result.result, "EventBridgeConfiguration": {}}))

        self.serialized = add
        return answer(self)

    return answer_whole


def fill() -> None:
    """Replace moto's sender, and wrap its answer."""
    notifications._send_event_bridge_message = send  # noqa: SLF001
    S3Response.get_bucket_notification = answer_with_events(S3Response.get_bucket_notification)
