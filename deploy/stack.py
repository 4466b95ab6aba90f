"""``make deploy`` and ``make remove``: look before anything is changed, say what will change, then let osls do it.

Nothing here deletes data: table and buckets are kept by the template's DeletionPolicy (a test holds it), and a stack
whose endpoints are being diagnosed is not removed, for nobody would put them back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from deploy.recording import EVIDENCE, find_movable, find_recordings, tell_recordings
from deploy.refused import DoneError, RefusedError, tell_aws
from deploy.standing import find_status, find_template, refuse_stuck
from deploy.surroundings import look_around, tell_region
from layers.build_core import PLATFORMS, ROOT
from layers.diff_stack import compare_stacks
from layers.package_stack import TEMPLATE, package_stack
from layers.resolve_conditions import list_made
from sagewatch.diagnose.plan import HOOKED_PREFIX
from sagewatch.monitors import Monitors, read_monitors

SERVICE = "sagewatch"
LOCAL = "local"
NO_MONITORS = "resources/no_monitors.json"
Run = Callable[[Sequence[str]], int]
_NAMED = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"}


def deploy(
    package: Path,
    stage: str,
    session: Any,
    run: Run,
    *,
    dry_run: bool,
    words: Sequence[str],
    monitors: Monitors | None = None,
) -> str:
    """Deploy the packaged stack, or say what that would change.

    Raises
    ------
    RefusedError
        There are no credentials, CloudFormation would not change the stack, data of a removed one are in the way, or an endpoint that records could not be
        put back afterwards; or osls failed.
    DoneError
        It stands, but an endpoint began to record meanwhile, or AWS would not say whether one did.
    """
    if stage == LOCAL:
        raise RefusedError(
            "The stage local is that of the AWS on this machine: its table goes with the stack. Take another STAGE."
        )
    template = json.loads((package / TEMPLATE).read_text())
    stack = f"{SERVICE}-{stage}"
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        away = tell_region(session, error) if isinstance(error, EndpointConnectionError) else ""
        if dry_run:
            return f"No account to compare with ({away or error}). The stack has {len(template['Resources'])} resources."
        raise RefusedError(
            away or f"AWS does not know who you are: {error} Sign in, or set AWS_PROFILE."
        ) from None
    refuse_stuck(session, stack)
    standing = find_template(session, stack)
    left = find_left(template, account, session, standing or {})
    if left:
        raise RefusedError(
            f"The stack {stack} does not have them, but data of an earlier one are there: {', '.join(left)}. Take another STAGE, import them "
            '(docs/deploy.md, "After a removal"), or delete them yourself if nobody needs them.'
        )
    movable = find_movable(standing or {})
    stranded = find_stranded(standing or {}, template, account, session)
    why = "this deployment takes away the right to put it back (monitors.yml lists it with `mode: swap` no longer)"
    if stranded:
        raise RefusedError(tell_recordings(stranded, movable, why))
    told = f"{stack} in account {account}, {session.region_name}\n{compare(standing, template)}"
    told += "".join(f"\n{line}" for line in look_around(template, account, stack, session, monitors))
    if dry_run:
        return f"{told}\nDry run: nothing was changed."
    print(told, flush=True)
    command = [
        str(ROOT / "node_modules" / ".bin" / "osls"),
        "deploy",
        "--package",
        str(package),
        "--stage",
        stage,
    ]
    if run([*command, "--region", session.region_name, *words]):
        raise RefusedError(tell_failure(stack, session, standing or {}, template, account, why))
    # A swap may have begun after the look above, with the role that was there until now.
    stranded = look_afterwards(f"{stack} is deployed", standing or {}, template, account, session)
    if stranded:
        told = tell_recordings(stranded, (), why)
        raise DoneError(f"{stack} stands, but a diagnosis began while it was deployed: {told}")
    return f"{stack} stands. Next: `sagewatch doctor --stack {stack}`."


def look_afterwards(
    done: str, standing: Mapping[str, Any], template: Mapping[str, Any], account: str, session: Any
) -> list[str]:
    """``find_stranded`` once osls is through: that AWS answers no more must not hide what is done.

    Raises
    ------
    DoneError
        AWS did not answer; says what is done, and what to look at by hand.
    """
    try:
        return find_stranded(standing, template, account, session)
    except (BotoCoreError, ClientError) as error:
        raise DoneError(
            f"{done}; could not look afterwards: {tell_aws(error)} Whether an endpoint began to record meanwhile: "
            f"aws sagemaker list-endpoint-configs --name-contains {HOOKED_PREFIX}"
        ) from None


def tell_failure(
    stack: str, session: Any, standing: Mapping[str, Any], template: Mapping[str, Any], account: str, why: str
) -> str:
    """What osls left behind, as CloudFormation tells it: osls may have failed before it, in it or after it."""
    ways = (
        f"Its own words are above; its events: aws cloudformation describe-stack-events --stack-name {stack}"
    )
    try:
        status = find_status(stack, session)
        back = status is not None and "ROLLBACK_COMPLETE" in status
        now = standing if back else find_template(session, stack) or {}
        recordings = tell_recordings(
            find_stranded(standing, template, account, session), find_movable(now), why
        )
    except (BotoCoreError, ClientError) as error:
        return f"osls failed, and what it left behind cannot be seen: {tell_aws(error)} {ways}"
    if status is None:
        state = f"osls failed before there was a stack {stack}"
    elif back:
        state = f"osls failed; CloudFormation has put back what was there ({stack} is {status})"
    else:
        state = f"osls failed, and nothing says that anything was put back: {stack} is {status}"
    return f"{state}. {ways}" + (f"\nBesides, {recordings}" if recordings else "")


def remove(stage: str, session: Any, run: Run, ask: Callable[[str], str], *, dry_run: bool) -> str:
    """Remove the stack once its name was typed; table, buckets and what is in them stay.

    Raises
    ------
    RefusedError
        There is no such stack, a diagnosis is under way, another name was typed, or osls failed.
    DoneError
        It is gone, but an endpoint began to record meanwhile, or AWS would not say whether one did.
    """
    stack = f"{SERVICE}-{stage}"
    standing = find_template(session, stack)
    if standing is None:
        raise RefusedError(f"There is no stack {stack} in {session.region_name}.")
    account = session.client("sts").get_caller_identity()["Account"]
    why = "once the stack is gone nobody would put it back"
    recording = find_stranded(standing, {}, account, session)
    if recording:
        raise RefusedError(tell_recordings(recording, find_movable(standing), why))
    kept = sorted(
        name for name, row in standing["Resources"].items() if row.get("DeletionPolicy", "Delete") != "Delete"
    )
    lost = sorted(
        name for name, row in standing["Resources"].items() if row["Type"] in _NAMED and name not in kept
    )
    print(
        f"Stack {stack}: {len(standing['Resources'])} resources go. Kept: {', '.join(kept)}. Emptied: {', '.join(lost)}."
    )
    if dry_run:
        return "Dry run: nothing was changed."
    if ask(f"Type {stack} to remove it: ").strip() != stack:
        raise RefusedError("That was another name; nothing was changed.")
    # osls reads all of serverless.yml even to remove, and what `make package` wrote may never have been here.
    command = [str(ROOT / "node_modules" / ".bin" / "osls"), "remove", "--stage", stage]
    command += ["--param", f"monitorsFile={NO_MONITORS}"]
    if run([*command, "--region", session.region_name]):
        raise RefusedError(f"osls failed: aws cloudformation describe-stack-events --stack-name {stack}")
    # A diagnosis may have begun after the look above.
    recording = look_afterwards(f"{stack} is removed", standing, {}, account, session)
    if recording:
        told = tell_recordings(recording, (), why)
        raise DoneError(f"{stack} is gone, but a diagnosis began while it was removed: {told}")
    return f"{stack} is gone; kept: {', '.join(kept)}."


def find_left(
    template: Mapping[str, Any], account: str, session: Any, standing: Mapping[str, Any]
) -> list[str]:
    """Tables and buckets that the template would make beside those of the standing one, and that are there already."""
    found, made = [], list_made(template) - list_made(standing)
    for logical_id, row in template["Resources"].items():
        name = row.get("Properties", {}).get(_NAMED.get(row["Type"], ""))
        if name is None or logical_id not in made:
            continue
        text = _resolve(name, account, session.region_name)
        found += _tell_there(row["Type"], text, session)
    return sorted(found)


def _resolve(name: Any, account: str, region: str) -> str:
    """A name of the template, as CloudFormation writes it out."""
    text = str(name["Fn::Sub"] if isinstance(name, dict) else name)
    return text.replace("${AWS::AccountId}", account).replace("${AWS::Region}", region)


def _tell_there(kind: str, name: str, session: Any) -> list[str]:
    """The name, where there is such a thing; with what is not known of it."""
    try:
        if kind == "AWS::S3::Bucket":
            session.client("s3").head_bucket(Bucket=name)
        else:
            session.client("dynamodb").describe_table(TableName=name)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"404", "NoSuchBucket", "ResourceNotFoundException"}:
            return []
        # Somebody else's bucket of that name would be in the way as well; it answers alike.
        if kind == "AWS::S3::Bucket" and code in {"403", "AccessDenied"}:
            return [f"{name} (another account's, or you may not look: HeadBucket answers 403)"]
        raise
    return [name]


def find_stranded(
    standing: Mapping[str, Any], template: Mapping[str, Any], account: str, session: Any
) -> list[str]:
    """Endpoints that record for this stack right now and that the new template's role could not put back.

    What another stack of the account records is that stack's own affair, whoever else lists the endpoint.
    """
    evidence = next(
        (one["Resources"][EVIDENCE] for one in (standing, template) if EVIDENCE in one.get("Resources", {})),
        None,
    )
    if evidence is None:
        return []
    bucket = _resolve(evidence["Properties"]["BucketName"], account, session.region_name)
    recording = find_recordings(bucket, find_movable(standing) | find_movable(template), session)
    return [name for name in recording if name.lower() not in find_movable(template)]


def compare(standing: Mapping[str, Any] | None, template: Mapping[str, Any]) -> str:
    """What would change: lines of the summary that go (-) and come (+), then each property that it does not show."""
    if standing is None:
        return f"A new stack of {len(template['Resources'])} resources."
    lines = compare_stacks(standing, template)
    return "\n".join(lines) if lines else "Nothing but code would change."


def run_here(command: Sequence[str]) -> int:
    """Run a program in the repository's root, its output on this terminal; its exit code."""
    return subprocess.run(list(command), cwd=ROOT, check=False).returncode


def main() -> None:
    """Deploy or remove, as the command line says; exit codes: docs/deploy.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["deploy", "remove"])
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--region", default=None)
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--monitors", type=Path, default=ROOT / "monitors.yml", metavar="FILE")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dry-run", action="store_true")
    told = parser.parse_args()
    session = boto3.session.Session(region_name=told.region)
    if session.region_name is None:
        sys.exit("deploy: which region? Set AWS_DEFAULT_REGION, or REGION=eu-west-1 on make's command line.")
    try:
        if told.verb == "remove":
            print(remove(told.stage, session, run_here, input, dry_run=told.dry_run))
            return
        package = package_stack(ROOT, told.stage, told.architecture, told.monitors, told.param)
        params = [f"architecture={told.architecture}", *told.param]
        words = [word for param in params for word in ("--param", param)]
        monitors = read_monitors(told.monitors)
        print(
            deploy(
                package,
                told.stage,
                session,
                run_here,
                dry_run=told.dry_run,
                words=words,
                monitors=monitors,
            )
        )
    except RefusedError as error:
        sys.exit(f"{told.verb}: {error}")
    except DoneError as error:
        print(f"{told.verb}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{told.verb}: {tell_aws(error)}")


if __name__ == "__main__":
    main()
