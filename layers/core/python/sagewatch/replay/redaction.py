"""Recorded events as fixtures: what identifies an account or a caller is taken out, the shape stays."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from sagewatch.replay.jobs import JobRecord, KeptJob
from sagewatch.replay.scene import Scene

ACCOUNT = "111122223333"
ELSEWHERE = "444455556666"
_HIDDEN = frozenset(
    {"requester", "source-ip-address", "request-id", "sequencer", "RoleArn", "ExecutionRoleArn", "by"}
    # What a container says of its end may quote what it read.
    | {"ExitMessage", "FailureReason"}
)
_VALUES_HIDDEN = frozenset({"Environment", "Tags"})
REDACTED = "redacted"


def redact(event: dict[str, Any], home: str) -> dict[str, Any]:
    """The event without account, callers, people, roles, environment, tags and what jobs said of their end.

    Parameters
    ----------
    home
        The account that recorded: events that another one forwarded to it stay told apart from its own.

    Examples
    --------
    >>> redact({"account": "123456789012", "detail": {"requester": "ann", "arn": "a:123456789012:b"}}, "123456789012")
    {'account': '111122223333', 'detail': {'requester': 'redacted', 'arn': 'a:111122223333:b'}}
    """
    account = str(event.get("account", ""))
    text = json.dumps(event)
    for known, standing_in in ((account, ELSEWHERE if account != home else ACCOUNT), (home, ACCOUNT)):
        if known:
            text = text.replace(known, standing_in)
    return dict(_walk(json.loads(text)))


def redact_scene(scene: Scene) -> Scene:
    """The scene with the account taken out of it, as ``redact`` takes it out of the events.

    Examples
    --------
    >>> redact_scene(Scene(account="123456789012", capture_bucket="captures-123456789012")).capture_bucket
    'captures-111122223333'
    """
    if not scene.account:
        return msgspec.structs.replace(scene, account=ACCOUNT)
    text = msgspec.json.encode(scene).decode().replace(scene.account, ACCOUNT)
    return msgspec.json.decode(text, type=Scene)


def redact_job(job: KeptJob, home: str) -> KeptJob:
    """A monitoring job with the account taken out of it and of its report, as ``redact`` takes it out of the events."""
    if not home:
        return job
    record = msgspec.json.encode(job.record).decode().replace(home, ACCOUNT)
    files = {
        name.replace(home, ACCOUNT): body.replace(home.encode(), ACCOUNT.encode())
        for name, body in job.files.items()
    }
    return KeptJob(msgspec.json.decode(record, type=JobRecord), files)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hide(key, inside) for key, inside in value.items()}
    return [_walk(one) for one in value] if isinstance(value, list) else value


def _hide(key: str, value: Any) -> Any:
    if key in _HIDDEN:
        return REDACTED
    if key in _VALUES_HIDDEN and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    return _walk(value)
