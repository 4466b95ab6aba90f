"""``sagewatch explain``: why an incident went as it did, and why nobody is told where nobody is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import click
import msgspec

from sagewatch.alert.beginning import find_away, find_needless
from sagewatch.alert.lateness import find_member_mute
from sagewatch.alert.ledger import Member
from sagewatch.alert.standing import LEFT_OPEN, tell_escalation, tell_mute, tell_wait
from sagewatch.alert.summaries import find_summary
from sagewatch.cli.incidents import load
from sagewatch.cli.store import Store, open_store, replay_option, stack_option
from sagewatch.cli.terminal import say
from sagewatch.flows.channels import has_open, list_channels
from sagewatch.flows.quiet import load_quiet
from sagewatch.incident.amounts import format_time
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Debt, Entry, Incident, State
from sagewatch.incident.muting import Mute, Quiet, find_mute, may_automate
from sagewatch.incident.routing import Timers, decide_receivers, find_after
from sagewatch.incident.why import tell_trail


@click.command(epilog="Example: sagewatch explain 20261121T203405Z-d70a35fb2065c43a")
@click.argument("incident_id", metavar="ID")
@stack_option
@replay_option
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def explain(incident_id: str, stack: str, replay_name: str, *, as_json: bool) -> None:
    """Tell every decision about an incident in words, with its reason code: who was told and who was not, and why.

    Then who is still owed what, by which route, what it waits for, why nobody is told of the incident now, and who
    hears next where nobody looks after it.
    """
    store = open_store(stack, replay_name)
    incident = load(incident_id, store)
    now = store.world.now()
    quiet = load_quiet(store.world, now)
    entries = store.state.load_entries(incident.incident_id)
    debts = list(find_waits(incident, quiet, store, now))
    standing = list(list_standing(incident, entries, quiet, store, now))
    if as_json:
        receivers = [{**msgspec.to_builtins(debt), "waits": wait} for debt, wait in debts]
        rows = {"entries": msgspec.to_builtins(entries), "receivers": receivers, "now": standing}
        click.echo(json.dumps(rows, indent=2))
        return
    for line in (*tell_trail(entries, debts), *standing):
        say(line)


def find_waits(incident: Incident, quiet: Quiet, store: Store, now: datetime) -> Iterator[tuple[Debt, str]]:
    """What each receiver was told, and what it waits for; without a route where none leads to its first word any more."""
    monitors = store.world.monitors
    for debt in store.state.load_debts(incident.incident_id):
        receiver, _, channel = debt.receiver.rpartition("/")
        named = monitors.receivers.get(receiver)
        if (named is None or channel not in list_channels(named)) and has_open(debt, store.alerts):
            yield debt, LEFT_OPEN
        elif debt.told is None and find_after(monitors.route, build_labels(incident), debt.receiver) is None:
            yield msgspec.structs.replace(debt, route=""), find_wait(debt, quiet, store, now)
        else:
            yield debt, find_wait(debt, quiet, store, now)


def find_wait(debt: Debt, quiet: Quiet, store: Store, now: datetime) -> str:
    """What stands between one receiver and the next word, in words; empty where nothing does."""
    ledger = store.alerts.load_ledger(debt.group, debt.receiver)
    member = store.alerts.load_member(debt.group, debt.receiver, debt.incident_id)
    company = mute = None
    if member is not None and member.over and member.told in {None, "firing"}:
        company = find_company(debt, quiet, store, now)
    if member is not None and (not member.over or member.told is None):
        after = find_after(store.world.monitors.route, member.labels, debt.receiver)
        since = store.alerts.load_audible_since(member.incident_id)
        needless = find_needless(member, ledger, after=after, since=since, now=now)
        away = find_away(member, ledger, store.world.monitors.flapping.hold)
        mute = find_member_mute(member, quiet, now) or away or needless
    pause = store.alerts.load_pause(debt.receiver)
    summary = None if mute is not None else find_next_summary(debt, member, store, now)
    return tell_wait(ledger, member, pause, now, company, mute, summary)


def find_next_summary(debt: Debt, member: Member | None, store: Store, now: datetime) -> datetime | None:
    """When the incident is summed up for the receiver, where it waits for that."""
    if member is None or not member.flapping or member.told is not None:
        return None
    group, timers = store.alerts.load_group(debt.group, debt.receiver), member.timers or Timers()
    return find_summary(
        group.ledger, group.members, member, now, timers, store.world.monitors.flapping.digest
    )


def find_company(debt: Debt, quiet: Quiet, store: Store, now: datetime) -> Mute | None:
    """What mutes the open incidents of the same message for the shortest time; None where one of them is not muted."""
    others = [one for one in store.alerts.load_group(debt.group, debt.receiver).members if not one.over]
    mutes = [find_mute(one.incident_id, one.labels, quiet, now) for one in others]
    known = [mute for mute in mutes if mute is not None]
    if len(known) < len(mutes):
        return None
    return min(known, key=lambda mute: (mute.until is None, mute.until or now), default=None)


def list_standing(
    incident: Incident, entries: Sequence[Entry], quiet: Quiet, store: Store, now: datetime
) -> Iterator[str]:
    """How an open incident stands now: whether people can be told of it, who hears next, whether it may be over."""
    if incident.state is State.RESOLVED:
        return
    mute = may_automate(incident, quiet, now)
    routes = decide_receivers(store.world.monitors.route, build_labels(incident))
    if mute is None and not routes:
        mute = Mute("no_receiver", "no route of monitors.yml leads to a receiver")
    if mute is not None:
        yield tell_mute(incident.incident_id, mute)
    elif any(entry.what == "alert_withheld" for entry in entries):
        yield "Nothing withholds it from people any more."
    since = None if mute is not None else store.alerts.load_audible_since(incident.incident_id) or now
    told = {debt.receiver for debt in store.state.load_debts(incident.incident_id)}
    for routed in routes:
        for channel in list_channels(store.world.monitors.receivers[routed.receiver]):
            target = f"{routed.receiver}/{channel}"
            if routed.after and target not in told and incident.cleared_at is None:
                yield tell_escalation(target, routed, incident.state, since, now)
    if incident.cleared_at is not None:
        end = format_time(incident.cleared_at + store.world.monitors.flapping.hold)
        went = format_time(incident.cleared_at)
        yield f"Its evidence fell back at {went}; it is over then if it stays away until {end} [may_come_back]."
