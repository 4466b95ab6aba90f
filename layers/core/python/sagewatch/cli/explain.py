"""``sagewatch explain``: why an incident went as it did, and why nobody is told where nobody is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import click
import msgspec

from sagewatch.alert.escalation import find_taken
from sagewatch.alert.ledger import Member
from sagewatch.alert.standing import tell_wait
from sagewatch.alert.summaries import find_summary
from sagewatch.cli.incidents import load
from sagewatch.cli.store import Store, open_store, replay_option, stack_option
from sagewatch.cli.terminal import say
from sagewatch.flows.quiet import load_quiet
from sagewatch.incident.amounts import format_time
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Debt, Incident, State
from sagewatch.incident.muting import Mute, Quiet, find_mute
from sagewatch.incident.routing import Timers
from sagewatch.incident.why import tell_trail


@click.command(epilog="Example: sagewatch explain 20261121T203405Z-d70a35fb2065c43a")
@click.argument("incident_id", metavar="ID")
@stack_option
@replay_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def explain(incident_id: str, stack: str, replay_name: str, *, as_json: bool) -> None:
    """Tell every decision about an incident in words, with its reason code: who was told and who was not, and why.

    Then who is still owed what, by which route, what it waits for, and what silences the incident now.
    """
    store = open_store(stack, replay_name)
    incident = load(incident_id, store)
    now = store.world.now()
    entries = store.state.load_entries(incident.incident_id)
    debts = list(find_waits(incident, store, now))
    silenced = tell_silence(incident, store, now)
    if as_json:
        receivers = [{**msgspec.to_builtins(debt), "waits": wait} for debt, wait in debts]
        rows = {"entries": msgspec.to_builtins(entries), "receivers": receivers, "silenced": silenced}
        click.echo(json.dumps(rows, indent=2))
        return
    for line in tell_trail(entries, debts):
        say(line)
    if silenced:
        say(silenced)


def find_waits(incident: Incident, store: Store, now: datetime) -> Iterator[tuple[Debt, str]]:
    """What each receiver was told, and what it waits for."""
    for debt in store.state.load_debts(incident.incident_id):
        ledger = store.alerts.load_ledger(debt.group, debt.receiver)
        member = store.alerts.load_member(debt.group, debt.receiver, incident.incident_id)
        company = mute = None
        if member is not None and member.over and member.told in {None, "firing"}:
            company = find_company(debt, store, now)
        if member is not None and not member.over:
            quiet = load_quiet(store.world, now)
            mute = find_mute(member.incident_id, member.labels, quiet, now) or find_taken(member, ledger)
        pause = store.alerts.load_pause(debt.receiver)
        summary = None if mute is not None else find_next_summary(debt, member, store, now)
        yield debt, tell_wait(ledger, member, pause, now, company, mute, summary)


def find_next_summary(debt: Debt, member: Member | None, store: Store, now: datetime) -> datetime | None:
    """When the incident is summed up for the receiver, where it waits for that."""
    if member is None or not member.flapping or member.told is not None:
        return None
    group, timers = store.alerts.load_group(debt.group, debt.receiver), member.timers or Timers()
    return find_summary(
        group.ledger, group.members, member, now, timers, store.world.monitors.flapping.digest
    )


def find_company(debt: Debt, store: Store, now: datetime) -> Mute | None:
    """What mutes the open incidents of the same message for the shortest time; None where one of them is not muted."""
    quiet = load_quiet(store.world, now)
    others = [one for one in store.alerts.load_group(debt.group, debt.receiver).members if not one.over]
    mutes = [find_mute(one.incident_id, one.labels, quiet, now) for one in others]
    known = [mute for mute in mutes if mute is not None]
    if len(known) < len(mutes):
        return None
    return min(known, key=lambda mute: (mute.until is None, mute.until or now), default=None)


def tell_silence(incident: Incident, store: Store, now: datetime) -> str:
    """What silences an open incident now; empty where nothing does."""
    if incident.state is State.RESOLVED:
        return ""
    quiet = Quiet(silences=store.alerts.list_silences(now))
    mute = find_mute(incident.incident_id, build_labels(incident), quiet, now)
    if mute is None or mute.until is None:
        return ""
    return f"Nobody is told now, until {format_time(mute.until)}: silenced {mute.words} [{mute.reason}]."
