"""What monitors.yml says under ``quality``: how often an endpoint's data is looked at, by whom, against what."""

from __future__ import annotations

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
    """The schedule's name, the same for both schedulers; a name has at most 63 letters.

    One that must be cut ends in a digest of the whole, so that no two endpoints share a schedule.

    Examples
    --------
    >>> name_schedule("churn")
    'churn-data-quality'
    >>> name_schedule("a" * 63)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-7d3e74a0-data-quality'
    """
    room = _NAME_LIMIT - len(_SUFFIX)
    if len(endpoint) <= room:
        return endpoint + _SUFFIX
    digest = build_content_key(endpoint)[:8]
    return f"{endpoint[: room - 9].rstrip('-')}-{digest}{_SUFFIX}"


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
