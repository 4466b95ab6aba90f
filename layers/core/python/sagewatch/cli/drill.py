"""``sagewatch drill``: a marked test alert through the production path, hop by hop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
import msgspec

from sagewatch.cli.store import open_store, stack_option
from sagewatch.cli.terminal import say
from sagewatch.errors import DeliveryError, RetryError
from sagewatch.events import FindingReported
from sagewatch.flows.synthetic_finding import build_synthetic_finding
from sagewatch.incident.lifecycle import build_incident_id
from sagewatch.incident.muting import NO_RECEIVER
from sagewatch.incident.why import tell_trail
from sagewatch.marked import WORD, MarkedBus, RehearsedItems
from sagewatch.monitors.receivers import TEST_RECEIVER
from sagewatch.rehearsal import build_replay_name
from sagewatch.state import State

if TYPE_CHECKING:
    from sagewatch.incident.model import Debt, Entry
    from sagewatch.world import World

DRILL: Final = "drill"
EVERY_SECONDS: Final = 0.5
_TEST: Final = f"{WORD} sagewatch drill: a test"
_TEST_BODY: Final = (
    "Somebody tries whether this topic reaches you. Nothing happened, and nothing is to be done."
)
_MEANT: Final = {
    "incident_opened": "manage_incident opened the incident",
    "alert_sent": "deliver_alert told {receiver} ({kind})",
    "alert_delayed": "{receiver} did not take it: {reason}",
    "alert_refused": "{receiver} refused it: {reason}",
    "incident_resolved": "manage_incident resolved the incident",
}


class Hop(msgspec.Struct, frozen=True):
    """A step of the way: what, and how long after the finding was put on the bus."""

    what: str
    after_seconds: float


class Drilled(msgspec.Struct, frozen=True):
    """How a drill went; ``missing`` says what never came, in words."""

    incident_id: str
    hops: tuple[Hop, ...]
    missing: str = ""


@click.command(epilog="Example: sagewatch drill --json")
@click.option(
    "--wait",
    type=click.IntRange(5, 900),
    default=120,
    show_default=True,
    help="Seconds to wait for each half.",
)
@click.option(
    "--topics",
    is_flag=True,
    help="Send one marked test message to each of the two SNS topics (mail, Amazon Q), too: all subscribers hear it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@stack_option
def drill(wait: int, stack: str, *, topics: bool, as_json: bool) -> None:
    """Send a marked test finding the way that real ones go, and its end after it; print each hop with its time.

    It opens an incident in rows of its own, touches no endpoint, and tells the receiver `test` of monitors.yml alone,
    every message marked. Exit code 1 where the test did not come out at the end.

    The stack's two topics are left out unless --topics is given: whoever is on call reads them, and no marked
    receiver of its own can stand beside them.
    """
    world = open_store(stack).world
    began = world.now()
    drilled = run_drill(world, timedelta(seconds=wait), time.sleep)
    if topics:
        drilled = try_topics(drilled, began, world)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(drilled), indent=2))
    else:
        for hop in drilled.hops:
            say(f"{hop.after_seconds:8.1f} s  {hop.what}")
        say(drilled.missing or "The whole way works.")
        if not topics:
            say(
                "Not tried: the topics of mail and Amazon Q, which all on call read. --topics sends them a marked test."
            )
    if drilled.missing:
        click.get_current_context().exit(1)


def run_drill(world: World, wait: timedelta, sleep: Callable[[float], None]) -> Drilled:
    """Raise and clear a test finding, and follow both to the receiver.

    Parameters
    ----------
    wait
        For each of the two at most so long.
    """
    at = world.now()
    name = build_replay_name(at, live=False)
    finding = build_synthetic_finding(DRILL, at, world.place)
    incident_id = build_incident_id(finding.raised_at, finding.fingerprint)
    rows = State(RehearsedItems(world.state.items, name, at))
    bus = MarkedBus(world.bus, name)
    begun = Hop(f"the bus took a marked finding ({name})", 0.0)
    bus.publish([FindingReported(finding)], world.now())
    try:
        entries, debts = _wait_for("firing", incident_id, rows, world, wait, sleep)
    finally:
        # Whoever took it would be paged on: another refused it, this one took its time, or somebody lost patience.
        bus.publish([FindingReported(msgspec.structs.replace(finding, cleared_at=at))], world.now())
    missing = "" if _is_told("firing", entries, debts) else _explain("firing", entries, debts)
    if not missing or _has_heard("firing", entries):
        entries, debts = _wait_for("resolved", incident_id, rows, world, wait, sleep)
        if not _is_told("resolved", entries, debts):
            missing = missing or _explain("resolved", entries, debts)
    return Drilled(incident_id, (begun, *_list_hops(entries, at)), missing)


def try_topics(drilled: Drilled, since: datetime, world: World) -> Drilled:
    """Send each topic a marked message; SNS tells only that it took it, so whoever subscribes must be asked."""
    content = {"textType": "client-markdown", "title": _TEST, "description": _TEST_BODY}
    chat = {"version": "1.0", "source": "custom", "content": content}
    sends: dict[str, Callable[[], object]] = {
        "alerts (mail)": lambda: world.mail.publish_mail(_TEST, _TEST_BODY),
        "chat (Amazon Q)": lambda: world.mail.publish_chat(chat),
    }
    hops, missing = list(drilled.hops), [drilled.missing] if drilled.missing else []
    for topic, send in sends.items():
        try:
            send()
        except (DeliveryError, RetryError) as error:
            missing.append(f"The topic {topic} did not take the test message: {error}")
        else:
            words = f"the topic {topic} took a marked message: ask its subscribers whether it came"
            hops.append(Hop(words, round((world.now() - since).total_seconds(), 3)))
    return Drilled(drilled.incident_id, tuple(hops), " ".join(missing))


def _wait_for(
    state: str, incident_id: str, rows: State, world: World, wait: timedelta, sleep: Callable[[float], None]
) -> tuple[list[Entry], list[Debt]]:
    end = world.now() + wait
    while True:
        entries, debts = rows.load_entries(incident_id), rows.load_debts(incident_id)
        if _is_told(state, entries, debts) or world.now() >= end:
            return entries, debts
        sleep(EVERY_SECONDS)


def _is_told(state: str, entries: list[Entry], debts: list[Debt]) -> bool:
    """Whether each of the receiver's channels was: one that took it says nothing of the others."""
    return _has_heard(state, entries) and not _list_untold(state, debts)


def _has_heard(state: str, entries: list[Entry]) -> bool:
    return any(one.what == "alert_sent" and one.data.get("kind") == state for one in entries)


def _list_untold(state: str, debts: list[Debt]) -> list[str]:
    enough = {"firing", "resolved"} if state == "firing" else {state}
    return [debt.receiver for debt in debts if debt.told not in enough]


def _list_hops(entries: list[Entry], since: datetime) -> Iterator[Hop]:
    for entry in sorted(entries, key=lambda one: one.at):
        if entry.what in _MEANT and (entry.what != "incident_resolved" or entry.at != since):
            words = _MEANT[entry.what].format(
                **{"receiver": "", "kind": "", **entry.data, "reason": entry.reason}
            )
            yield Hop(words, round((entry.at - since).total_seconds(), 3))


def _explain(state: str, entries: list[Entry], debts: list[Debt]) -> str:
    """What never came, and where to look."""
    if not any(one.what == "incident_opened" for one in entries):
        return "No incident was opened: look at the queue of manage_incident and its dead letters (sagewatch doctor)."
    if any(one.what in {"alert_refused", "alert_delayed"} for one in entries):
        untold = ", ".join(_list_untold(state, debts)) or TEST_RECEIVER
        return f"The receiver {untold} did not take the message ({state}); the hops say why."
    # Of what no route leads to, the trail says it too.
    for one in entries:
        if one.what == "alert_withheld" and one.reason != NO_RECEIVER:
            (words,) = tell_trail([one], [])
            return f"Nobody was told ({state}), because something of monitors.yml, or a silence, mutes the test: {words}"
    return (
        f"Nobody was told ({state}): monitors.yml needs a receiver called {TEST_RECEIVER} with a channel other than mail and amazon-q; "
        "else look at the queue of deliver_alert and its dead letters (sagewatch doctor)."
    )
