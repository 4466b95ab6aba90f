"""The message that a group has at a receiver's channel, its members, and what was told of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from sagewatch.alert.outbox import Kind, Ledger, Member
from sagewatch.errors import ConflictError, RejectedInputError
from sagewatch.finding import Severity
from sagewatch.incident.model import Debt, Entry
from sagewatch.observability import get_logger
from sagewatch.ports import ABSENT, ANY_VERSION, Write
from sagewatch.state.rows import ATTEMPTS, Rows, read_row, read_versioned, write_entry, write_row

MEMBER_KEPT = timedelta(days=2)
OWED_KEPT = timedelta(days=90)
"""Of an incident that is over and whose receiver could not be told yet: longer than any outage that will be mended."""
TOLD_TO_THE_END = frozenset({"resolved", "spared", "digested", "closed"})
GROUP_LIMIT = 1000
"""Stored members from which on an incident that is new goes into a further group, with a message of its own."""
_FORGOTTEN = MEMBER_KEPT + timedelta(days=2)  # DynamoDB removes what has expired within two days
_AT_ONCE = 30  # members of a transaction: three rows each, and DynamoDB takes a hundred


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


class GroupRows(Rows):
    """What one message about a group has said, and to be said of whom."""

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
        for _ in range(ATTEMPTS):
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

        Of a group too large for one, the first part goes with the ledger, which stays claimed, and marked, until the last
        part is written: nobody else tells the rest meanwhile, and a crash repeats the message to those who are left.

        Parameters
        ----------
        build_entry
            The line for the audit trail of an incident.
        """
        held, fits = ledger, len(told) <= _AT_ONCE
        if not fits:
            was = self.load_ledger(ledger.group, ledger.receiver)
            held = msgspec.structs.replace(ledger, claimed_until=was.claimed_until, perhaps=was.perhaps)
        write = write_row(_group_pk(ledger.group, ledger.receiver), "ledger", held, held.version)
        for start in range(0, max(len(told), 1), _AT_ONCE):
            for _ in range(ATTEMPTS):
                part = [self._refresh(ledger, one) for one in told[start : start + _AT_ONCE]]
                try:
                    first = [write] if start == 0 else []
                    self._items.write([*first, *_list_told(ledger, part, build_entry)])
                except ConflictError:
                    continue
                break
            else:
                raise ConflictError("member_was_changed")
        written = msgspec.structs.replace(ledger, version=write.item.version)
        return written if fits else self.save_ledger(written)

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


def _take_over(seen: Member, known: Member) -> Member:
    return msgspec.structs.replace(
        seen, joined_at=known.joined_at, told=known.told, told_at=known.told_at, told_content=known.told_content,
        told_severity=_find_told_severity(known), generation=known.generation, thread=known.thread,
        ended_muted=known.ended_muted if known.over else seen.ended_muted, version=known.version,
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
