"""``sagewatch record``: a window of the stack's archives as a file that `sagewatch replay` plays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import RefusedError
from sagewatch.incident.amounts import format_time

if TYPE_CHECKING:
    from sagewatch.ports import Jobs
    from sagewatch.replay.jobs import KeptJob
    from sagewatch.replay.scene import Scene
    from sagewatch.world import World


@click.command(epilog="Example: sagewatch record --from 2h --out fixtures/events.jsonl")
@click.option("--from", "start", required=True, help="Since when: a time, or so long ago (2h).")
@click.option(
    "--to",
    "end",
    default="1s",
    help="Until when; default: now. Events reach an archive up to 10 minutes late.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option(
    "--keep-names", is_flag=True, help="Do not redact accounts, callers, people, roles and environment."
)
@click.option(
    "--monitors",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Says which fields are sensitive; default: monitors.yml beside the events, or here.",
)
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def record(
    start: str, end: str, out: Path, monitors: Path | None, stack: str, *, keep_names: bool, as_json: bool
) -> None:
    """Keep the events of a window as a file for `sagewatch replay`, read from the stack's archives.

    scene.json beside it says whose buckets the events speak of. Captures are not fetched: payloads stay where they
    are until somebody syncs them into the folder `captures` beside the file. monitors.yml is taken from there, too.
    What jobs say when they end, and are called with, is left out even with --keep-names: it may quote a payload.

    The monitoring jobs of the window are described, and the JSON files of their reports fetched (up to 8 MB each), into
    the folder `jobs`. What pages withhold of sensitive fields is withheld there, too: of an endpoint that monitors.yml
    does not name, of every field. A job that cannot be played is named with the reason.
    """
    from sagewatch.cli.archives import find_complete, read_archives, tell_newest
    from sagewatch.cli.when import read_window
    from sagewatch.replay.jobs import write_jobs
    from sagewatch.replay.keep import build_scene, check_place, order_events, write_recording
    from sagewatch.replay.keep_jobs import keep_jobs
    from sagewatch.replay.redaction import find_stand_ins, hide_texts, redact, redact_job, redact_scene

    store = open_store(stack)
    now = store.now()
    since, until = read_window(start, end, now)
    settings = store.world.settings
    scene = build_scene(settings, store.world.place.account)
    kept = scene if keep_names else redact_scene(scene)
    check_place(out, kept)
    looking = open_jobs(store.world, out, monitors)
    found = read_archives(stack, store.outputs["EventBus"], now, since, until)
    jobs = keep_jobs(found, looking)
    stand_ins = find_stand_ins(scene, found, jobs)
    events = order_events(hide_texts(event) if keep_names else redact(event, stand_ins) for event in found)
    if not keep_names:
        jobs = [redact_job(job, stand_ins) for job in jobs]
    beside = write_recording(out, events, kept)
    write_jobs(out.parent / kept.jobs, jobs)
    captures = out.parent / kept.captures
    if as_json:
        unplayed = {job.record.name: job.record.unplayed for job in jobs if job.record.unplayed}
        told = {"file": str(out), "events": len(events), "scene": str(beside), "jobs": len(jobs)}
        complete = find_complete(until, now).isoformat()
        click.echo(json.dumps({**told, "unplayed": unplayed, "complete_until": complete}))
        return
    if newest := tell_newest(until, now):
        say(newest, err=True)
    if not events:
        say(f"No event from {format_time(since)} to {format_time(until)}; {out} is empty.")
        return
    say(f"{len(events)} events in {out}, their scene in {beside}")
    tell_jobs(jobs, out, kept)
    say(f"To replay it: aws s3 sync s3://{settings.capture_bucket} {captures}; sagewatch replay {out}")


class AskedJobs:
    """``Jobs`` of a person: what the person may not see is refused by name, as everything else that AWS refuses."""

    def __init__(self, jobs: Jobs) -> None:
        self.create_processing_job = jobs.create_processing_job
        self.stop_processing_job = jobs.stop_processing_job
        self._describe = jobs.describe_processing_job

    def describe_processing_job(self, name: str) -> dict[str, Any] | None:
        """The job as it is now."""
        from botocore.exceptions import ClientError

        try:
            return self._describe(name)
        except ClientError as error:
            told = error.response.get("Error", {})
            code, message = str(told.get("Code", "")), str(told.get("Message", ""))
            raise RefusedError(error.operation_name, code, message) from None


def open_jobs(world: World, out: Path, monitors: Path | None) -> World:
    """The stack as jobs are looked at: with the monitors file that says what is sensitive, where there is one."""
    from sagewatch.monitors import read_monitors

    beside = (out.parent / "monitors.yml", Path("monitors.yml"))
    file = monitors or next((path for path in beside if path.is_file()), None)
    known = read_monitors(file) if file else world.monitors
    return dataclasses.replace(world, jobs=AskedJobs(world.jobs), monitors=known)


def tell_jobs(jobs: list[KeptJob], out: Path, scene: Scene) -> None:
    """How many jobs are kept, and which of them cannot be played."""
    from sagewatch.cli.replay import count_jobs

    if not jobs:
        return
    say(f"{count_jobs(len(jobs))} in {out.parent / scene.jobs}")
    for job in jobs:
        if job.record.unplayed:
            say(f"{job.record.name} cannot be played: {job.record.unplayed}.")
