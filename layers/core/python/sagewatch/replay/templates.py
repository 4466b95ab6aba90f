"""Realistic events of each kind, to be sent by hand: as AWS sends them, with names that can be set."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any

from sagewatch.errors import ConfigurationError
from sagewatch.replay.recording import Event, format_time
from sagewatch.settings import Settings

_MONITORS = ("data-quality", "model-quality", "bias", "attribution")
KINDS = (
    "capture",
    "tensors",
    "endpoint-updating",
    "endpoint-in-service",
    "endpoint-failed",
    "job-explain",
    *(f"job-{kind}" for kind in _MONITORS),
)


def build_template(kind: str, settings: Settings, account: str, at: datetime) -> Event:
    """An event of a kind, about an endpoint ``traffic-signs`` unless it is set to another.

    Raises
    ------
    ConfigurationError
        No such kind; names those that there are.
    """
    if kind == "capture":
        name = f"{at:%M-%S}-{at.microsecond // 1000:03d}-00000000-0000-4000-8000-000000000000.jsonl"
        key = f"{settings.capture_prefix}/traffic-signs/AllTraffic/{at:%Y/%m/%d/%H}/{name}"
        return _wrap("aws.s3", "Object Created", _object(settings.capture_bucket, key), settings, account, at)
    if kind == "tensors":
        key = "tensors/20261121T203405Z-d70a35fb2065c43a/index/000000000/000000000000_worker_0.json"
        return _wrap(
            "aws.s3", "Object Created", _object(settings.evidence_bucket, key), settings, account, at
        )
    if kind.startswith("endpoint-") and kind in KINDS:
        status = kind.removeprefix("endpoint-").replace("-", "_").upper()
        detail = {
            "EndpointName": "traffic-signs",
            "EndpointArn": f"arn:aws:sagemaker:{settings.region}:{account}:endpoint/traffic-signs",
            "EndpointConfigName": "traffic-signs",
            "EndpointStatus": status,
            "CreationTime": at.timestamp() * 1000,
            "LastModifiedTime": at.timestamp() * 1000,
        }
        return _wrap("aws.sagemaker", "SageMaker Endpoint State Change", detail, settings, account, at)
    if kind.startswith("job-") and kind in KINDS:
        job = "sagewatch-explain-20261121T203405Z-d70a35fb2065c43a"
        if kind != "job-explain":
            job = f"{kind.removeprefix('job-')}-monitoring-{at:%Y%m%d%H%M}"
        arn = f"arn:aws:sagemaker:{settings.region}:{account}:processing-job/{job.lower()}"
        detail = {"ProcessingJobName": job, "ProcessingJobArn": arn, "ProcessingJobStatus": "Completed"}
        return _wrap("aws.sagemaker", "SageMaker Processing Job State Change", detail, settings, account, at)
    raise ConfigurationError(f"is no kind; there are {', '.join(KINDS)}", where="trigger", key=kind)


def set_value(event: Event, assignment: str) -> Event:
    """The event with one value changed.

    Parameters
    ----------
    assignment
        ``detail.object.key=capture/a.jsonl``; the value is JSON where it can be read as such, else text.

    Raises
    ------
    ConfigurationError
        The path leads nowhere.

    Examples
    --------
    >>> set_value({"detail": {"object": {"size": 1}}}, "detail.object.size=7")
    {'detail': {'object': {'size': 7}}}
    """
    path, equals, text = assignment.partition("=")
    steps = path.split(".")
    changed = copy.deepcopy(event)
    node: Any = changed
    for step in steps[:-1]:
        node = node.get(step) if isinstance(node, dict) else None
    if not equals or not all(steps) or not isinstance(node, dict):
        raise ConfigurationError(
            "must be path=value, of a path that leads somewhere", where="--set", key=assignment
        )
    try:
        node[steps[-1]] = json.loads(text)
    except json.JSONDecodeError:
        node[steps[-1]] = text
    return changed


def _object(bucket: str, key: str) -> dict[str, Any]:
    found = {
        "key": key,
        "size": 5120,
        "etag": "b57f9512698f4b09e608f4f2a65852e5",
        "sequencer": "00617F08299329D189",
    }
    return {"version": "0", "bucket": {"name": bucket}, "object": found, "reason": "PutObject"}


def _wrap(
    source: str, kind: str, detail: dict[str, Any], settings: Settings, account: str, at: datetime
) -> Event:
    return {
        "version": "0",
        "id": f"00000000-0000-4000-8000-{int(at.timestamp()):012d}",
        "detail-type": kind,
        "source": source,
        "account": account,
        "time": format_time(at),
        "region": settings.region,
        "resources": [],
        "detail": detail,
    }
