"""``sagewatch doctor``: whether a deployed stack can do its work; each failing line comes with its fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import msgspec

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.account import check_quotas, check_rights
from sagewatch.cli.checks.endpoints import check_endpoints, check_monitoring
from sagewatch.cli.checks.image import check_image
from sagewatch.cli.checks.keys import check_keys
from sagewatch.cli.checks.receivers import check_receivers
from sagewatch.cli.checks.rules import check_rules
from sagewatch.cli.checks.stack import (
    check_bucket,
    check_clock,
    check_dead_letters,
    check_schedule,
    check_subscriptions,
)
from sagewatch.cli.checks.unseen import look
from sagewatch.cli.store import read_outputs, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import SagewatchError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Check = Callable[[Patient], Iterator[Line]]
CHECKS: tuple[Check, ...] = (
    check_clock,
    check_rules,
    check_dead_letters,
    check_subscriptions,
    check_receivers,
    check_schedule,
    check_bucket,
    check_keys,
    check_image,
    check_endpoints,
    check_monitoring,
    check_rights,
    check_quotas,
)
_MARKS = {True: "ok  ", False: "FAIL", None: "?   "}


class NotWellError(SagewatchError):
    """Something about the stack is not as it must be."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} of the lines above need something done.")
        self.count = count


@click.command(epilog="Example: sagewatch doctor --monitors monitors.yml")
@click.option("--monitors", type=_FILE, help="Look at the endpoints that this file watches, too.")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def doctor(monitors: Path | None, stack: str, *, as_json: bool) -> None:
    """Look at a stack's clock, rules, queues, subscriptions, receivers, schedules, captures, keys, image, rights and quotas.

    Exit code 1: not all is well.
    """
    import boto3

    from sagewatch.aws.dynamodb import DynamoItems
    from sagewatch.monitors import read_monitors
    from sagewatch.wiring import read_clock

    session = boto3.session.Session()
    watched = read_monitors(monitors) if monitors else None
    outputs = read_outputs(stack)
    items = DynamoItems(outputs["StateTable"]) if "StateTable" in outputs else None
    patient = Patient(session.client, outputs, stack, watched, read_clock(), items)
    lines = list(examine(patient))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(lines), indent=2))
    else:
        for line in lines:
            say(f"{_MARKS[line.well]}  {line.what}: {line.found}")
            if not line.well:
                say(f"      {line.fix}")
    ill = sum(line.well is False for line in lines)
    if ill:
        raise NotWellError(ill)


def examine(patient: Patient, checks: Iterable[Check] = CHECKS) -> Iterator[Line]:
    """Every line; what may not be looked at is a line of its own."""
    for check in checks:
        yield from look(check.__name__.removeprefix("check_").replace("_", " "), check(patient))
