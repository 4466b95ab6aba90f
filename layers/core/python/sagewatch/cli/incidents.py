"""``sagewatch incidents``: what is wrong, what was done, and what a person decides about it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sagewatch.cli.bundle import fetch_bundle
from sagewatch.cli.short_ids import find_id, read_id
from sagewatch.cli.store import Store, open_store, replay_option, stack_option
from sagewatch.cli.terminal import ID_WIDTH, cell, escape, make_console, say
from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from sagewatch.incident.model import Incident
    from sagewatch.state.incidents import Listed

PRESIGNED_SECONDS = 3600
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")


def read_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Who decides, as everybody will read it: on one line."""
    del context
    if not value.strip() or escape(value) != value:
        raise click.BadParameter("is a name on one line, without control characters", param=parameter)
    return value.strip()


def read_reason(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Why it was decided: something, for whoever reads it in a year."""
    del context
    if not value.strip():
        raise click.BadParameter("must not be empty", param=parameter)
    return value.strip()


by_option = click.option(
    "--by", default=getpass.getuser, show_default="you", callback=read_name, help="Who decides."
)


@click.group()
def incidents() -> None:
    """List, read and decide incidents of a stack."""


@incidents.command("list", epilog="Example: sagewatch incidents list --state open --endpoint traffic-signs")
@stack_option
@replay_option
@click.option("--endpoint", help="Only this endpoint's.")
@click.option("--kind", help="Only of this kind, such as class-concentration.")
@click.option("--state", type=click.Choice(["open", "acknowledged", "resolved"]), help="Only in this state.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="At most so many, the latest first.",
)
@as_json_option
def list_(
    stack: str,
    replay_name: str,
    endpoint: str | None,
    kind: str | None,
    state: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Incidents, the latest first."""
    wanted = {"endpoint": endpoint, "kind": kind, "state": state}
    listed, unreadable = open_store(stack, replay_name).state.read_incidents()
    fitting = [
        one
        for one in listed
        if all(value is None or getattr(one, name) == value for name, value in wanted.items())
    ]
    found = fitting[:limit]
    if len(fitting) > limit:
        say(f"The latest {limit} of {len(fitting):,}; --limit shows more.", err=True)
    for incident_id in unreadable:
        say(
            f"Not listed, for its row cannot be read (damaged, or of a newer version): {incident_id}",
            err=True,
        )
    if as_json:
        _print_json(found)
        return
    if not found:
        others = f" that fits; {len(listed):,} without these filters" if listed else ""
        say(f"No incident{others}.")
        return
    console = make_console()
    if console.is_terminal:
        console.print(build_table(found))
        return
    for one in found:
        say(tell_listed(one))


def tell_listed(one: Listed) -> str:
    """An incident in one line."""
    subject = f" {one.subject}" if one.subject else ""
    return (
        f"{one.incident_id}  {one.severity:<8}  {_tell_state(one):<9}  "
        f"{one.endpoint}/{one.variant}  {one.kind}{subject}"
    )


def build_table(found: Sequence[Listed]) -> Table:
    """Incidents for the eye; ids are whole at 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    table = Table(
        Column("Incident", overflow="fold", min_width=ID_WIDTH),
        *(Column(name, overflow="fold") for name in ("Severity", "State", "About")),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for one in found:
        about = f"{escape(f'{one.endpoint}/{one.variant}')}\n{escape(f'{one.kind} {one.subject}'.rstrip())}"
        style = "dim" if one.state == "resolved" else "red" if one.severity == "critical" else "yellow"
        table.add_row(
            cell(one.incident_id), cell(one.severity, style), cell(escape(_tell_state(one))), cell(about)
        )
    return table


def _tell_state(one: Listed) -> str:
    state = f"{one.state} by {one.acknowledged_by}" if one.state == "acknowledged" else str(one.state)
    return f"{state}, on trial" if one.staged else state


@incidents.command("show", epilog="Example: sagewatch incidents show 20261121T203405Z-d70a35fb2065c43a")
@click.argument("incident_id", metavar="ID")
@stack_option
@replay_option
@as_json_option
def show(incident_id: str, stack: str, replay_name: str, *, as_json: bool) -> None:
    """An incident with its trail: what happened, why, who did it, who was told."""
    from sagewatch.flows.evidence import load_class_names
    from sagewatch.incident.amounts import format_time
    from sagewatch.incident.describe import describe
    from sagewatch.incident.doing import tell_doing
    from sagewatch.incident.ending import tell_ending

    store = open_store(stack, replay_name)
    incident = load(incident_id, store)
    entries = store.state.load_entries(incident.incident_id)
    if as_json:
        _print_json({"incident": incident, "entries": entries, "page": find_page(incident, store)})
        return
    description = describe(incident.latest, load_class_names(incident.incident_id, store.world))
    say(f"{incident.incident_id}: {incident.state}, {incident.severity}")
    if incident.resolved_at is not None:
        say(tell_ending(incident, description).what)
    what = description.what_was if incident.resolved_at is not None else description.what
    say(f"{incident.endpoint}/{incident.variant}: {what}")
    say(description.how_bad)
    say(tell_doing(incident))
    say(f"Next: {description.next_step}")
    say("")
    for entry in entries:
        data = ", ".join(
            f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in entry.data.items()
            if key != "finding_id"
        )
        say(
            f"{format_time(entry.at)}  {entry.what} ({entry.reason}) by {entry.by}{f': {data}' if data else ''}"
        )
    say("")
    say(f"Page: {find_page(incident, store)}")


@incidents.command(
    "ack", epilog="Example: sagewatch incidents ack 20261121T203405Z-d70a35fb2065c43a --by ada"
)
@click.argument("incident_id", metavar="ID")
@by_option
@stack_option
@as_json_option
def ack(incident_id: str, by: str, stack: str, *, as_json: bool) -> None:
    """Say that you look after it: everybody who was told sees your name."""
    from sagewatch.flows.act_by_hand import acknowledge_incident

    store = open_store(stack)
    name = load(incident_id, store).incident_id
    reason = acknowledge_incident(name, by=by, world=store.world).reason
    _tell_change(name, reason, store, as_json=as_json)


@incidents.command(
    "promote", epilog="Example: sagewatch incidents promote 20261121T203405Z-d70a35fb2065c43a --by ada"
)
@click.argument("incident_id", metavar="ID")
@by_option
@stack_option
@as_json_option
def promote(incident_id: str, by: str, stack: str, *, as_json: bool) -> None:
    """Say that a detector on trial (`staged: true`) is right about it: from now on people are told of this incident."""
    from sagewatch.flows.act_by_hand import promote_incident

    store = open_store(stack)
    name = load(incident_id, store).incident_id
    reason = promote_incident(name, by=by, world=store.world).reason
    _tell_change(name, reason, store, as_json=as_json)


@incidents.command(
    "resolve",
    epilog='Example: sagewatch incidents resolve 20261121T203405Z-d70a35fb2065c43a --reason "camera was turned"',
)
@click.argument("incident_id", metavar="ID")
@click.option("--reason", required=True, callback=read_reason, help="Why it is over; stays in the trail.")
@by_option
@stack_option
@as_json_option
def resolve(incident_id: str, reason: str, by: str, stack: str, *, as_json: bool) -> None:
    """End it by hand. Its findings open nothing again unless they get worse; a new episode does."""
    from sagewatch.flows.act_by_hand import resolve_incident

    store = open_store(stack)
    name = load(incident_id, store).incident_id
    code = resolve_incident(name, by=by, reason=reason, world=store.world).reason
    _tell_change(name, code, store, as_json=as_json)


@incidents.command(
    "silence",
    epilog='Example: sagewatch incidents silence 20261121T203405Z-d70a35fb2065c43a --for 2h --reason "new camera"',
)
@click.argument("incident_id", metavar="ID")
@click.option("--for", "length", default="2h", show_default=True, help="How long: 30m, 2h, 1d.")
@click.option("--reason", required=True, callback=read_reason, help="Why; shown wherever it mutes.")
@by_option
@stack_option
@as_json_option
def silence(
    incident_id: str,
    length: str,
    reason: str,
    by: str,
    stack: str,
    *,
    as_json: bool,
) -> None:
    """Tell nobody for a while of what the incident is about: it, and whatever follows of the same.

    `sagewatch silences add` silences by matchers of your own, later, or again and again.
    """
    from sagewatch.cli.silences import read_length, tell_silence
    from sagewatch.flows.act_by_hand import silence_incident

    store = open_store(stack)
    name = load(incident_id, store).incident_id
    made = silence_incident(name, read_length(length), by=by, reason=reason, world=store.world)
    if as_json:
        _print_json(made)
        return
    say(tell_silence(made, store.world.now()))


@incidents.command(
    "report", epilog="Example: sagewatch incidents report 20261121T203405Z-d70a35fb2065c43a --out bundle"
)
@click.argument("incident_id", metavar="ID")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder to write to."
)
@stack_option
@replay_option
@as_json_option
def report(incident_id: str, out: Path, stack: str, replay_name: str, *, as_json: bool) -> None:
    """Fetch the page and the evidence bundle, each file checked against the manifest's SHA-256."""
    store = open_store(stack, replay_name)
    name = load(incident_id, store).incident_id
    written = fetch_bundle(name, out / name, store)
    if as_json:
        _print_json({"incident_id": name, "folder": str(out / name), "files": written})
        return
    say(f"{len(written)} files in {out / name}; start with {out / name / 'index.html'}")


@incidents.command("open", epilog="Example: sagewatch incidents open 20261121T203405Z-d70a35fb2065c43a")
@click.argument("incident_id", metavar="ID")
@click.option("--print", "only_print", is_flag=True, help="Print the link, open no browser.")
@stack_option
@replay_option
@as_json_option
def open_(incident_id: str, stack: str, replay_name: str, *, only_print: bool, as_json: bool) -> None:
    """Open the incident's page in a browser, by a link that works for an hour; the link is printed, too."""
    store = open_store(stack, replay_name)
    url = find_page(load(incident_id, store), store)
    if as_json:
        _print_json({"url": url})
        return
    if not only_print:
        click.launch(url)  # on a machine without a browser nothing opens, and nothing says so
    say(url)


def load(incident_id: str, store: Store) -> Incident:
    """The incident, by its id or the beginning of one that is enough.

    Raises
    ------
    RejectedInputError
        None, or several begin so; or it cannot be read.
    """
    incident_id = read_id(incident_id, "incident")
    incident = store.state.load_incident(incident_id)
    if incident is not None:
        return incident
    listed, unreadable = store.state.read_incidents()
    readable = [one.incident_id for one in listed]
    name = find_id(incident_id, readable, unreadable, "incident", _tell_unknown(store.world.replay))
    found = store.state.load_incident(name)
    if found is None:
        raise RejectedInputError(
            "has a line in the list, and nothing else of it is there", where=f"incident {name}"
        )
    return found


def _tell_unknown(replay: str) -> str:
    """Why an id may name no incident, and where to look."""
    if replay:
        return f"is none of {replay}; `sagewatch incidents list --replay {replay}` shows all of it"
    return (
        "is not known here; `sagewatch incidents list` shows all. Is it of another stack (--stack), region, or of a "
        "rehearsal (--replay)?"
    )


def find_page(incident: Incident, store: Store) -> str:
    """A link to the page that works for an hour."""
    from sagewatch.flows.evidence import build_page_key

    return store.objects.presign(
        store.evidence_bucket, build_page_key(incident.incident_id), PRESIGNED_SECONDS
    )


def _name_end(incident: Incident) -> str | None:
    if incident.resolved_by_hand:
        return incident.resolved_by
    return "a change of monitors.yml" if incident.ended_unjudged else "its evidence"


def _tell_change(incident_id: str, reason: str, store: Store, *, as_json: bool) -> None:
    """What came of it; where somebody else was first, who that was: the later name stands nowhere."""
    incident = store.state.load_incident(incident_id)
    first = None
    if incident is not None and reason == "already_acknowledged":
        first = incident.acknowledged_by
    elif incident is not None and reason == "already_resolved":
        first = _name_end(incident)
    if as_json:
        _print_json({"incident_id": incident_id, "reason": reason, **({"by": first} if first else {})})
        return
    say(f"{incident_id}: {reason.replace('_', ' ')}{f' by {escape(first)}' if first else ''}")


def _print_json(value: Any) -> None:
    click.echo(json.dumps(json.loads(msgspec.json.encode(value)), indent=2))
