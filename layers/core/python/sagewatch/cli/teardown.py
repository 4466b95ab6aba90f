"""``sagewatch teardown``: remove an endpoint that ``deploy-endpoint`` made, and all that it made for it. Data stay."""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import click

from sagewatch.cli.aws_calls import CallLog, show_dry_run
from sagewatch.cli.deploy_endpoint import LONGEST_SECONDS
from sagewatch.cli.endpoint_parts import build_prefix, check_name, find
from sagewatch.cli.ownership import OWNED_TAG, NotOursError, is_made_for, is_recording, open_session
from sagewatch.cli.store import read_outputs, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import SagewatchError

if TYPE_CHECKING:
    from boto3.session import Session


@click.command(epilog="Example: sagewatch teardown traffic-signs --dry-run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print the calls that would change something, and make none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-stack", is_flag=True, help="There is no stack: no schedule to remove.")
@click.option("--region", help="AWS region; default: that of your AWS configuration.")
@click.option("--poll", default=5, show_default=True, help="Seconds between looks at the endpoint.")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def teardown(
    name: str,
    region: str | None,
    poll: int,
    stack: str,
    *,
    dry_run: bool,
    yes: bool,
    no_stack: bool,
    as_json: bool,
) -> None:
    """Remove an endpoint, its configurations, models and archives, and its monitoring schedule.

    Only what deploy-endpoint made and tagged. Captures, reports, incidents and evidence stay. Interrupted, it goes on
    where it was when it is run again.
    """
    session = open_session(region)
    if not (dry_run or yes):
        click.confirm(f"Remove the endpoint {name} and its models? Its captures stay.", abort=True)
    log = CallLog(session, dry=dry_run)
    outputs = {} if no_stack else read_outputs(stack, session)
    removed = remove_endpoint(name, session, outputs, poll_seconds=poll)
    if dry_run:
        show_dry_run(log, as_json=as_json)
        return
    words = f"{name}: removed {', '.join(removed)}." if removed else f"{name}: nothing was there."
    say(json.dumps({"endpoint": name, "removed": removed}) if as_json else words)


def remove_endpoint(
    name: str, session: Session, outputs: dict[str, str], *, poll_seconds: int = 5
) -> list[str]:
    """Remove it all, from the outside in: what is found by another thing goes before that.

    Raises
    ------
    ConfigurationError
        No endpoint can have that name.
    NotOursError
        Somebody else made it, or a diagnosis is using it.
    SagewatchError
        It is still being deleted.
    """
    from sagemaker.core.resources import Endpoint

    check_name(name)
    endpoint = find(Endpoint, session, endpoint_name=name)
    # What is being deleted (a run before this one was cut off) may be gone with the next call, and nobody deletes it.
    stands = endpoint is not None and endpoint.endpoint_status != "Deleting"
    if stands:
        _check_ours(name, endpoint, session)
    removed = _remove_schedules(name, session, outputs) if outputs else []
    if stands:
        endpoint.delete()
    if endpoint is not None:
        _wait_until_gone(name, session, poll_seconds)
        removed.append(f"endpoint {name}")
    sagemaker, s3 = session.client("sagemaker"), session.client("s3")
    for config in _list_made(name, sagemaker, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig"):
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
        removed.append(f"configuration {config}")
    for model in _list_made(name, sagemaker, "list_models", "Models", "Model"):
        # The model says where its archive lies, so the archive goes first.
        url = sagemaker.describe_model(ModelName=model)["PrimaryContainer"].get("ModelDataUrl", "")
        if url.endswith(f"/models/{model}/model.tar.gz"):
            bucket, _, key = url.removeprefix("s3://").partition("/")
            s3.delete_object(Bucket=bucket, Key=key)
        sagemaker.delete_model(ModelName=model)
        removed.append(f"model {model}")
    return removed


def _wait_until_gone(name: str, session: Session, poll_seconds: int) -> None:
    from sagemaker.core.resources import Endpoint

    for _ in range(math.ceil(LONGEST_SECONDS / max(1, poll_seconds))):
        if find(Endpoint, session, endpoint_name=name) is None:
            return
        time.sleep(poll_seconds)
    raise SagewatchError(
        f"{name} is still being deleted after {LONGEST_SECONDS // 60} minutes. What it stands on was left: run it again later."
    )


def _check_ours(name: str, endpoint: Any, session: Session) -> None:
    sagemaker = session.client("sagemaker")
    if is_recording(sagemaker.describe_endpoint(EndpointName=name)):
        raise NotOursError(
            name,
            "a diagnosis is recording on it. `sagewatch swaps off` gives it back within a minute; then run this again.",
        )
    if not is_made_for(name, endpoint.endpoint_arn, sagemaker):
        raise NotOursError(
            name,
            f"it lacks the tag {OWNED_TAG}, so `sagewatch deploy-endpoint` did not make it. Remove it as you made it.",
        )


def _list_made(name: str, sagemaker: Any, operation: str, rows: str, kind: str) -> list[str]:
    """What ``deploy-endpoint`` made for the endpoint: by its name's form, and by its tag."""
    prefix = build_prefix(name)
    form = re.compile(re.escape(prefix) + r"[0-9a-f]{8}")
    pages = sagemaker.get_paginator(operation).paginate(NameContains=prefix)
    found = [(row[f"{kind}Name"], row[f"{kind}Arn"]) for page in pages for row in page[rows]]
    return sorted(one for one, arn in found if form.fullmatch(one) and is_made_for(name, arn, sagemaker))


def _remove_schedules(name: str, session: Session, outputs: dict[str, str]) -> list[str]:
    from sagewatch.cli.monitor import build_image
    from sagewatch.cli.monitor_schedules import build_schedules

    kinds = build_schedules(session, outputs, build_image(outputs))
    return [f"schedule ({kind})" for kind, schedules in kinds.items() if schedules.remove(name)]
