"""``sagewatch replays``: what was played of a stack's archives, and what came of each rehearsal."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say

if TYPE_CHECKING:
    from sagewatch.cli.archives import Played


_SETTLED_AFTER = timedelta(minutes=15)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A replay and what came of it.

    Attributes
    ----------
    incidents
        Ids of those that it opened, the latest first; None where they are among the real ones (a live replay) or
        gone (a rehearsal is kept for a week).
    settled
        Whether the handlers surely are through: EventBridge is when it has given them the events.
    """

    replay: str
    live: bool
    state: str
    start: datetime
    end: datetime
    played_at: datetime
    incidents: tuple[str, ...] | None
    settled: bool = True


@click.command(epilog="Example: sagewatch replays")
@stack_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def replays(stack: str, *, as_json: bool) -> None:
    """Rehearsals and live replays of the stack's archives, the latest first, and how many incidents came of each.

    What a rehearsal left is kept for a week: `sagewatch incidents list --replay NAME`.
    """
    from sagewatch.cli.archives import Archives
    from sagewatch.rehearsal import LIVE, REHEARSAL

    store = open_store(stack)
    played = Archives(stack, store.outputs["EventBus"]).list_played((REHEARSAL, LIVE))
    found = [_look(one, stack, store.now()) for one in played]
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
        return
    for told in found:
        say(tell_replay(told))
    if not found:
        say("No replay.")


def _look(one: Played, stack: str, now: datetime) -> Told:
    from sagewatch.marked import KEPT
    from sagewatch.rehearsal import LIVE

    live = one.name.startswith(f"{LIVE}.")
    incidents = None
    if not live and one.played_at > now - KEPT:
        listed = open_store(stack, one.name).state.list_incidents()
        incidents = tuple(each.incident_id for each in listed)
    return Told(
        replay=one.name, live=live, state=one.state, start=one.start, end=one.end, played_at=one.played_at,
        incidents=incidents, settled=one.played_at <= now - _SETTLED_AFTER,
    )  # fmt: skip


def tell_replay(told: Told) -> str:
    """A replay and what came of it, in one line."""
    from sagewatch.incident.amounts import format_time

    stretch = f"{format_time(told.start)} to {format_time(told.end)}"
    return f"{told.replay}  {told.state.lower()}  {stretch}  {_tell_outcome(told)}"


def _tell_outcome(told: Told) -> str:
    if told.live:
        return "live: see the real incidents"
    if told.incidents is None:
        return "gone"
    if not told.incidents:
        return "no incident" if told.settled else "no incident so far"
    return "1 incident" if len(told.incidents) == 1 else f"{len(told.incidents):,} incidents"
