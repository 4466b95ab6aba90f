"""What stands between a receiver and the next word of an incident, in words: the books, read for a person."""

from __future__ import annotations

from datetime import datetime

from sagewatch.alert.beginning import AWAY, NEEDLESS, TAKEN, WAITS
from sagewatch.alert.ledger import Kind, Ledger, Member, is_left_behind
from sagewatch.alert.summaries import FLAPPING
from sagewatch.incident.amounts import clean_text, format_duration, format_time
from sagewatch.incident.model import State
from sagewatch.incident.muting import Mute
from sagewatch.incident.routing import Routed

LEFT_OPEN = (
    "monitors.yml names it no more: what it has open is to be closed there by hand, unless it is named again within a day "
    "of its end [receiver_gone]."
)
"""What becomes of the end that is owed to a receiver that is gone."""
_LIMIT = 200


def tell_wait(
    ledger: Ledger,
    member: Member | None,
    pause: datetime | None,
    now: datetime,
    company: Mute | None = None,
    mute: Mute | None = None,
    summary: datetime | None = None,
) -> str:
    """Why the receiver was not told more yet, with the reason code; empty where nothing waits.

    Parameters
    ----------
    ledger, member
        The message of the incident's group at the receiver, and the incident as a part of it.
    pause
        Until when the receiver's channel is left alone, whatever it is about.
    company
        What mutes another incident of the group now, where something does.
    mute
        What mutes the incident itself now.
    summary
        When it is summed up, where it waits for that.
    """
    if ledger.claimed_until is not None and now < ledger.claimed_until:
        return "It is being told at this moment [being_sent_by_another]."
    tried = f" after {ledger.attempts} tries in vain" if ledger.attempts else ""
    again = max((at for at in (ledger.retry_at, pause) if at is not None), default=None)
    if again is not None and now < again:
        return f"It is called again{tried} at {format_time(again)} [receiver_is_down]."
    if member is not None and member.incident_id in ledger.refused:
        return "It refused the last message for good, which is a dead letter [receiver_refused]."
    if member is None:
        return ""
    left = is_left_behind(member, ledger)
    if mute is not None and (left or mute.late or mute.reason in {*NEEDLESS, WAITS, AWAY}):
        return _tell_muted(mute)
    if member.over and member.told == Kind.FIRING and not left and company is not None:
        return f"It is over; the message that it shares stays open while another is muted{_tell_until(company)} [{company.reason}]."
    if summary is not None:
        when = f"at {format_time(summary)}" if now < summary else "now"
        return f"It opens more often than its budget allows: it is summed up, next {when} [{FLAPPING}]."
    if member.told is not None and not left:
        return ""
    return _tell_waiting(ledger, member, now, company)


def tell_mute(incident_id: str, mute: Mute) -> str:
    """Why nobody is told of an open incident now, with the reason code, and what ends that."""
    words = clean_text(mute.words, _LIMIT)
    whats = {
        "silenced": f"silenced {words}",
        "in_window": f"the maintenance window {words}",
        "inhibited": f"explained {words}, which is open",
        "staged": f"{words} (`sagewatch incidents promote {incident_id}` tells people)",
    }
    until = f", until {format_time(mute.until)}" if mute.until else ""
    return f"Nobody is told now{until}: {whats.get(mute.reason, words)} [{mute.reason}]."


def tell_escalation(target: str, routed: Routed, state: State, since: datetime | None, now: datetime) -> str:
    """When a receiver that was told nothing yet hears of an open incident, should nobody look after it.

    Parameters
    ----------
    since
        Since when people can be told of it; None where they cannot.
    """
    if state is not State.OPEN:
        return f"{target} need not begin to hear of it: somebody looks after it [{TAKEN}]."
    when = f"{format_duration(routed.after)} after people can be told of it"
    if since is not None:
        at = since + routed.after
        when = f"at {format_time(at)}" if now < at else "now"
    route = clean_text(routed.reason, _LIMIT)
    return (
        f"{target} hears of it {when}, unless somebody acknowledges it before. It hears by the route {route}."
    )


def _tell_waiting(ledger: Ledger, member: Member, now: datetime, company: Mute | None) -> str:
    """What keeps the next word of its group from being told."""
    if ledger.waits_until is not None and now < ledger.waits_until:
        begun = ledger.told == Kind.FIRING
        what = "The next word of its group" if begun else "The first word of its group"
        return f"{what} waits for company until {format_time(ledger.waits_until)} [{'group_interval' if begun else 'group_wait'}]."
    if member.over and ledger.told == Kind.FIRING and company is not None:
        return (
            "It was over before it was told; its message stays as it is while another is muted"
            f"{_tell_until(company)} [{company.reason}]."
        )
    return ""


def _tell_muted(mute: Mute) -> str:
    """What is to begin, or to begin anew, or to be told of what is over, and is not."""
    if mute.reason in NEEDLESS:
        return f"It need not begin to hear of it: {mute.words} [{mute.reason}]."
    if mute.reason == AWAY:
        return f"It hears nothing before the evidence comes back, or has stayed away{_tell_until(mute)} [{AWAY}]."
    if mute.reason == WAITS:
        return f"It hears of it unless somebody acknowledges{_tell_until(mute)} [{mute.reason}]."
    if mute.late:
        return f"It was over before it was muted{_tell_until(mute)}; that it fired, and ended, is told after that [{mute.reason}]."
    return (
        f"Its message ended without it while it was muted{_tell_until(mute)}; if it fires longer than that, it is told anew, and "
        f"its end is told whenever it comes [{mute.reason}]."
    )


def _tell_until(mute: Mute) -> str:
    return f" until {format_time(mute.until)}" if mute.until else ""
