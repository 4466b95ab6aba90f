"""When a monitoring schedule runs, and on which window: SageMaker's cron dialect and its ISO 8601 offsets (pure).

Source: SageMaker developer guide, "The cron expression for monitoring schedule": hourly, every x hours, daily, NOW.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sagewatch.sandbox.sagemaker.protocol import refused

NOW = "NOW"
DAILY = "cron(0 0 ? * * *)"
_CRON = re.compile(r"cron\(0 (?P<hours>\S+) \? \* \* \*\)")
_STEP = re.compile(r"(?:\d{1,2}|\d{1,2}-\d{1,2}|\*)/(?P<step>\d{1,2})")
_OFFSET = re.compile(r"(?P<sign>-?)P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?")


def parse_period(expression: str) -> timedelta | None:
    """The time between two runs; None for `NOW`, which runs once.

    Raises
    ------
    ApiError
        No schedule of SageMaker's reads like this.

    Examples
    --------
    >>> parse_period("cron(0 * ? * * *)"), parse_period("cron(0 0-23/6 ? * * *)"), parse_period("cron(0 5 ? * * *)")
    (datetime.timedelta(seconds=3600), datetime.timedelta(seconds=21600), datetime.timedelta(days=1))
    """
    if expression == NOW:
        return None
    match = _CRON.fullmatch(expression.strip())
    hours = match["hours"] if match else ""
    if hours == "*":
        return timedelta(hours=1)
    step = _STEP.fullmatch(hours)
    if step and int(step["step"]):
        return timedelta(hours=int(step["step"]))
    if hours.isdecimal():
        return timedelta(days=1)
    raise refused(
        f"Invalid schedule expression: {expression}. It must be hourly, every x hours, daily or NOW."
    )


def parse_offset(offset: str) -> timedelta:
    """An offset such as ``-PT2H``.

    Raises
    ------
    ApiError
        It is none.

    Examples
    --------
    >>> parse_offset("-PT2H"), parse_offset("-P1D")
    (datetime.timedelta(days=-1, seconds=79200), datetime.timedelta(days=-1))
    """
    match = _OFFSET.fullmatch(offset)
    if match is None or offset.lstrip("-") in {"P", "PT"}:
        raise refused(f"Invalid offset: {offset}")
    parts = {unit: int(match[unit] or 0) for unit in ("days", "hours", "minutes")}
    return timedelta(**parts) * (-1 if match["sign"] else 1)


def next_run(previous: datetime, period: timedelta, speed_up: float) -> datetime:
    """When a schedule that ran (or was made) then runs next."""
    return previous + period / speed_up
