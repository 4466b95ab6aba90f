"""``sagewatch monitor``: the schedules by which endpoints' data are looked at, and a look at once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sagewatch.cli.aws_calls import CallLog, show_dry_run
from sagewatch.cli.monitor_schedules import Schedules, build_schedules
from sagewatch.cli.store import read_outputs, stack_option
from sagewatch.cli.terminal import say, say_lines
from sagewatch.errors import ConfigurationError, SagewatchError
from sagewatch.job_security import JobSecurity
from sagewatch.monitoring.job import Image
from sagewatch.monitoring.policy import Quality, name_schedule
from sagewatch.monitoring.window import Span, choose_span, format_time
from sagewatch.section import read_duration

if TYPE_CHECKING:
    from sagewatch.flows.monitor_run import Started

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print the calls that would change something, and make none."
)
monitors_option = click.option(
    "--monitors",
    "monitors_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("monitors.yml"),
    show_default=True,
    help="The file that says what is watched.",
)
_ENDED = frozenset({"Completed", "Failed", "Stopped"})


class RunFailedError(SagewatchError):
    """A run could not be started, or it failed; the message says why and what to do."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(f"The data of {endpoint} were not looked at: {why}")
        self.endpoint = endpoint


@click.group()
def monitor() -> None:
    """Make, list and remove the schedules that monitors.yml asks for (quality:), or look at once."""


@monitor.command(epilog="Example: sagewatch monitor create churn")
@click.argument("endpoint")
@dry_run_option
@monitors_option
@stack_option
@as_json_option
def create(endpoint: str, monitors_file: Path, stack: str, *, dry_run: bool, as_json: bool) -> None:
    """Make an endpoint's schedule, or bring it to what monitors.yml says. Again, it changes nothing."""
    quality = read_quality(monitors_file).get(endpoint)
    if quality is None:
        raise _not_monitored(endpoint, monitors_file)
    kinds, log = open_schedules(stack, dry=dry_run)
    change = kinds[quality.scheduler].put(endpoint, quality)
    # An endpoint has one schedule: it may have moved from one kind to the other.
    moved = [kind for kind, other in kinds.items() if kind != quality.scheduler and other.remove(endpoint)]
    if dry_run:
        show_dry_run(log, as_json=as_json)
        return
    found = kinds[quality.scheduler].find(endpoint)
    answer = {
        "endpoint": endpoint,
        "schedule": found.name if found else name_schedule(endpoint),
        "scheduler": quality.scheduler,
        "change": change,
        "expression": found.expression if found else "",
        "removed": moved,
    }
    also = f"; removed that of {moved[0]}" if moved else ""
    words = f"{answer['schedule']}: {change}, {answer['expression']} by {quality.scheduler}{also}."
    say(json.dumps(answer) if as_json else words)


@monitor.command("list", epilog="Example: sagewatch monitor list --json")
@monitors_option
@stack_option
@as_json_option
def list_(monitors_file: Path, stack: str, *, as_json: bool) -> None:
    """Every endpoint that monitors.yml wants looked at: its schedule, and what came of the latest run."""
    kinds, _ = open_schedules(stack)
    rows = [
        describe_monitor(name, quality, kinds[quality.scheduler])
        for name, quality in read_quality(monitors_file).items()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        say(f"No endpoint of {monitors_file} has `quality:`.")
    for row in rows:
        say_lines(tell_monitor(row))


@monitor.command(epilog="Example: sagewatch monitor run churn --last 2h --wait --fail-on-violation")
@click.argument("endpoint")
@click.option("--last", help="The window that ends now, such as 30m or 2h; default: the latest whole one.")
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="Where the window begins.")
@click.option("--to", "end", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="Where the window ends.")
@click.option("--again", is_flag=True, help="Also where the window was looked at before.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 where the job fails.")
@click.option(
    "--fail-on-violation", is_flag=True, help="With --wait: exit code 1 where a constraint is broken."
)
@click.option("--poll", default=5.0, show_default=True, help="Seconds between looks at the job.")
@monitors_option
@stack_option
@as_json_option
def run(
    endpoint: str,
    last: str | None,
    start: datetime | None,
    end: datetime | None,
    poll: float,
    monitors_file: Path,
    stack: str,
    *,
    again: bool,
    wait: bool,
    fail_on_violation: bool,
    as_json: bool,
) -> None:
    """Look at an endpoint's data now, in the window given; one job a window, however often it is asked for."""
    from sagewatch.wiring import read_clock

    if fail_on_violation and not wait:
        raise click.UsageError("--fail-on-violation needs --wait: nothing is known before the end.")
    quality = read_quality(monitors_file).get(endpoint)
    if quality is None:
        raise _not_monitored(endpoint, monitors_file)
    now = read_clock()
    span = read_span(last, start, end, quality, now)
    started = start_by_hand(endpoint, quality, span, stack, now.isoformat() if again else "")
    answer = {"endpoint": endpoint, "from": format_time(span.start), "to": format_time(span.end)}
    answer |= {"job": started.job, "report": started.report_uri}
    if wait:
        answer |= wait_for_end(endpoint, started.job, poll)
    say_lines(json.dumps(answer) if as_json else tell_run(answer))
    if fail_on_violation and answer.get("message", "").startswith("CompletedWithViolations"):
        raise click.exceptions.Exit(1)


@monitor.command(epilog="Example: sagewatch monitor delete churn")
@click.argument("endpoint")
@dry_run_option
@stack_option
@as_json_option
def delete(endpoint: str, stack: str, *, dry_run: bool, as_json: bool) -> None:
    """Remove an endpoint's schedule, of either kind. Again, it changes nothing; reports and incidents stay."""
    kinds, log = open_schedules(stack, dry=dry_run)
    there = [found.name for one in kinds.values() if (found := one.find(endpoint)) is not None]
    removed = [kind for kind, schedules in kinds.items() if schedules.remove(endpoint)]
    if dry_run:
        show_dry_run(log, as_json=as_json)
        return
    answer = {
        "endpoint": endpoint,
        "schedule": " and ".join(there) or name_schedule(endpoint),
        "removed": removed,
    }
    words = f"{answer['schedule']}: {'removed' if removed else 'was not there'}."
    say(json.dumps(answer) if as_json else words)


def read_quality(monitors_file: Path) -> dict[str, Quality]:
    """What monitors.yml says of each endpoint's data."""
    from sagewatch.monitors import read_monitors

    monitors = read_monitors(monitors_file)
    return {name: one.quality for name, one in monitors.endpoints.items() if one.quality is not None}


def open_schedules(stack: str, *, dry: bool = False) -> tuple[dict[str, Schedules], CallLog]:
    """Both kinds of schedules of a stack, and the calls that change them."""
    import boto3

    outputs = read_outputs(stack)
    session = boto3.session.Session()
    log = CallLog(session, dry=dry)
    return build_schedules(session, outputs, build_image(outputs)), log


def build_image(outputs: dict[str, str]) -> Image:
    """What runs the jobs of a stack."""
    return Image(
        image_uri=outputs["MonitorImageUri"],
        role_arn=outputs["SageMakerRoleArn"],
        instance_type=outputs["MonitorInstanceType"],
        security=JobSecurity(
            subnets=outputs.get("JobSubnets", ""),
            security_groups=outputs.get("JobSecurityGroups", ""),
            volume_key=outputs.get("JobVolumeKmsKeyArn", ""),
            output_key=outputs.get("KmsKeyArn", ""),
        ),
    )


def read_span(
    last: str | None, start: datetime | None, end: datetime | None, quality: Quality, now: datetime
) -> Span:
    """The window that the options name.

    Raises
    ------
    ConfigurationError
        They contradict each other, or name none.
    """
    if last is not None:
        if start is not None or end is not None:
            reason = "names a window of its own: leave --from and --to out"
            raise ConfigurationError(reason, where="command line", key="--last")
        try:
            length: timedelta = read_duration(last)
        except ValueError as error:
            raise ConfigurationError(str(error), where="command line", key="--last") from None
        return Span(now - length, now)
    if start is None and end is None:
        return choose_span(now, quality.every)
    until = end.replace(tzinfo=UTC) if end else now
    since = start.replace(tzinfo=UTC) if start else until - quality.every
    if since >= until:
        raise ConfigurationError("must lie before --to", where="command line", key="--from")
    return Span(since, until)


def start_by_hand(endpoint: str, quality: Quality, span: Span, stack: str, attempt: str) -> Started:
    """Start the job with the caller's own rights.

    Raises
    ------
    RunFailedError
        There are no data, no baseline, no endpoint, or AWS refused.
    """
    from sagewatch.aws.s3 import S3Objects
    from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
    from sagewatch.flows.monitor_run import Started, Workshop, start_run

    outputs = read_outputs(stack)
    reports_uri = f"s3://{outputs['EvidenceBucket']}/reports"
    workshop = Workshop(SageMakerHosting(), S3Objects(), SageMakerJobs(), build_image(outputs), reports_uri)
    started = start_run(endpoint, quality, span, workshop, attempt)
    if not isinstance(started, Started):
        window = f"{format_time(span.start)} to {format_time(span.end)}"
        raise RunFailedError(endpoint, f"{started.code} ({window}). {started.next_step}")
    return started


def wait_for_end(endpoint: str, job: str, poll: float) -> dict[str, str]:
    """Status and message of the job, once it has ended.

    Raises
    ------
    RunFailedError
        It failed or was stopped.
    """
    from sagewatch.aws.sagemaker import SageMakerJobs

    jobs = SageMakerJobs()
    while (described := jobs.describe_processing_job(job) or {}).get("ProcessingJobStatus") not in _ENDED:
        time.sleep(poll)
    return read_end(endpoint, described)


def read_end(endpoint: str, described: dict[str, Any]) -> dict[str, str]:
    """Status and message of a job that has ended, as DescribeProcessingJob tells them.

    Raises
    ------
    RunFailedError
        It failed or was stopped; the message has what the container said, too, where SageMaker names no cause.
    """
    from sagewatch.report.failure import classify_failure
    from sagewatch.report.run import join_message

    status = str(described["ProcessingJobStatus"])
    message = join_message(str(described.get("ExitMessage") or ""), str(described.get("FailureReason") or ""))
    if status != "Completed":
        failure = classify_failure(status, message)
        said = f"{described.get('ProcessingJobName')} {status}: {message}"
        raise RunFailedError(endpoint, f"{said}. {failure.next_step}")
    return {"status": status, "message": message}


def describe_monitor(name: str, quality: Quality, schedules: Schedules) -> dict[str, Any]:
    """One row of the list."""
    found, last = schedules.find(name), schedules.find_last_run(name)
    return {
        "endpoint": name,
        "schedule": found.name if found else name_schedule(name),
        "scheduler": quality.scheduler,
        "baseline": quality.baseline,
        "mode": quality.mode,
        "status": found.status if found else "missing",
        "expression": found.expression if found else "",
        "last_run": msgspec.to_builtins(last) if last else None,
    }


def tell_monitor(row: dict[str, Any]) -> str:
    """A row in words."""
    head = f"{row['schedule']}  {row['scheduler']}  {row['status']}  {row['expression']}".rstrip()
    if row["status"] == "missing":
        head += f"  (make it: sagewatch monitor create {row['endpoint']})"
    last = row["last_run"]
    return head + (
        f"\n  last run {last['at']}: {last['status']} {' '.join(last['said'].split())}".rstrip()
        if last
        else "\n  no run yet"
    )


def tell_run(answer: dict[str, str]) -> str:
    """A run in words."""
    head = f"{answer['job']}: {answer['endpoint']} from {answer['from']} to {answer['to']}"
    said = f"\n{' '.join(answer['message'].split())}" if "message" in answer else ""
    return f"{head}{said}\nReport: {answer['report']}"


def _not_monitored(endpoint: str, monitors_file: Path) -> ConfigurationError:
    return ConfigurationError(
        "has no `quality:`; docs/monitoring.md says how",
        where=str(monitors_file),
        key=f"endpoints.{endpoint}",
    )
