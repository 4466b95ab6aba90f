"""The deployed stack as a command sees it: table, bus and buckets, found by the stack's outputs.

Which AWS it is says the environment, as for every AWS tool: an account, or the sandbox by AWS_ENDPOINT_URL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import click

from sagewatch.alert_state import AlertState
from sagewatch.cli.failures import tell_aws_failure
from sagewatch.errors import ConfigurationError, SagewatchError
from sagewatch.incident.routing import Route
from sagewatch.monitors import Monitors
from sagewatch.place import Place
from sagewatch.ports import Objects
from sagewatch.rehearsal import REHEARSAL, open_rehearsal
from sagewatch.settings import Settings
from sagewatch.state import State
from sagewatch.world import World

F = TypeVar("F", bound=Callable[..., Any])
_NEEDED = ("StateTable", "EventBus", "EvidenceBucket", "CaptureBucket", "CapturePrefix")


class StackNotFoundError(SagewatchError):
    """There is no such stack in the account and region that the environment names."""

    def __init__(self, stack: str, region: str, reason: str) -> None:
        super().__init__(
            f"No stack {stack} in {region or 'no region'}: {reason}. Name it with --stack, the region with "
            "AWS_DEFAULT_REGION, or start one here with `sagewatch sandbox up`."
        )
        self.stack = stack


class StackUnseenError(SagewatchError):
    """Nobody knows whether there is such a stack: AWS could not be asked, or refused."""

    def __init__(self, stack: str, region: str, reason: str) -> None:
        super().__init__(f"Stack {stack} in {region or 'no region'} could not be looked at. {reason}")
        self.stack = stack


@dataclass(frozen=True, kw_only=True)
class Store:
    """What commands work on.

    Attributes
    ----------
    world
        The stack's ports; of monitors.yml it knows nothing, for nobody deployed it to this machine.
    outputs
        The stack's outputs by name.
    """

    world: World
    outputs: dict[str, str]

    @property
    def state(self) -> State:
        """The table."""
        return self.world.state

    @property
    def alerts(self) -> AlertState:
        """What alerts remember, in the same table."""
        return self.world.alerts

    @property
    def objects(self) -> Objects:
        """The buckets."""
        return self.world.objects

    @property
    def evidence_bucket(self) -> str:
        """Where pages and bundles lie."""
        return self.outputs["EvidenceBucket"]

    def now(self) -> datetime:
        """The clock."""
        return self.world.now()


def stack_option(command: F) -> F:
    """The option by which every command finds its stack."""
    return click.option(
        "--stack",
        default="sagewatch-dev",
        show_default=True,
        envvar="SAGEWATCH_STACK",
        help="CloudFormation stack (or SAGEWATCH_STACK).",
    )(command)


def replay_option(command: F) -> F:
    """The option by which a command reads what came of a rehearsal."""
    return click.option(
        "--replay",
        "replay_name",
        default="",
        metavar="NAME",
        help="Of this rehearsal, not of the real incidents.",
    )(command)


def open_store(stack: str, replay_name: str = "") -> Store:
    """The store of a stack; the one that the caller brought along (``obj``), where there is one.

    Parameters
    ----------
    replay_name
        The rehearsal whose rows and evidence are meant; empty means the real ones.

    Raises
    ------
    StackNotFoundError
        No such stack.
    ConfigurationError
        The stack is none of Sagewatch's, or the replay none that has rows of its own.
    """
    store = click.get_current_context().find_object(Store)
    if store is None:
        outputs = read_outputs(stack)
        missing = next((name for name in _NEEDED if name not in outputs), None)
        if missing is not None:
            reason = f"is no stack of Sagewatch's: it has no output {missing}"
            raise ConfigurationError(reason, where="--stack", key=stack)
        store = Store(world=build_world(outputs), outputs=outputs)
    if not replay_name:
        return store
    if not replay_name.startswith(f"{REHEARSAL}."):
        reason = "is no rehearsal; what came of a live replay is among the real incidents"
        raise ConfigurationError(reason, where="--replay", key=replay_name)
    return Store(world=open_rehearsal(store.world, replay_name), outputs=store.outputs)


def build_world(outputs: dict[str, str]) -> World:
    """The ports of a stack."""
    import boto3

    from sagewatch.aws.dynamodb import DynamoItems
    from sagewatch.aws.eventbridge import EventBridgeBus
    from sagewatch.aws.metrics import EmfMetrics
    from sagewatch.aws.s3 import S3Objects
    from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
    from sagewatch.aws.secrets import Secrets
    from sagewatch.aws.slack import SlackChat
    from sagewatch.aws.sns import SnsMail
    from sagewatch.wiring import METRICS_NAMESPACE, read_clock

    settings = build_settings(outputs, boto3.session.Session().region_name or "")
    topic = outputs.get("AlertsTopicArn", "")
    return World(
        state=State(DynamoItems(settings.state_table)),
        objects=S3Objects(),
        bus=EventBridgeBus(settings.event_bus),
        metrics=EmfMetrics(METRICS_NAMESPACE),
        hosting=SageMakerHosting(),
        jobs=SageMakerJobs(),
        mail=SnsMail(topic, outputs.get("ChatTopicArn", "")),
        chat=SlackChat({}, Secrets(read_clock)),
        now=read_clock,
        monitors=Monitors(endpoints={}, route=Route(receiver=None), receivers={}),
        settings=settings,
        place=Place(topic.split(":")[4] if topic else "", settings.region),
    )


def build_settings(outputs: dict[str, str], region: str) -> Settings:
    """The functions' settings, as far as the stack's outputs tell them."""
    return Settings(
        region=region,
        state_table=outputs["StateTable"],
        event_bus=outputs["EventBus"],
        evidence_bucket=outputs["EvidenceBucket"],
        capture_bucket=outputs["CaptureBucket"],
        capture_prefix=outputs["CapturePrefix"],
        alerts_topic_arn=outputs.get("AlertsTopicArn", ""),
        monitors_file="",
    )


def read_outputs(stack: str, session: Any = None) -> dict[str, str]:
    """The stack's outputs by name, in the session's region or in that of the AWS configuration.

    Raises
    ------
    StackNotFoundError
        No such stack.
    StackUnseenError
        AWS could not be asked, or refused.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    session = session or boto3.session.Session()
    try:
        answer = session.client("cloudformation").describe_stacks(StackName=stack)
    except (BotoCoreError, ClientError) as error:
        region = session.region_name or ""
        # CloudFormation's one code for what is not there.
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError":
            raise StackNotFoundError(stack, region, str(error).rstrip(".")) from None
        raise StackUnseenError(stack, region, tell_aws_failure(error)) from None
    return {row["OutputKey"]: row["OutputValue"] for row in answer["Stacks"][0].get("Outputs", [])}
