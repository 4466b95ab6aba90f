"""The rows of the one table that alerts are made of: groups, what was told, silences, and what is due when.

=======================================  ===========================================================
pk / sk                                  holds
=======================================  ===========================================================
``group#<group>#<channel>`` / ``ledger`` the one message that a group has at a receiver's channel
``group#...`` / ``member#<incident>``    an incident of the group, and what the receiver was told of it
``incident#<id>`` / ``pictures#<target>`` its heat maps are in the thread of the target's message
``incident#<id>`` / ``said#<key>``       a line of its trail that is written once
``incident#<id>`` / ``outbox#<target>``  in which group a receiver hears of the incident (a copy for readers)
``receiver#<target>`` / ``pause``        until when a receiver's channel is left alone, whatever it is about
``open-incidents`` / ``<incident>``      when the incident's alerts are to be looked at again
``silences`` / ``<silence>``             a silence; kept for a while after its end, for the record
=======================================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from sagewatch.alert.outbox import Kind, Ledger, Member
from sagewatch.errors import ConfigurationError, ConflictError, RejectedInputError
from sagewatch.finding import Severity, build_content_key
from sagewatch.incident.matching import build_labels, parse_matcher
from sagewatch.incident.model import Debt, Entry, Incident, State
from sagewatch.incident.muting import Open, Silence
from sagewatch.observability import get_logger
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write
from sagewatch.state.incidents import OPEN_INCIDENTS, Due
from sagewatch.state.rows import Rows, read_row, read_versioned, write_entry, write_row

MEMBER_KEPT = timedelta(days=2)
OWED_KEPT = timedelta(days=90)
"""Of an incident that is over and whose receiver could not be told yet: longer than any outage that will be mended."""
TOLD_TO_THE_END = frozenset({"resolved", "spared", "digested", "closed"})
SILENCE_KEPT = timedelta(days=30)
SETTLED_KEPT = timedelta(hours=1)
PAUSE_KEPT = timedelta(days=1)
GROUP_LIMIT = 1000
"""Stored members from which on an incident that is new goes into a further group, with a message of its own."""
_FORGOTTEN = MEMBER_KEPT + timedelta(days=2)  # DynamoDB removes what has expired within two days
_AT_ONCE = 30  # members of a transaction: three rows each, and DynamoDB takes a hundred
_ATTEMPTS = 8
_NEEDED = frozenset({"account", "region", "endpoint", "variant"})  # labels without which nobody can be woken
V = TypeVar("V", Ledger, Member)
M = TypeVar("M", datetime, bool)


class Group(msgspec.Struct, frozen=True):
    """A message and all that it may be about.

    Attributes
    ----------
    unreadable
        Somebody belongs to it whose row cannot be read, and who is owed a word as far as is known.
    """

    ledger: Ledger
    members: tuple[Member, ...]
    unreadable: bool = False


class AlertState(Rows):
    """Typed reading and writing of what alerts remember."""

    # Groups -------------------------------------------------------------------------------------------

    def load_group(self, group: str, target: str) -> Group:
        """The group's message at the target, and its members in the order of their names.

        A member that cannot be read is left out until its incident is looked at, and joins anew: it hides no other.
        """
        ledger, members, unreadable = Ledger(group=group, receiver=target), list[Member](), False
        for row in self._items.query(_group_pk(group, target)):
            if row.sk == "ledger":
                ledger = read_versioned(row, Ledger)
            else:
                try:
                    members.append(read_versioned(row, Member))
                except RejectedInputError:
                    unreadable |= self._is_owed(row.sk.removeprefix("member#"), target)
        return Group(ledger, tuple(members), unreadable)

    def _is_owed(self, incident_id: str, target: str) -> bool:
        """Whether the debt, which says it too, knows nothing of the target having been told to the end."""
        row = self._items.get(f"incident#{incident_id}", f"outbox#{target}")
        try:
            return row is None or read_row(row, Debt).told not in TOLD_TO_THE_END
        except RejectedInputError:
            return True

    def load_ledger(self, group: str, target: str) -> Ledger:
        """The group's message at the target, without the members."""
        row = self._items.get(_group_pk(group, target), "ledger")
        return Ledger(group=group, receiver=target) if row is None else read_versioned(row, Ledger)

    def find_room(self, group: str, target: str, now: datetime) -> str:
        """The group itself, or the first of those after it that has room: what is read for a message stays bounded.

        The count is that of the last message, taken or not, so a burst that shares one may go beyond the limit once.
        A group that tried to tell nothing for so long that its ended members are gone has room again.
        """
        number, name = 1, group
        while True:
            with suppress(RejectedInputError):  # nobody joins a message of which nothing is known any more
                ledger = self.load_ledger(name, target)
                counted = ledger.counted_at or ledger.told_at
                if ledger.members < GROUP_LIMIT or counted is None or now >= counted + _FORGOTTEN:
                    return name
            number += 1
            name = f"{group}-part{number}"

    def load_member(self, group: str, target: str, incident_id: str) -> Member | None:
        """What the target was told of an incident, or None where it never joined."""
        row = self._items.get(_group_pk(group, target), f"member#{incident_id}")
        return None if row is None else read_versioned(row, Member)

    def join_group(self, group: str, target: str, seen: Member) -> Member:
        """Show the group the incident as it is now; what was told of it stays. Older sights change nothing.

        Raises
        ------
        ConflictError
            It has joined another group of the target meanwhile: an incident has one message at a target.
        """
        for _ in range(_ATTEMPTS):
            try:
                known = self.load_member(group, target, seen.incident_id)
            except RejectedInputError as error:
                get_logger().warning("member_unreadable", where=error.where, key=error.key)
                return self._mend(group, target, seen)
            if known is not None and known.seen >= seen.seen:
                return known
            fresh = seen if known is None else _take_over(seen, known)
            expect = ANY_VERSION
            if known is None:
                fresh, expect = self._recall(group, target, seen)
            try:
                self._items.write(_write_member(group, target, fresh, known is None, expect))
            except ConflictError:
                continue
            return msgspec.structs.replace(fresh, version=fresh.version + 1)
        raise ConflictError("member_was_changed")

    def _recall(self, group: str, target: str, seen: Member) -> tuple[Member, int]:
        """A member that is new to the group, and the version of its debt that must be there.

        One whose row has expired is known by its debt: what was told to its end is never told again.
        """
        row = self._items.get(f"incident#{seen.incident_id}", f"outbox#{target}")
        if row is None:
            return seen, ABSENT
        debt = read_row(row, Debt)
        if debt.group not in {"", group}:
            raise ConflictError("joined_another_group")
        if debt.told in TOLD_TO_THE_END:
            seen = msgspec.structs.replace(
                seen, told=debt.told, told_at=debt.told_at, told_content=seen.content
            )
        return seen, row.version

    def _mend(self, group: str, target: str, seen: Member) -> Member:
        """Write a member anew whose row cannot be read: what it was told, its debt says, too."""
        fresh, expect = self._recall(group, target, seen)
        debt = self._items.get(f"incident#{seen.incident_id}", f"outbox#{target}")
        if debt is not None and (said := read_row(debt, Debt)).told == Kind.FIRING:
            # By which message, only the row knew: by the latest, which an end that is owed goes to.
            ledger = self.load_ledger(group, target)
            fresh = msgspec.structs.replace(
                fresh,
                told=said.told,
                told_at=said.told_at,
                generation=ledger.generation,
                thread=ledger.thread,
            )
        write = _write_member(group, target, fresh, is_new=True, expect_debt=expect)
        write[0] = msgspec.structs.replace(write[0], expect=ANY_VERSION)
        self._items.write(write)
        return msgspec.structs.replace(fresh, version=write[0].item.version)

    def save_ledger(self, ledger: Ledger) -> Ledger:
        """Record what the message says; the ledger to save next. ``ConflictError`` on a race."""
        pk = _group_pk(ledger.group, ledger.receiver)
        write = write_row(pk, "ledger", ledger, ledger.version)
        self._items.write([write])
        return msgspec.structs.replace(ledger, version=write.item.version)

    def record_told(
        self, ledger: Ledger, told: Sequence[Member], build_entry: Callable[[str], Entry | None]
    ) -> Ledger:
        """After sending: what the message says, and what was told of each incident, in one transaction.

        Of a group too large for one, the first part goes with the ledger; a crash before the rest repeats the
        message to those who are left.

        Parameters
        ----------
        build_entry
            The line for the audit trail of an incident.
        """
        write = write_row(_group_pk(ledger.group, ledger.receiver), "ledger", ledger, ledger.version)
        for start in range(0, max(len(told), 1), _AT_ONCE):
            for _ in range(_ATTEMPTS):
                part = [self._refresh(ledger, one) for one in told[start : start + _AT_ONCE]]
                try:
                    first = [write] if start == 0 else []
                    self._items.write([*first, *_list_told(ledger, part, build_entry)])
                except ConflictError:
                    continue
                break
            else:
                raise ConflictError("member_was_changed")
        return msgspec.structs.replace(ledger, version=write.item.version)

    def _refresh(self, ledger: Ledger, told: Member) -> Member:
        """The member as it is stored now, told what was said of it."""
        known = self.load_member(ledger.group, ledger.receiver, told.incident_id)
        if known is None:
            return told
        return msgspec.structs.replace(
            known,
            told=told.told,
            told_at=told.told_at,
            told_content=told.told_content,
            told_severity=told.told_severity,
            generation=told.generation,
            thread=told.thread,
        )

    # Reasons ------------------------------------------------------------------------------------------

    def note_once(self, incident_id: str, entry: Entry) -> bool:
        """Add a line to the audit trail unless one that says the same is there, whatever its time; whether it was new."""
        said = build_content_key(entry.what, entry.reason, msgspec.json.encode(entry.data).decode())
        pk, sk = f"incident#{incident_id}", f"said#{said}"
        if self._items.get(pk, sk) is not None:
            return False
        try:
            self._items.write([write_row(pk, sk, entry.at, ABSENT), write_entry(incident_id, entry)])
        except ConflictError:
            return False  # said by another at this moment
        return True

    # Receivers ----------------------------------------------------------------------------------------

    def load_pause(self, target: str) -> datetime | None:
        """Until when the receiver's channel is left alone, over or not; None where it never failed, or nobody can read it."""
        row = self._items.get(f"receiver#{target}", "pause")
        return None if row is None else _read_mark(row, datetime)

    def save_pause(self, target: str, until: datetime) -> None:
        """Leave the receiver's channel alone until then, or for as long as another asked for: the later end counts.

        A call that ran at the same time as the one that was told "in ten minutes" may fail in a way of its own.
        """
        pk, sk = f"receiver#{target}", "pause"
        expires = int((until + PAUSE_KEPT).timestamp())
        for _ in range(_ATTEMPTS):
            known = self._items.get(pk, sk)
            asked = None if known is None else _read_mark(known, datetime)
            if asked is not None and asked >= until:
                return
            expect = ABSENT if known is None else known.version
            row = Item(pk, sk, msgspec.json.encode(until), expect + 1, expires)
            with suppress(ConflictError):
                self._items.write([Write(row, expect)])
                return
        raise ConflictError("pause_was_changed")

    # What is due --------------------------------------------------------------------------------------

    def save_due(self, incident: Incident, due_at: datetime | None, now: datetime) -> None:
        """When the incident's alerts are to be looked at again; None: nothing is owed any more.

        Where the incident has changed meanwhile nothing is written: whoever saved it asked for a look of its own.
        """
        due = Due(
            incident_id=incident.incident_id,
            due_at=due_at,
            over=incident.state is State.RESOLVED,
            staged=incident.staged,
            labels=build_labels(incident),
            cleared_at=None if incident.state is State.RESOLVED else incident.cleared_at,
        )
        row = Item(OPEN_INCIDENTS, incident.incident_id, msgspec.json.encode(due), incident.version)
        if due_at is None:
            row = msgspec.structs.replace(row, expires_at=int((now + SETTLED_KEPT).timestamp()))
        for _ in range(_ATTEMPTS):
            known = self._items.get(OPEN_INCIDENTS, incident.incident_id)
            if known is not None and known.version > incident.version:
                return
            try:
                self._items.write([Write(row, ABSENT if known is None else known.version)])
            except ConflictError:
                continue
            return
        raise ConflictError("due_was_changed")

    def read_due(self) -> tuple[list[Due], list[str]]:
        """The incidents that somebody may still be owed word of, and the ids of those whose rows cannot be read.

        One row that was damaged, or that a newer version wrote, hides no other.
        """
        found, unreadable = list[Due](), list[str]()
        for row in self._items.query(OPEN_INCIDENTS):
            try:
                due = msgspec.json.decode(row.body, type=Due)
            except msgspec.MsgspecError:
                unreadable.append(row.sk)
                continue
            if not due.labels.keys() >= _NEEDED:
                unreadable.append(row.sk)
            elif due.due_at is not None:
                found.append(due)
        return found, unreadable

    def list_due(self) -> list[Due]:
        """The incidents that somebody may still be owed word of."""
        return self.read_due()[0]

    def list_open(self) -> tuple[Open, ...]:
        """The incidents that are not resolved and not on trial, as inhibition asks for them."""
        return tuple(
            Open(due.incident_id, due.labels) for due in self.list_due() if not due.over and not due.staged
        )

    # Pictures -----------------------------------------------------------------------------------------

    def were_pictures_shared(self, incident_id: str, target: str) -> bool:
        """Whether the incident's heat maps are, or are being, put where the target sees them."""
        row = self._items.get(f"incident#{incident_id}", f"pictures#{target}")
        return row is not None and bool(_read_mark(row, bool))

    def claim_pictures(self, incident_id: str, target: str) -> None:
        """Say that they are being put there now; ``ConflictError`` where somebody else did."""
        row = self._items.get(f"incident#{incident_id}", f"pictures#{target}")
        expect = ABSENT if row is None else row.version
        if row is not None and _read_mark(row, bool):
            raise ConflictError("pictures_were_claimed")
        self._items.write([write_row(f"incident#{incident_id}", f"pictures#{target}", True, expect)])

    def release_pictures(self, incident_id: str, target: str) -> None:
        """Say that they were not put there after all; they are tried again with the next word of the incident."""
        self._items.write([write_row(f"incident#{incident_id}", f"pictures#{target}", False, ANY_VERSION)])

    # Silences -----------------------------------------------------------------------------------------

    def save_silence(self, silence: Silence) -> None:
        """Keep a silence, or one whose end was moved."""
        expires = int((silence.ends_at + SILENCE_KEPT).timestamp())
        body = msgspec.json.encode(silence)
        row = Item("silences", silence.silence_id, body, expires_at=expires)
        self._items.write([Write(row, ANY_VERSION)])

    def load_silence(self, silence_id: str) -> Silence | None:
        """The silence, in force or over, or None where there never was one."""
        row = self._items.get("silences", silence_id)
        return None if row is None else msgspec.json.decode(row.body, type=Silence)

    def list_silences(self, now: datetime | None) -> tuple[Silence, ...]:
        """The silences that are not over, coming ones among them; all that are kept where ``now`` is None.

        One that cannot be read silences nothing: rather a message too many than none of any incident.
        """
        kept = (one for one in self._read_silences()[0] if now is None or not one.is_over(now))
        return tuple(sorted(kept, key=lambda one: one.ends_at))

    def list_unreadable_silences(self) -> list[str]:
        """The ids of silences that cannot be read, and so silence nothing."""
        return self._read_silences()[1]

    def _read_silences(self) -> tuple[list[Silence], list[str]]:
        found, unreadable = list[Silence](), list[str]()
        for row in self._items.query("silences"):
            try:
                silence = msgspec.json.decode(row.body, type=Silence)
                for text in silence.matchers:
                    parse_matcher(text)  # one that nobody can read would keep every alert waiting
                found.append(silence)
            except (msgspec.MsgspecError, ConfigurationError):
                unreadable.append(row.sk)
        return found, unreadable


def _take_over(seen: Member, known: Member) -> Member:
    return msgspec.structs.replace(
        seen, joined_at=known.joined_at, told=known.told, told_at=known.told_at, told_content=known.told_content,
        told_severity=_find_told_severity(known), generation=known.generation, thread=known.thread,
        version=known.version,
    )  # fmt: skip


def _find_told_severity(known: Member) -> Severity | None:
    """What was said of it; an older version did not write it down, and had told what it saw."""
    return (
        known.severity if known.told_severity is None and known.told == Kind.FIRING else known.told_severity
    )


def _write_member(
    group: str, target: str, member: Member, is_new: bool, expect_debt: int = ANY_VERSION
) -> list[Write]:
    write = write_row(_group_pk(group, target), f"member#{member.incident_id}", member, member.version)
    if member.over:
        kept = MEMBER_KEPT if member.told in TOLD_TO_THE_END else OWED_KEPT
        ends = int(((member.resolved_at or member.joined_at) + kept).timestamp())
        write = msgspec.structs.replace(write, item=msgspec.structs.replace(write.item, expires_at=ends))
    if not is_new:
        return [write]
    return [write, _write_debt(group, target, member, expect_debt)]


def _write_debt(group: str, target: str, member: Member, expect: int) -> Write:
    debt = Debt(
        incident_id=member.incident_id,
        receiver=target,
        group=group,
        told=member.told,
        told_at=member.told_at,
        route=member.route,
    )
    return write_row(f"incident#{member.incident_id}", f"outbox#{target}", debt, expect)


def _list_told(
    ledger: Ledger, members: Sequence[Member], build_entry: Callable[[str], Entry | None]
) -> list[Write]:
    writes = []
    for member in members:
        # The copy for readers is written with it already: is_new or not, it says the same.
        writes += _write_member(ledger.group, ledger.receiver, member, is_new=True)
        entry = build_entry(member.incident_id)
        if entry is not None:
            writes.append(write_entry(member.incident_id, entry))
    return writes


def _group_pk(group: str, target: str) -> str:
    return f"group#{group}#{target.rpartition('/')[2]}"


def _read_mark(row: Item, type_: type[M]) -> M | None:
    """What a row says that only spares the receiver something; None where it cannot be read: it is written anew."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(row.body, type=type_)
    return None
