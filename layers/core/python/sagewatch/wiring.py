"""The composition root: the only place where real adapters are chosen, and where the clock is read."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.aws.eventbridge import EventBridgeBus
from sagewatch.aws.http import HttpHooks
from sagewatch.aws.metrics import EmfMetrics
from sagewatch.aws.s3 import S3Objects
from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.aws.secrets import get_secret
from sagewatch.aws.slack import SlackChat
from sagewatch.aws.sns import SnsMail
from sagewatch.aws.sqs import SqsWakeups
from sagewatch.aws.threads import side_by_side
from sagewatch.finding import Place
from sagewatch.monitors import Monitors, load_monitors
from sagewatch.ports import NoWakeups, Wakeups
from sagewatch.settings import Settings, load_settings
from sagewatch.state import State
from sagewatch.world import World

METRICS_NAMESPACE = "Sagewatch"


@cache
def build_world(account: str) -> World:
    """The world as this process's environment describes it; built once, at the first event.

    Parameters
    ----------
    account
        The account that the function runs in (its ARN says so).

    Raises
    ------
    ConfigurationError
        A setting or the compiled monitors file is missing or wrong; says which.
    """
    settings = load_settings()
    monitors = load_monitors_file(settings)
    return World(
        state=State(DynamoItems(settings.state_table)),
        objects=S3Objects(),
        bus=EventBridgeBus(settings.event_bus),
        metrics=EmfMetrics(METRICS_NAMESPACE),
        hosting=SageMakerHosting(),
        jobs=SageMakerJobs(),
        schedules=SageMakerSchedules(),
        mail=SnsMail(settings.alerts_topic_arn),
        chat=SlackChat(monitors.slack_receivers, get_secret),
        now=read_clock,
        monitors=monitors,
        settings=settings,
        place=Place(account, settings.region),
        wakeups=_build_wakeups(settings),
        hooks=HttpHooks(monitors.receivers, get_secret),
        together=side_by_side,
    )


def _build_wakeups(settings: Settings) -> Wakeups:
    if not settings.alert_queue_url:
        return NoWakeups()
    return SqsWakeups(settings.alert_queue_url, settings.alert_dead_letters_url)


def load_monitors_file(settings: Settings) -> Monitors:
    """The monitors.json that was packaged beside the function."""
    path = Path(settings.task_root) / settings.monitors_file
    return load_monitors(path.read_bytes(), str(path))


def read_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 (the one reader)
