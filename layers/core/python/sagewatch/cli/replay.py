"""``sagewatch replay``: recorded events and captures through the real flows, in memory, on a virtual clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.store import Store, open_store, stack_option
from sagewatch.cli.terminal import ID_WIDTH, cell, escape, make_console, say
from sagewatch.errors import SagewatchError

if TYPE_CHECKING:
    from sagewatch.replay.load import Recording
    from sagewatch.replay.outcome import Difference, Outcome
    from sagewatch.replay.play import Player

_NAMED = 3
_PATH = click.Path(exists=True, path_type=Path)


class NotReproducedError(SagewatchError):
    """A replay did not come to what was recorded."""

    def __init__(self, differences: list[Difference]) -> None:
        told = "; ".join(f"{one.what}: recorded {one.recorded}, played {one.played}" for one in differences)
        super().__init__(f"The replay differs from the recording: {told}.")
        self.differences = differences


class IncompleteReplayError(SagewatchError):
    """A recording lacks what its events tell of: what was played is no all-clear."""

    def __init__(self, lacking: list[str], differences: list[Difference]) -> None:
        told = f" {NotReproducedError(differences)}" if differences else ""
        super().__init__(f"The recording is not whole: {'; '.join(lacking)}.{told}")
        self.lacking = lacking


@click.command(epilog="Example: sagewatch replay demo-out")
@click.argument("paths", nargs=-1, type=_PATH, metavar="FILE...")
@click.option("--captures", type=_PATH, help="Folder of captures, laid out as in S3.")
@click.option(
    "--monitors",
    type=_PATH,
    help="What is watched; default: monitors.yml beside the events or among the captures, or here.",
)
@click.option("--from", "start", help="Play the stack's archive since then: a time, or so long ago (2h).")
@click.option(
    "--to",
    "end",
    default="1s",
    help="Play the archive until then; default: now. Events reach it up to 10 minutes late.",
)
@click.option("--endpoint", default="", help="Of the archive, only what concerns this endpoint.")
@click.option("--rule", default="CaptureRule", show_default=True, help="Of the archive, only to this rule.")
@click.option(
    "--live", is_flag=True, help="Act as if the archive's events came anew. Without it: a rehearsal."
)
@stack_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for outcome.json and the incident pages."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the whole outcome as JSON, the same bytes each time."
)
def replay(
    paths: tuple[Path, ...],
    captures: Path | None,
    monitors: Path | None,
    start: str | None,
    end: str,
    endpoint: str,
    rule: str,
    live: bool,
    stack: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Play recorded events and captures again, as the stack would take them. Nothing is sent.

    FILE is a file of events (one JSON object a line), a folder with events.jsonl such as the demo leaves, or a
    folder of captures. Monitoring jobs are judged again from what `record` kept of them. Where the recording tells
    how its incidents went, exit code 1 says that the replay came to something else, and to what; or that captures or jobs
    that the events tell of are not there, and which. Nothing is said where none of the captures can be read: exit code 2.

    With --from, EventBridge plays the stack's archive to the stack's own functions. That is a rehearsal, in rows
    of its own, told to the receiver `test` alone, unless --live is given.
    """
    refuse_mixture(paths, start)
    if start is not None:
        replay_archive(stack, start, end, endpoint, rule, live=live, as_json=as_json)
        return
    from sagewatch.observability import get_logger
    from sagewatch.replay.load import build_player, load_recording
    from sagewatch.replay.outcome import compare, encode, gather
    from sagewatch.replay.recording import iterate_own

    get_logger().setLevel("ERROR")
    recording = load_recording(list(paths), captures, monitors)
    player = build_player(recording)
    player.play(recording.events)
    outcome = gather(player, len(recording.events))
    refuse_unread(recording, outcome)
    lacking = list_lacking(outcome, recording)
    differences = compare(outcome, iterate_own(recording.events), recording.stories)
    if out is not None:
        write_outcome(player, outcome, out)
    if as_json:
        click.echo(encode(outcome), nl=False)
    else:
        reproduced = not lacking and is_reproduced(recording, outcome, differences)
        show_outcome(outcome, reproduced=reproduced)
    if lacking:
        raise IncompleteReplayError(lacking, differences)
    if differences:
        raise NotReproducedError(differences)


def list_lacking(outcome: Outcome, recording: Recording) -> list[str]:
    """What the events tell of and the recording does not hold, in words."""
    from sagewatch.replay.jobs import NOT_KEPT
    from sagewatch.replay.outcome import tell_missing

    lacking = []
    if outcome.missing:
        lacking.append(f"{tell_missing(outcome.missing)} in {recording.captures}")
    jobs = [job for job, reason in outcome.unplayed if reason == NOT_KEPT]
    if jobs:
        more = f" and {len(jobs) - _NAMED:,} more" if len(jobs) > _NAMED else ""
        kept = f"{count_jobs(len(jobs))} not kept beside the events"
        lacking.append(f"{kept}: {', '.join(jobs[:_NAMED])}{more}")
    return lacking


def is_reproduced(recording: Recording, outcome: Outcome, differences: list[Difference]) -> bool:
    """Whether the recording told of an incident that can be played, and the replay came to it."""
    from sagewatch.replay.outcome import is_played

    return (
        not differences
        and not outcome.missing
        and any(is_played(story.incident.findings, outcome) for story in recording.stories)
    )


def refuse_unread(recording: Recording, outcome: Outcome) -> None:
    """A replay that read nothing of what was captured says nothing.

    Raises
    ------
    ConfigurationError
        None of the captured endpoints is watched, or no capture holds a prediction.
    """
    from sagewatch.errors import ConfigurationError
    from sagewatch.replay.load import list_captured
    from sagewatch.replay.outcome import tell_missing

    captured, watched = list_captured(recording), recording.monitors.endpoints
    if outcome.predictions or not captured:
        return
    if not any(name.partition(".")[0] in captured for name in watched):
        reason = f"watches {', '.join(watched) or 'nothing'}, and captured is {', '.join(captured)}"
        raise ConfigurationError(
            f"{reason}; name the right file: --monitors", where="monitors.yml", key="endpoints"
        )
    if outcome.jobs or outcome.findings:
        return
    reason = "the captures that the events tell of hold no prediction"
    if outcome.missing:
        reason = f"{tell_missing(outcome.missing)}; each must lie in the folder under its whole key"
    raise ConfigurationError(reason, where=str(recording.captures), key="--captures")


def refuse_mixture(paths: tuple[Path, ...], start: str | None) -> None:
    """Files are played here, an archive there: options of one way say nothing to the other."""
    if bool(paths) == (start is not None):
        raise click.UsageError("Name FILE... to play here, or a stretch of the stack's archive: --from 2h.")
    context = click.get_current_context()
    foreign = ("live", "endpoint", "rule", "end") if start is None else ("captures", "monitors", "out")
    given = [name for name in foreign if _is_given(context, name)]
    if given:
        names = ", ".join(f"--{'to' if name == 'end' else name}" for name in given)
        verb = "is" if len(given) == 1 else "are"
        if start is None:
            raise click.UsageError(f"{names} {verb} of the stack's archive: say --from, too.")
        raise click.UsageError(
            f"{names} {verb} of a replay here: of the archive the stack plays with its own."
        )


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def replay_archive(
    stack: str, start: str, end: str, endpoint: str, rule: str, *, live: bool, as_json: bool
) -> None:
    """Have EventBridge play the archive, wait for it, and say under which name."""
    from sagewatch.cli.archives import ARCHIVE_OF, REHEARSED, Archives, find_complete, tell_newest
    from sagewatch.cli.when import read_window
    from sagewatch.errors import ConfigurationError
    from sagewatch.rehearsal import build_replay_name

    if rule not in ARCHIVE_OF:
        raise ConfigurationError(f"is no rule; there are {', '.join(ARCHIVE_OF)}", where="--rule", key=rule)
    if not live and rule not in REHEARSED:
        reason = f"a rehearsal makes its own incidents and moves no endpoint: rehearse {', '.join(REHEARSED)}, or --live"
        raise ConfigurationError(reason, where="--rule", key=rule)
    store = open_store(stack)
    now = store.now()
    since, until = read_window(start, end, now)
    if endpoint:
        need_endpoint(endpoint, store)
    name = build_replay_name(now, live=live, endpoint=endpoint)
    Archives(stack, store.outputs["EventBus"]).replay(name, rule, since, until)
    if as_json:
        window = {"from": since.isoformat(), "to": until.isoformat()}
        complete = find_complete(until, now).isoformat()
        click.echo(json.dumps({"replay": name, "live": live, **window, "complete_until": complete}))
        return
    how = "live" if live else "a rehearsal: no endpoint is touched, only the receiver `test` hears"
    say(f"{name} is played ({how}).")
    if newest := tell_newest(until, now):
        say(newest, err=True)
    if not live:
        say(f"What comes of it: sagewatch incidents list --replay {name} (all of them: sagewatch replays)")


def need_endpoint(endpoint: str, store: Store) -> None:
    """Whether anything was ever captured of an endpoint: a replay of another would play to nobody.

    Raises
    ------
    ConfigurationError
        Nothing was.
    """
    from sagewatch.errors import ConfigurationError

    state = store.state
    if not state.list_streams(endpoint) and state.load_expectation(endpoint) is None:
        reason = "is no endpoint of which this stack has captured anything"
        raise ConfigurationError(reason, where="--endpoint", key=endpoint)


def write_outcome(player: Player, outcome: Outcome, out: Path) -> None:
    """Write ``outcome.json`` and the page of each incident."""
    from sagewatch.flows.evidence import build_page_key
    from sagewatch.replay.outcome import encode

    out.mkdir(parents=True, exist_ok=True)
    (out / "outcome.json").write_bytes(encode(outcome))
    for told in outcome.incidents:
        name = told.incident.incident_id
        bucket = player.world.settings.evidence_bucket
        stream = player.world.objects.open_object(bucket, build_page_key(name))
        if stream is not None:
            (out / f"{name}.html").write_bytes(stream.read())


def show_outcome(outcome: Outcome, *, reproduced: bool) -> None:
    """The outcome for the eye."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    from sagewatch.replay.outcome import tell_missing

    if outcome.began is not None and outcome.ended is not None:
        say(
            f"{outcome.events:,} events, {outcome.predictions:,} predictions, "
            f"{outcome.began:%Y-%m-%d %H:%M:%S} to {outcome.ended:%Y-%m-%d %H:%M:%S} UTC"
        )
    # An id is whole at 80 columns: it is what the next command is given.
    table = Table(
        Column("Incident", overflow="fold", min_width=ID_WIDTH),
        *(Column(name, overflow="fold") for name in ("Severity", "Opened", "Resolved", "Diagnosis")),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for told in outcome.incidents:
        one = told.incident
        resolved = f"{one.resolved_at:%H:%M:%S}" if one.resolved_at else "-"
        diagnosis = f"{one.diagnosis.stage} ({one.diagnosis.reason})" if one.diagnosis else "-"
        about = escape(f"{one.endpoint} {one.kind} {one.subject}".rstrip())
        cells = (
            f"{one.incident_id}\n{about}",
            one.severity.value,
            f"{one.opened_at:%m-%d\n%H:%M:%S}",
            resolved,
        )
        table.add_row(*map(cell, (*cells, diagnosis)))
    if outcome.incidents:
        make_console().print(table)
    else:
        say("No incident in what was played." if outcome.missing or outcome.unplayed else "No incident.")
    for message in outcome.messages:
        told_when = f"{message.at:%m-%d %H:%M:%S}"
        say(f"{told_when}  {message.kind} to {message.receiver} ({message.reason})")
    for function, reason in outcome.given_up:
        say(f"given up by {function}: {reason}")
    show_jobs(outcome)
    if outcome.missing:
        say(f"{tell_missing(outcome.missing)}.")
    say("Nothing was sent." + (" The recorded incident is reproduced." if reproduced else ""))


def show_jobs(outcome: Outcome) -> None:
    """Which monitoring jobs were played, and which were not, by reason."""
    if outcome.jobs:
        say(f"{count_jobs(len(outcome.jobs))} played.")
    reasons: dict[str, list[str]] = {}
    for job, reason in outcome.unplayed:
        reasons.setdefault(reason, []).append(job)
    for reason, jobs in reasons.items():
        more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
        say(f"{count_jobs(len(jobs))} not played: {reason} ({', '.join(jobs[:_NAMED])}{more}).")


def count_jobs(count: int) -> str:
    """How many processing jobs.

    Examples
    --------
    >>> count_jobs(1)
    '1 processing job'
    """
    return f"{count:,} processing job{'' if count == 1 else 's'}"
