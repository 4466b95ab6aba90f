"""What monitors.yml says under ``quality``: how often an endpoint's data is looked at, by whom, against what."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Final

import msgspec

from sagewatch.datapoints import Datapoints
from sagewatch.finding import build_content_key

EVENTBRIDGE: Final = "eventbridge"
MODEL_MONITOR: Final = "model-monitor"
SCHEDULERS: Final = (EVENTBRIDGE, MODEL_MONITOR)
MODES: Final = ("exact", "compat")
DAY: Final = timedelta(days=1)
_NAME_LIMIT: Final = 63
_SUFFIX: Final = "-data-quality"
_STAGE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_EVIDENCE: Final = re.compile(r"sagewatch-(?P<stage>[a-z0-9-]+)-evidence-\d{12}-[a-z0-9-]+")


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The monitoring of one endpoint's data.

    Attributes
    ----------
    baseline
        ``s3://bucket/prefix`` below which statistics.json and constraints.json lie.
    every
        Length of a window of traffic, and the time between two runs.
    scheduler
        ``eventbridge`` starts the job by itself; ``model-monitor`` leaves it to a SageMaker schedule, which
        accounts that are new since 2026-07-30 cannot have.
    mode
        ``exact``, or ``compat`` for AWS's own verdicts, its errors included.
    patience
        How many runs must find violations before that is told, and how many none before it is over.
    """

    baseline: str
    every: timedelta = timedelta(hours=1)
    scheduler: str = EVENTBRIDGE
    mode: str = "exact"
    patience: Datapoints = Datapoints()


def name_schedule(endpoint: str) -> str:
    """What the schedule of an endpoint's data is called here, whoever wakes it; a name has at most 63 letters.

    One that must be cut ends in a digest of the whole, so that no two endpoints share a schedule.

    Examples
    --------
    >>> name_schedule("churn")
    'churn-data-quality'
    >>> name_schedule("a" * 63)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-7d3e74a0-data-quality'
    """
    return _end(endpoint, _SUFFIX)


def name_monitoring_schedule(endpoint: str, stage: str) -> str:
    """SageMaker's name for it: its schedules are the account's, so that two stages need two names.

    No stage has two hyphens in a row, and no endpoint ends in one: what is before the last pair is the endpoint.

    Examples
    --------
    >>> name_monitoring_schedule("churn", "prod"), name_monitoring_schedule("churn", "")
    ('churn--prod-data-quality', 'churn-data-quality')
    >>> name_monitoring_schedule("a" * 63, "prod")
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-7d3e74a0--prod-data-quality'
    """
    return _end(endpoint, f"--{stage}{_SUFFIX}" if stage else _SUFFIX)


def _end(endpoint: str, end: str) -> str:
    room = _NAME_LIMIT - len(end)
    if len(endpoint) <= room:
        return endpoint + end
    digest = build_content_key(endpoint)[:8]
    return f"{endpoint[: room - 9].rstrip('-')}-{digest}{end}"


def find_stage(evidence_bucket: str) -> str:
    """The stage of a stack, by its evidence bucket; empty where the bucket is not one that our template names.

    Examples
    --------
    >>> find_stage("sagewatch-prod-evidence-123456789012-eu-west-1"), find_stage("evidence")
    ('prod', '')
    """
    match = _EVIDENCE.fullmatch(evidence_bucket)
    return match["stage"] if match else ""


def fold_stage(schedule: str, endpoint: str, stage: str) -> str:
    """A schedule's name as incidents have it: an endpoint's own has one name here, whoever wakes it.

    Examples
    --------
    >>> fold_stage("churn--prod-data-quality", "churn", "prod"), fold_stage("theirs", "churn", "prod")
    ('churn-data-quality', 'theirs')
    """
    return name_schedule(endpoint) if schedule == name_monitoring_schedule(endpoint, stage) else schedule


def is_of_another_stage(schedule: str, endpoint: str, stage: str, there: Collection[str]) -> bool:
    """Whether SageMaker's schedule was made for the endpoint by another stage of the account.

    Parameters
    ----------
    there
        Names of all schedules of the endpoint. One without a stage was made by an earlier version: for another stage, where
        this one has its own.

    Examples
    --------
    >>> old, names = "churn-data-quality", ["churn--prod-data-quality", "churn--dev-data-quality", "theirs"]
    >>> [is_of_another_stage(one, "churn", "prod", [old, *names]) for one in [old, *names]]
    [True, False, True, False]
    >>> is_of_another_stage(old, "churn", "prod", [old])
    False
    >>> long, cut = "a" * 63, name_legacy_schedule("a" * 63)
    >>> is_of_another_stage(cut, long, "prod", [cut, name_monitoring_schedule(long, "prod")])
    True
    """
    own = name_monitoring_schedule(endpoint, stage)
    if schedule in {own, name_schedule(endpoint), name_legacy_schedule(endpoint)}:
        return schedule != own and own in there
    other = schedule.removesuffix(_SUFFIX).rpartition("--")[2]
    return bool(_STAGE.fullmatch(other)) and schedule == name_monitoring_schedule(endpoint, other)


def name_legacy_schedule(endpoint: str) -> str | None:
    """The name that a schedule of a cut endpoint's name had without a digest; None where nothing is cut.

    Endpoints with the same first 50 letters had that one in common: whose it is, its content tells.

    Examples
    --------
    >>> name_legacy_schedule("churn") is None, name_legacy_schedule("a" * 63)
    (True, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-data-quality')
    """
    room = _NAME_LIMIT - len(_SUFFIX)
    return None if len(endpoint) <= room else endpoint[:room].rstrip("-") + _SUFFIX
