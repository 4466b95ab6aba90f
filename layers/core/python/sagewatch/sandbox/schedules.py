"""EventBridge Scheduler's schedules, fired at their rate times a speed-up: moto only keeps them."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

UNIT_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule and where it goes. `interval_seconds` is None for cron: those fire only when asked to."""

    name: str
    arn: str
    target_arn: str
    interval_seconds: float | None
    input: str | None
    enabled: bool


def parse_schedule(described: Mapping[str, Any]) -> Schedule:
    """Read what `get_schedule` answers."""
    target = described["Target"]
    return Schedule(
        name=described["Name"],
        arn=described["Arn"],
        target_arn=target["Arn"],
        interval_seconds=parse_rate(described["ScheduleExpression"]),
        input=target.get("Input"),
        enabled=described.get("State", "ENABLED") == "ENABLED",
    )


def parse_rate(expression: str) -> float | None:
    """Seconds between two firings of a rate expression; None for `cron(...)` and `at(...)`.

    Examples
    --------
    >>> parse_rate("rate(5 minutes)")
    300.0
    """
    match = RATE.fullmatch(expression.strip())
    return int(match[1]) * UNIT_SECONDS[match[2]] if match else None


def build_input(schedule: Schedule, moment: datetime, execution_id: uuid.UUID) -> str:
    """The body that the target gets: its Input with context attributes filled in, or the default event.

    Source: EventBridge Scheduler user guide, "Adding context attributes" and "Templated targets".
    """
    scheduled_time = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if schedule.input is not None:
        text = schedule.input
        for mark, value in (
            ("<aws.scheduler.scheduled-time>", scheduled_time),
            ("<aws.scheduler.schedule-arn>", schedule.arn),
            ("<aws.scheduler.execution-id>", str(execution_id)),
            ("<aws.scheduler.attempt-number>", "1"),
        ):
            text = text.replace(mark, value)
        return text
    _, _, _, region, account, _ = schedule.arn.split(":", 5)
    event = {
        "version": "0",
        "id": str(execution_id),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": scheduled_time,
        "region": region,
        "resources": [schedule.arn],
        "detail": "{}",
    }
    return json.dumps(event)
