"""``sagewatch silences``: of what nobody is told, for how long, by whose wish; and its end."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from sagewatch.cli.incidents import as_json_option, by_option, read_reason
from sagewatch.cli.short_ids import find_id, read_id
from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import ConfigurationError, RejectedInputError

if TYPE_CHECKING:
    from sagewatch.cli.store import Store
    from sagewatch.incident.muting import Silence

_EXAMPLE = (
    "Example: sagewatch silences add endpoint=traffic-signs 'severity!=critical' --for 2h "
    '--reason "new camera"'
)


@click.group()
def silences() -> None:
    """List, add and end silences: nobody is told of what they match, findings are kept all the same."""


@silences.command("list", epilog="Example: sagewatch silences list --ended")
@click.option("--ended", is_flag=True, help="Those that are over, too; they are kept for 30 days.")
@stack_option
@as_json_option
def list_(stack: str, *, ended: bool, as_json: bool) -> None:
    """Silences that mute now or will, the earliest end first."""
    from sagewatch.incident.muting import find_standing

    store = open_store(stack)
    now = store.world.now()
    found = store.alerts.list_silences(None if ended else now)
    if as_json:
        rows = [{**msgspec.to_builtins(one), "standing": find_standing(one, now)} for one in found]
        click.echo(json.dumps(rows, indent=2))
        return
    for one in found:
        say(tell_silence(one, now))
    if not found:
        say("No silence.")


@silences.command("add", epilog=_EXAMPLE)
@click.argument("matchers", nargs=-1, required=True, metavar="LABEL=VALUE...")
@click.option(
    "--from", "start", default="", help="A time such as 2026-11-22T02:00Z, or in how long: 3h. Default: now."
)
@click.option("--for", "length", default="", help="How long, from its start: 30m, 2h, 1d. Default: 2h.")
@click.option("--until", "end", default="", help="Or until when: a time, or in how long.")
@click.option(
    "--every", default="", help='Only in these stretches of the week: "Sun 02:00-04:00 Europe/Berlin".'
)
@click.option("--reason", required=True, callback=read_reason, help="Why; shown wherever it mutes.")
@by_option
@stack_option
@as_json_option
def add(
    matchers: tuple[str, ...], start: str, length: str, end: str, every: str, reason: str, by: str, stack: str,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Tell nobody of what matches, now or from some time on; with --every only in stretches that come again.

    Matchers: label=value, label!=value, label=~pattern, label!~pattern; all must hold. Labels: account, region,
    endpoint, variant, kind, subject, family, severity.
    """
    from sagewatch.flows.act_by_hand import add_silence
    from sagewatch.incident.calendar import parse_recurrence
    from sagewatch.incident.matching import all_hold
    from sagewatch.incident.possible import Known, find_impossible

    if impossible := find_impossible(matchers, Known()):
        raise ConfigurationError(impossible, where="command line", key="matchers")
    store = open_store(stack)
    now = store.world.now()
    starts_at, ends_at = read_span(start, length, end, now, recurs=bool(every))
    try:
        recurrence = parse_recurrence(every) if every else None
    except ValueError as error:
        raise ConfigurationError(str(error), where="command line", key="--every") from None
    made = add_silence(
        matchers,
        ends_at - starts_at,
        by=by,
        reason=reason,
        world=store.world,
        every=recurrence,
        starts_at=starts_at,
    )
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(made), indent=2))
        return
    say(tell_silence(made, now))
    open_now = [
        one for one in store.alerts.list_due() if not one.over and all_hold(made.matchers, one.labels)
    ]
    say(f"It matches {len(open_now)} of the incidents that are open now.")


@silences.command("end", epilog="Example: sagewatch silences end eabdce5d97bbe45e --by ada")
@click.argument("silence_id", metavar="ID")
@by_option
@stack_option
@as_json_option
def end(silence_id: str, by: str, stack: str, *, as_json: bool) -> None:
    """End a silence now; whoever is owed word of what it muted is told at once."""
    from sagewatch.flows.act_by_hand import end_silence

    store = open_store(stack)
    ended = end_silence(_find_id(silence_id, store), by=by, world=store.world)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(ended), indent=2))
        return
    say(tell_silence(ended, store.world.now()))


def tell_silence(silence: Silence, now: datetime) -> str:
    """A silence in one line."""
    from sagewatch.incident.amounts import format_time
    from sagewatch.incident.calendar import format_recurrence
    from sagewatch.incident.muting import find_standing

    every = f" each {format_recurrence(silence.every)}" if silence.every else ""
    ended = f", ended by {silence.ended_by}" if silence.ended_by else ""
    return (
        f"{silence.silence_id}  {find_standing(silence, now):<8}  {' and '.join(silence.matchers)}: silent{every} from "
        f"{format_time(silence.starts_at)} until {format_time(silence.ends_at)}, by {silence.by}: {silence.reason}{ended}"
    )


def read_span(start: str, length: str, end: str, now: datetime, *, recurs: bool) -> tuple[datetime, datetime]:
    """When a silence starts and ends.

    Raises
    ------
    ConfigurationError
        A time or length is none, the start is past, both ends are given, or one that comes again has none.
    """
    from sagewatch.cli.when import read_coming

    if length and end:
        raise _wrong("and --for exclude each other", "--until")
    if recurs and not (length or end):
        raise _wrong("needs --for or --until: when should it come no more?", "--every")
    starts_at = read_coming(start, now, "--from") if start else now
    if starts_at < now:
        raise _wrong("must not lie in the past", "--from")
    if end:
        ends_at = read_coming(end, now, "--until")
        if ends_at <= starts_at:
            raise _wrong("must be after the start", "--until")
        return starts_at, ends_at
    return starts_at, starts_at + read_length(length or "2h")


def read_length(text: str) -> timedelta:
    """The length of ``--for``."""
    from sagewatch.section import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise _wrong(str(error), "--for") from None


def _find_id(text: str, store: Store) -> str:
    """A silence's id, by its beginning where that is enough."""
    readable = [one.silence_id for one in store.alerts.list_silences(None)]
    unreadable = store.alerts.list_unreadable_silences()
    unknown = "is not known here; `sagewatch silences list` shows all"
    name = find_id(read_id(text, "silence"), readable, unreadable, "silence", unknown)
    if name in unreadable:
        raise RejectedInputError("cannot be read, and silences nothing", where="silence", key=name)
    return name


def _wrong(reason: str, option: str) -> ConfigurationError:
    return ConfigurationError(reason, where="command line", key=option)
