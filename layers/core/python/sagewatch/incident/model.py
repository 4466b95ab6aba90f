"""What an incident is: plain values, stored as they are, changed only by ``lifecycle``."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from sagewatch.finding import Finding, Severity, Stream
from sagewatch.incident.flapping import Opening

BY = "manage_incident"
"""Who acts where no person does."""


class State(enum.StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Entry(msgspec.Struct, frozen=True):
    """One line of an incident's audit trail.

    Attributes
    ----------
    at
        When it happened, UTC.
    what
        A constant fact: ``finding_raised``, ``alert_sent``, ``diagnosis_swapping``...
    reason
        Why, as a reason code.
    by
        Who did it: a function's name or a person.
    data
        Small facts beside it; never a payload.
    """

    at: datetime
    what: str
    reason: str
    by: str
    data: dict[str, str | int | float | bool | None] = {}


class Progress(msgspec.Struct, frozen=True):
    """How far the diagnosis of an incident has come.

    Attributes
    ----------
    stage
        ``swapping``, ``observing``, ``explaining``, ``restoring``, ``finished``, ``abandoned`` or ``off``.
    reason
        Why it stands there, as a reason code.
    at
        Since when, UTC.
    explained
        How many inputs have a heat map.
    touched
        Whether it moves the endpoint; a replay does not.
    """

    stage: str
    reason: str
    at: datetime
    explained: int = 0
    touched: bool = True


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wrong with one stream, and somebody should know.

    Attributes
    ----------
    incident_id
        Sortable and readable: ``20261121T203405Z-<fingerprint>``.
    findings
        The findings that make it up, the latest state of each.
    resolution
        Why a person resolved it; empty where none did.
    promoted_by
        Who said that people are to be told, although its detector is on trial.
    flapping
        Its fingerprint opens so often that it is summed up instead of told.
    lapsed_at
        When it got worse than what somebody had acknowledged: that says nothing of what it is by now.
    ended_muted
        Whether something muted it as it ended, or as its evidence went away: then nobody is told of it who has not been.
        None while it goes on, or where nobody could know.
    cleared_at
        Since when all evidence is away, where the incident is not over yet: it may come back.
    held_until
        Until when it was open all the same: it might have come back. None where nothing was waited for.
    diagnosis
        How far the diagnosis has come; None before one was asked for.
    version
        The version that was loaded, 0 for one never stored. Deciding leaves it alone; the store refuses a
        write that names an old one, and stores it raised by one.
    """

    schema: int = 1
    incident_id: str
    fingerprint: str
    account: str
    region: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: Severity
    state: State
    opened_at: datetime
    updated_at: datetime
    findings: tuple[Finding, ...]
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution: str = ""
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    lapsed_at: datetime | None = None
    promoted_by: str | None = None
    flapping: bool = False
    ended_muted: bool | None = None
    cleared_at: datetime | None = None
    held_until: datetime | None = None
    diagnosis: Progress | None = None
    version: int = 0

    @property
    def staged(self) -> bool:
        """Whether all that it knows comes from detectors on trial: it is recorded, nobody is told."""
        return self.promoted_by is None and all(one.staged for one in self.findings)

    @property
    def resolved_by_hand(self) -> bool:
        """Whether a person ended it: its evidence may go on."""
        return self.resolved_by not in {None, BY}

    @property
    def no_longer_judged(self) -> bool:
        """Whether the last word of its findings is that nothing judges it any more: that is no evidence that it is over."""
        ends = [one for one in self.findings if one.cleared_at is not None]
        latest = max((one.cleared_at for one in ends if one.cleared_at is not None), default=None)
        return any(one.no_longer_judged for one in ends if one.cleared_at == latest)

    @property
    def ended_unjudged(self) -> bool:
        """Whether it is over because nothing judges it any more, and for no better reason."""
        return self.state is State.RESOLVED and not self.resolved_by_hand and self.no_longer_judged

    @property
    def stream(self) -> Stream:
        """The stream that the incident is about."""
        return Stream(self.endpoint, self.variant)

    @property
    def latest(self) -> Finding:
        """The finding that speaks for the incident now."""
        return self.findings[-1]


class OpenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one fingerprint beyond its open incident: the one item ``open#<fingerprint>``.

    It holds the promise of one open incident a fingerprint, whatever the order in which events arrive.

    Attributes
    ----------
    incident_id
        The open incident; None while there is none.
    awaited
        Findings that were cleared before anybody heard them raised (bounded).
    settled
        Finding ids whose story was told to its end, with the time of that end (bounded).
    forgotten_through
        The latest end among those that fell out of ``settled``; what ended before it is old news.
    by_hand
        Those of ``settled`` that a person ended while their evidence went on, and how bad they were: worse is news.
    openings
        When its incidents opened (bounded).
    counted
        Those of them that people could be told of, which is what the budget of ``flapping`` counts (bounded).
    version
        As in ``Incident``.
    """

    fingerprint: str
    incident_id: str | None = None
    awaited: tuple[Finding, ...] = ()
    settled: dict[str, datetime] = {}
    forgotten_through: datetime | None = None
    by_hand: dict[str, Severity] = {}
    openings: tuple[datetime, ...] = ()
    counted: tuple[Opening, ...] = ()
    version: int = 0


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver has been told of one incident, for readers; ``alert.outbox`` keeps the books.

    Attributes
    ----------
    receiver
        Receiver and channel, such as ``ml-on-call/slack``.
    group
        The group in which it hears of the incident.
    route
        The way through the routes that led to it; empty where an older version stored it.
    told
        The last state announced, as in ``alert.ledger.Member``: None, ``firing``, ``resolved``, ``digested``,
        ``spared`` (it came and went muted) or ``closed``.
    told_at
        When that was; None with ``firing`` where it was perhaps announced.
    """

    incident_id: str
    receiver: str
    group: str = ""
    route: str = ""
    told: str | None = None
    told_at: datetime | None = None
    version: int = 0
