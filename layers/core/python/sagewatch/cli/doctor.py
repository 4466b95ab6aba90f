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
from sagewatch.cli.checks.stack import (
    check_bucket,
    check_clock,
    check_dead_letters,
    check_rules,
    check_schedule,
    check_subscriptions,
)
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
    check_schedule,
    check_bucket,
    check_keys,
    check_image,
    check_endpoints,
    check_monitoring,
    check_rights,
    check_quotas,
)
_SERVER_ERROR = 500
_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
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
    """Look at a stack's clock, rules, queues, subscriptions, schedules, captures, keys, image, rights and quotas.

    Exit code 1: not all is well.
    """
    import boto3

    from sagewatch.monitors import read_monitors
    from sagewatch.wiring import read_clock

    session = boto3.session.Session()
    watched = read_monitors(monitors) if monitors else None
    patient = Patient(session.client, read_outputs(stack), stack, watched, read_clock())
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
    from botocore.exceptions import BotoCoreError, ClientError

    for check in checks:
        try:
            yield from check(patient)
        except (ClientError, BotoCoreError) as error:
            yield _tell_unseen(check.__name__.removeprefix("check_").replace("_", " "), error)


def _tell_unseen(what: str, error: Exception) -> Line:
    """A refusal is a fault of ours; a failure of AWS's own (or a local AWS without the call) tells nothing."""
    answer = getattr(error, "response", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if _is_gone(answer.get("Error", {})):
        fix = "Somebody deleted it, and what follows it was not looked at: make it anew (deploy the stack or the endpoint)."
        return Line(False, what, f"gone: {error}", fix)
    if status >= _SERVER_ERROR:
        return Line(None, what, f"not answered (HTTP {status})", "Ask again; a local AWS does not know it.")
    return Line(False, what, str(error), "Give whoever runs the doctor the right that the message names.")


def _is_gone(error: dict[str, str]) -> bool:
    code, message = error.get("Code", ""), error.get("Message", "")
    # SageMaker has one code for what is not there and for what is not well formed.
    return code in _GONE or (code == "ValidationException" and message.startswith("Could not find"))
