"""What a receiver is told next, and why: pure decisions on the debt that Sagewatch has with it.

A receiver that was told "firing" is owed exactly one "resolved". Send, then record: a crash in between
repeats a message; none is ever lost.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import msgspec

from sagewatch.finding import build_content_key
from sagewatch.incident.model import Debt, Incident, State


class Kind(enum.StrEnum):
    """What a message says."""

    FIRING = "firing"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Policy(msgspec.Struct, frozen=True):
    """How a receiver wants to be told.

    Attributes
    ----------
    in_place
        The channel can change a message that it has: news goes there, without a new message. Without it
        (mail) a receiver hears firing and resolved, and nothing between.
    every
        At least this much time lies between two changes of a message.
    """

    in_place: bool = False
    every: timedelta = timedelta(0)


class Send(msgspec.Struct, frozen=True):
    """Tell the receiver now.

    Attributes
    ----------
    kind
        What the message says.
    reason
        Why, as a reason code.
    content
        Content key of what is told; goes into the debt.
    in_place
        Change the message that the receiver has, if it has one.
    """

    kind: Kind
    reason: str
    content: str
    in_place: bool


class Hold(msgspec.Struct, frozen=True):
    """Tell nothing now.

    Attributes
    ----------
    reason
        Why, as a reason code.
    until
        Ask again then; None where only a change of the incident can make it worth asking.
    """

    reason: str
    until: datetime | None = None


def build_content(incident: Incident) -> str:
    """The key of all that a message about the incident says: it changes if and only if there is news.

    Growing evidence of a finding that is known is no news: it would change the message with every capture.
    """
    progress = incident.diagnosis
    findings = sorted(f"{one.finding_id}:{one.cleared_at is not None}" for one in incident.findings)
    return build_content_key(
        incident.incident_id,
        incident.state,
        incident.severity,
        incident.acknowledged_by or "",
        *((progress.stage, progress.reason, str(progress.explained)) if progress else ()),
        *findings,
    )


def decide_announcement(incident: Incident, debt: Debt, now: datetime, policy: Policy) -> Send | Hold:
    """What the receiver is told next. Ask again after each Send until the answer is Hold.

    An incident that ended before the receiver heard of it is told as firing, then as resolved: whoever
    counts alerts counts it, and whoever is woken learns at once that it is over.
    """
    content = build_content(incident)
    if debt.told is None:
        over = incident.state is State.RESOLVED
        reason = "resolved_before_told" if over else "new_incident"
        return Send(kind=Kind.FIRING, reason=reason, content=content, in_place=False)
    if debt.told == Kind.FIRING and incident.state is State.RESOLVED:
        return Send(kind=Kind.RESOLVED, reason="resolve_owed", content=content, in_place=policy.in_place)
    if debt.content == content:
        return Hold(reason="already_told")
    if not policy.in_place or debt.thread is None:
        return Hold(reason="no_new_messages_between")
    if debt.told_at is not None and now < debt.told_at + policy.every:
        return Hold(reason="updated_too_recently", until=debt.told_at + policy.every)
    return Send(kind=Kind.UPDATED, reason="news", content=content, in_place=True)


def settle(debt: Debt, send: Send, now: datetime, *, thread: str | None = None) -> Debt:
    """The debt after a message went out.

    Parameters
    ----------
    thread
        The channel's handle of the message, where it gave one.
    """
    told = debt.told if send.kind is Kind.UPDATED else send.kind.value
    return msgspec.structs.replace(
        debt,
        told=told,
        told_at=now,
        content=send.content,
        thread=thread or debt.thread,
        updates=debt.updates + (send.kind is Kind.UPDATED),
    )
