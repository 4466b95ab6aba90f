"""EventBridge rules as AWS runs them: one target's failure is its own, a disabled rule is silent.

moto lets one failing target (a Lambda, an archive) silence every later rule, delivers for DISABLED rules, lets a
rule without a pattern (a schedule) match every event, ignores Input and InputPath, and drops `account`.
"""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

from moto.core.utils import iso_8601_datetime_without_milliseconds, utcfromtimestamp
from moto.events.models import Rule, events_backends
from moto.sqs.models import sqs_backends

LOG = logging.getLogger("sagewatch.sandbox.moto_gaps.event_rules")
ARCHIVE_RULE_PREFIX = "Events-Archive-"


def as_delivered(event: dict[str, Any]) -> dict[str, Any]:
    """The event as a target reads it: no inner marks, `time` as ISO 8601."""
    delivered = {key: value for key, value in event.items() if key not in {"ingestion-time", "archive-arn"}}
    if isinstance(delivered.get("time"), int | float):
        moment = utcfromtimestamp(float(delivered["time"]))
        delivered["time"] = iso_8601_datetime_without_milliseconds(moment)
    return delivered


def select(event: dict[str, Any], path: str) -> Any:
    """What an InputPath such as ``$.detail.object`` names; None where it names nothing."""
    found: Any = event
    for step in path.removeprefix("$").strip(".").split("."):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def deliver(rule: Any, target: dict[str, Any], event: dict[str, Any]) -> None:
    """Hand one event to one target."""
    service = target["Arn"].split(":")[2]
    if service == "events" and rule.name.startswith(ARCHIVE_RULE_PREFIX):
        archive = events_backends[rule.account_id][rule.region_name].archives.get(
            rule.name.removeprefix(ARCHIVE_RULE_PREFIX)
        )
        if archive is not None:
            archive.events.append(copy.deepcopy(event))
    elif service == "sqs" and "InputTransformer" not in target:
        delivered = as_delivered(event)
        body: Any = json.dumps(select(delivered, target.get("InputPath", "$")))
        _, _, _, region, account, name = target["Arn"].split(":")
        sqs_backends[account][region].send_message(
            queue_name=name,
            message_body=target.get("Input", body),
            group_id=target.get("SqsParameters", {}).get("MessageGroupId"),
        )
    else:
        alone = copy.copy(rule)
        alone.targets = [target]
        SEND_TO_TARGETS(alone, copy.deepcopy(event), transform_input="InputTransformer" in target)


def send_to_targets(rule: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """Give a matching event to each target of an enabled rule; a target that fails is logged, alone."""
    del transform_input
    if rule.state != "ENABLED" or not rule.event_pattern.get_pattern():
        return
    if not rule.event_pattern.matches_event(original_event):
        return
    for target in list(rule.targets):
        try:
            deliver(rule, target, original_event)
        except Exception:  # what moto raises here is anything; the other targets must get theirs
            LOG.exception("target_failed rule=%s target=%s", rule.name, target["Arn"])


SEND_TO_TARGETS = Rule.send_to_targets


def fill() -> None:
    """Replace moto's delivery."""
    Rule.send_to_targets = send_to_targets
