"""What each receiver is still owed of an incident goes out, and nothing slow stands before it.

The incident joins the group that its route puts it in; the group's one message is brought up to date where it
is time (``settle_target``), for all receivers at once. Heat maps and pages follow the messages of the whole batch
(``owed_evidence``). Whatever is to happen later stands in the table: a wake-up that is lost costs a minute, never a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import msgspec

from sagewatch.alert_state import TOLD_TO_THE_END
from sagewatch.errors import RetryError, SagewatchError
from sagewatch.events import AlertDue, DiagnosisChanged, Fact, IncidentChanged
from sagewatch.flows.alert_waits import BY, forget_refusals
from sagewatch.flows.follow_up import FollowUp
from sagewatch.flows.hearers import Hearers, find_hearers
from sagewatch.flows.incident_changes import build_due
from sagewatch.flows.incident_page import owe_page
from sagewatch.flows.owed_evidence import OwedEvidence, show_evidence
from sagewatch.flows.quiet import load_quiet
from sagewatch.flows.settle_target import Outcome, Target, settle_target
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Entry, Incident, State
from sagewatch.incident.muting import NO_RECEIVER, Mute, Quiet, find_mute, may_automate
from sagewatch.incident.routing import decide_receivers
from sagewatch.world import World

REVIEW = timedelta(minutes=15)  # an open incident is looked at this often, whatever was lost
SOON = timedelta(minutes=1)  # what only the state of another incident can end
NAMED_AGAIN = timedelta(hours=1)
"""What is over, and owed to a receiver that monitors.yml names no more, is looked at this often: it may be named again."""
LEFT_OUT = timedelta(days=1)
"""Who is not named again for so long after the end was left out for good: what is open there is closed by hand."""


def deliver_alert(fact: Fact, world: World) -> FollowUp | None:
    """Tell everybody who is owed something about the incident; one receiver's failure keeps no other waiting."""
    if not isinstance(fact, IncidentChanged | DiagnosisChanged | AlertDue):
        return None
    incident = world.state.load_incident(fact.incident_id)
    if incident is None:
        raise RetryError("incident_not_visible_yet")
    rounds = fact.rounds if isinstance(fact, AlertDue) else 0
    now = world.now()
    quiet = load_quiet(world, now)
    hearers = find_hearers(incident, quiet, now, world, rounds)
    targets = hearers.targets
    _note_why_nobody_hears(incident, quiet, now, world, is_routed=bool(targets))
    results = world.together(
        [
            partial(_try_to_settle, incident, target, quiet, world, forced=_is_forced(fact, target.name))
            for target in targets
        ]
    )
    outcomes = [one for one in results if isinstance(one, Outcome)]
    failures = [one for one in results if isinstance(one, SagewatchError)]
    due = now + SOON if failures else _find_due(incident, outcomes, quiet, hearers, now, world)
    try:
        world.alerts.save_due(incident, due, now)
    except SagewatchError as error:
        failures.append(error)
    owed = _list_evidence(fact, incident, targets, outcomes, due)
    if find_mute(incident.incident_id, build_labels(incident), quiet, now) is not None:
        owed = msgspec.structs.replace(owed, threads=())
    if failures:
        _leave_pages(owed, world)
        raise failures[0]
    _keep_letters_of_the_gone(fact, incident, targets, now, world)
    return FollowUp(owed, partial(show_evidence, incident, owed, world))


def _leave_pages(owed: OwedEvidence, world: World) -> None:
    """What failed comes again, and what was told is not told again: its pages are left to the tick.

    Nothing is asked of S3 here: the other messages of the batch stand behind it.
    """
    for incident_id in owed.told:
        with suppress(SagewatchError):
            owe_page(incident_id, world)


def _list_evidence(
    fact: Fact,
    incident: Incident,
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    due: datetime | None,
) -> OwedEvidence:
    """Pages list who was told what, and how bad it has become, told or not."""
    known = any(outcome.known for outcome in outcomes)
    grew = isinstance(fact, IncidentChanged) and fact.change == "updated"
    # Where nobody is told, whoever looks it up (a rehearsal, a detector on trial) finds its page all the same.
    looked_up = not targets and not isinstance(fact, AlertDue)
    explained = incident.diagnosis is not None and incident.diagnosis.explained
    return OwedEvidence(
        incident_id=incident.incident_id,
        told=tuple(sorted({incident_id for outcome in outcomes for incident_id in outcome.told})),
        shown=looked_up or (grew and known),
        threads=tuple((target.group, target.name) for target in targets) if explained else (),
        due=due,
        once=isinstance(fact, AlertDue) and fact.forced,
    )


def _is_forced(fact: Fact, receiver: str) -> bool:
    """Whether the fact is a dead letter about the receiver, sent again; those of an older version name none."""
    return isinstance(fact, AlertDue) and fact.forced and fact.receiver in {"", receiver}


def _keep_letters_of_the_gone(
    fact: Fact, incident: Incident, targets: Sequence[Target], now: datetime, world: World
) -> None:
    """A letter about a receiver that monitors.yml names no more stays one: it may be named again.

    Last of all: a failure brings the fact itself again, and would bring one letter more each time.
    """
    if not isinstance(fact, AlertDue) or not fact.forced or incident.staged:
        return
    served = {target.name for target in targets}
    for debt in world.state.load_debts(incident.incident_id):
        done = incident.state is State.RESOLVED and debt.told in TOLD_TO_THE_END
        if debt.group and debt.receiver not in served and _is_forced(fact, debt.receiver) and not done:
            letter = build_due(incident, forced=True, receiver=debt.receiver)
            world.wakeups.give_up(letter, now, f"{debt.receiver}: monitors.yml names it no more")


def _note_why_nobody_hears(
    incident: Incident, quiet: Quiet, now: datetime, world: World, *, is_routed: bool
) -> None:
    """The trail says once why nobody is told, and until when: what was not sent is asked about, too."""
    mute = None if incident.state is State.RESOLVED else may_automate(incident, quiet, now)
    if mute is None and not is_routed and not incident.staged:
        mute = Mute(NO_RECEIVER, "no route of monitors.yml leads to a receiver")
    if mute is None:
        return
    until = mute.until.isoformat() if mute.until else None
    entry = Entry(
        at=now, what="alert_withheld", reason=mute.reason, by=BY, data={"note": mute.words, "until": until}
    )
    world.alerts.note_once(incident.incident_id, entry)


def _try_to_settle(
    incident: Incident, target: Target, quiet: Quiet, world: World, *, forced: bool
) -> Outcome | SagewatchError:
    """What came of a target; what went wrong with it is told after all others were served."""
    try:
        if forced:
            forget_refusals(incident, target.group, target.name, world)
        return settle_target(incident, target, quiet, world, forced=forced)
    except SagewatchError as error:
        return error


def _find_due(
    incident: Incident, outcomes: Sequence[Outcome], quiet: Quiet, hearers: Hearers, now: datetime, world: World,
) -> datetime | None:  # fmt: skip
    """When somebody may be owed something next; None: never again, unless the incident changes."""
    over = incident.state is State.RESOLVED
    held = None if over or incident.cleared_at is None else incident.cleared_at + world.monitors.flapping.hold
    if incident.staged:
        return held  # whoever hears of it or not: the tick ends it
    if over and all(outcome.settled for outcome in outcomes):
        is_late = incident.resolved_at is None or incident.resolved_at + LEFT_OUT < now
        return None if is_late or not hearers.gone else now + NAMED_AGAIN
    due = [now + REVIEW, *(outcome.until for outcome in outcomes if outcome.until is not None)]
    labels = build_labels(incident)
    mute = find_mute(incident.incident_id, labels, quiet, now)
    if mute is not None:
        due.append(mute.until or now + SOON)
    if held is not None:
        due.append(held)
    if hearers.escalates_from is not None:
        later = (
            hearers.escalates_from + routed.after for routed in decide_receivers(world.monitors.route, labels)
        )
        due += [at for at in later if at > now]
    return min(due)
