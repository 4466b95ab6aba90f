"""The composition root: the only place where real adapters are chosen, and where the clock is read."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sagewatch.aws.client import HASTY
from sagewatch.aws.deadline import EVIDENCE_SECONDS, Turns
from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.aws.elsewhere import SageMakerElsewhere
from sagewatch.aws.eventbridge import EventBridgeBus
from sagewatch.aws.http import HttpHooks
from sagewatch.aws.metrics import EmfMetrics
from sagewatch.aws.replies import SlackReplies
from sagewatch.aws.s3 import S3Objects
from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.aws.secrets import Secrets
from sagewatch.aws.ses import SesLetters
from sagewatch.aws.slack import SlackChat
from sagewatch.aws.sns import SnsMail
from sagewatch.aws.sqs import SqsWakeups
from sagewatch.aws.threads import side_by_side
from sagewatch.monitors import Monitors, load_monitors
from sagewatch.place import Place
from sagewatch.ports import NoWakeups, Wakeups
from sagewatch.settings import Settings, load_settings
from sagewatch.state import State
from sagewatch.world import Desk, World

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
    secrets = Secrets(read_clock)
    return World(
        state=State(DynamoItems(settings.state_table)),
        objects=S3Objects(Turns(read_clock)),
        bus=EventBridgeBus(settings.event_bus),
        metrics=EmfMetrics(METRICS_NAMESPACE),
        hosting=SageMakerHosting(),
        jobs=SageMakerJobs(),
        schedules=SageMakerSchedules(turns=Turns(read_clock)),
        elsewhere=SageMakerElsewhere(settings.spoke_reader),
        mail=SnsMail(settings.alerts_topic_arn, settings.chat_topic_arn),
        letters=SesLetters(),
        chat=SlackChat(monitors.slack_receivers, secrets),
        now=read_clock,
        monitors=monitors,
        settings=settings,
        place=Place(account, settings.region),
        wakeups=_build_wakeups(settings),
        hooks=HttpHooks(monitors.receivers, secrets.get_secret, refresh_secret=secrets.refresh_secret),
        together=side_by_side,
    )


@cache
def build_brisk_world(account: str) -> World:
    """The same world for whoever tells people: an S3 that hangs takes so much of a minute, and then is left alone."""
    return dataclasses.replace(
        build_world(account), objects=S3Objects(Turns(read_clock, together=EVIDENCE_SECONDS), brisk=True)
    )


@cache
def build_desk(account: str) -> Desk:
    """What the one function with an address of its own may reach; it must answer within seconds of a cold start."""
    settings = load_settings()
    monitors = load_monitors_file(settings)
    secrets = Secrets(read_clock, HASTY)
    return Desk(
        monitors=monitors,
        bus=EventBridgeBus(settings.event_bus, HASTY),
        place=Place(account, settings.region),
        now=read_clock,
        get_secret=secrets.get_secret,
        refresh_secret=secrets.refresh_secret,
        answer_privately=SlackReplies(
            one.api_url for one in monitors.slack_receivers.values()
        ).answer_privately,
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
