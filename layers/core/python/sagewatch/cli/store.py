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
from sagewatch.errors import SagewatchError
from sagewatch.ports import Bus, Objects
from sagewatch.state import State

F = TypeVar("F", bound=Callable[..., Any])


class StackNotFoundError(SagewatchError):
    """There is no such stack in the account and region that the environment names."""

    def __init__(self, stack: str, region: str, reason: str) -> None:
        super().__init__(
            f"No stack {stack} in {region or 'no region'}: {reason}. Name it with --stack, the region with "
            "AWS_REGION, or start one here with `sagewatch sandbox up`."
        )
        self.stack = stack


@dataclass(frozen=True, kw_only=True)
class Store:
    """What commands work on."""

    state: State
    alerts: AlertState
    bus: Bus
    objects: Objects
    outputs: dict[str, str]
    now: Callable[[], datetime]

    @property
    def evidence_bucket(self) -> str:
        """Where pages and bundles lie."""
        return self.outputs["EvidenceBucket"]


def stack_option(command: F) -> F:
    """The option by which every command finds its stack."""
    return click.option(
        "--stack",
        default="sagewatch-dev",
        show_default=True,
        envvar="SAGEWATCH_STACK",
        help="CloudFormation stack (or SAGEWATCH_STACK).",
    )(command)


def open_store(stack: str) -> Store:
    """The store of a stack; the one that the caller brought along (``obj``), where there is one.

    Raises
    ------
    StackNotFoundError
        No such stack.
    """
    brought = click.get_current_context().find_object(Store)
    if brought is not None:
        return brought
    from sagewatch.aws.dynamodb import DynamoItems
    from sagewatch.aws.eventbridge import EventBridgeBus
    from sagewatch.aws.s3 import S3Objects
    from sagewatch.wiring import read_clock

    outputs = read_outputs(stack)
    items = DynamoItems(outputs["StateTable"])
    return Store(
        state=State(items),
        alerts=AlertState(items),
        bus=EventBridgeBus(outputs["EventBus"]),
        objects=S3Objects(),
        outputs=outputs,
        now=read_clock,
    )


def read_outputs(stack: str) -> dict[str, str]:
    """The stack's outputs by name.

    Raises
    ------
    StackNotFoundError
        No such stack, or nobody to ask.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    session = boto3.session.Session()
    try:
        answer = session.client("cloudformation").describe_stacks(StackName=stack)
    except (BotoCoreError, ClientError) as error:
        raise StackNotFoundError(stack, session.region_name or "", str(error).rstrip(".")) from None
    return {row["OutputKey"]: row["OutputValue"] for row in answer["Stacks"][0].get("Outputs", [])}
