"""What stands in the table of incidents: each one, its trail, the lists of all, and who writes their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.finding import Severity
from sagewatch.incident.entries import order_entries
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Debt, Entry, Incident, OpenRecord, State
from sagewatch.incident.page_turn import Turn
from sagewatch.ports import ANY_VERSION, Item, Write
from sagewatch.state.rows import SORTABLE, Rows, read_row, write_entry, write_row

OPEN_INCIDENTS = "open-incidents"
INCIDENTS = "incidents"
PAGE_TURNS = "page-turns"
TURN_KEPT = timedelta(days=1)
FIRST_LOOK = timedelta(minutes=1)
"""An incident that changed is looked at again after this, should the event that says so be lost."""
_AT_ONCE = 100  # rows of a transaction: DynamoDB takes no more


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """When an incident's alerts are to be looked at again; the tick reads all of them.

    Attributes
    ----------
    due_at
        None: nobody is owed anything any more.
    over, staged, labels
        Of the incident, as inhibition asks for them.
    cleared_at
        Since when all its evidence is away, where it is not over yet.
    resolved_at
        Since when it is over.
    held_until
        Until when it was open all the same, and explained others.
    """

    incident_id: str
    due_at: datetime | None
    over: bool
    staged: bool
    labels: dict[str, str]
    cleared_at: datetime | None = None
    resolved_at: datetime | None = None
    held_until: datetime | None = None


def build_due_row(incident: Incident, due_at: datetime | None) -> Due:
    """What the list of what is due says of an incident."""
    over = incident.state is State.RESOLVED
    return Due(
        incident_id=incident.incident_id,
        due_at=due_at,
        over=over,
        staged=incident.staged,
        labels=build_labels(incident),
        cleared_at=None if over else incident.cleared_at,
        resolved_at=incident.resolved_at,
        held_until=incident.held_until,
    )


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in a line, for lists: what people filter by."""

    incident_id: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: Severity
    state: State
    opened_at: datetime
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    staged: bool = False


class IncidentRows(Rows):
    """Incidents, the open one of each fingerprint, trails, lists and pages."""

    def load_open(self, fingerprint: str) -> OpenRecord | None:
        """What is known of the fingerprint, or None."""
        return self.load_versioned(f"open#{fingerprint}", "open", OpenRecord)

    def load_incident(self, incident_id: str) -> Incident | None:
        """The incident, or None."""
        return self.load_versioned(f"incident#{incident_id}", "meta", Incident)

    def save_record(self, record: OpenRecord) -> None:
        """Write a fingerprint's record; ``ConflictError`` where it was changed meanwhile."""
        self._items.write([_write_record(record)])

    def save_incident(self, incident: Incident, record: OpenRecord, entries: Sequence[Entry]) -> None:
        """Write an incident, its fingerprint's record and its new entries, all or nothing.

        Raises
        ------
        ConflictError
            The incident or the record was changed meanwhile.
        """
        self._items.write(
            [
                write_row(f"incident#{incident.incident_id}", "meta", incident, incident.version),
                _write_record(record),
                _write_due(incident),
                _write_listed(incident),
                *(write_entry(incident.incident_id, entry) for entry in entries),
            ]
        )

    def list_incidents(self, since: datetime | None = None) -> list[Listed]:
        """All incidents that can be read, or those opened at or after a time, the latest first."""
        return self.read_incidents(since)[0]

    def read_incidents(self, since: datetime | None = None) -> tuple[list[Listed], list[str]]:
        """The same, and the ids of those of which neither the line nor the incident itself can be read.

        One row that was damaged, or that a newer version wrote, hides no other.
        """
        found, unreadable = list[Listed](), list[str]()
        for row in reversed(self._items.query(INCIDENTS, f"{since:%Y%m%dT%H%M%SZ}" if since else "")):
            try:
                found.append(self._read_listed(row))
            except RejectedInputError:
                unreadable.append(row.sk)
        return found, unreadable

    def _read_listed(self, row: Item) -> Listed:
        """The line, or what the incident itself says where the line cannot be read."""
        try:
            return read_row(row, Listed)
        except RejectedInputError:
            incident = self.load_incident(row.sk)
            if incident is None:
                raise
            return _build_listed(incident)

    def add_entries(self, incident_id: str, entries: Sequence[Entry]) -> None:
        """Add to the audit trail; the same entry twice is one entry."""
        if entries:
            self._items.write([write_entry(incident_id, entry) for entry in entries])

    def add_entry_to_all(self, incident_ids: Sequence[str], entry: Entry) -> None:
        """Add the same line to the audit trails of many, a transaction for each hundred of them."""
        for start in range(0, len(incident_ids), _AT_ONCE):
            self._items.write([write_entry(one, entry) for one in incident_ids[start : start + _AT_ONCE]])

    def load_entries(self, incident_id: str) -> list[Entry]:
        """The audit trail, in order of time, cause before effect; a line that cannot be read says so in its place."""
        rows = self._items.query(f"incident#{incident_id}", "event#", "event#\U0010ffff")
        return order_entries(_read_entry(row) for row in rows)

    def load_debts(self, incident_id: str) -> list[Debt]:
        """What each receiver has been told of the incident; what cannot be read keeps no other receiver waiting."""
        debts = []
        for row in self._items.query(f"incident#{incident_id}", "outbox#", "outbox#\U0010ffff"):
            # Of a copy that cannot be read the book itself says more: the group's member.
            with suppress(RejectedInputError):
                debts.append(read_row(row, Debt))
        return debts

    def load_sensitive(self, endpoint: str) -> dict[str, datetime]:
        """Fields whose values a page about the endpoint withheld, with the last time of it."""
        item = self._items.get(f"sensitive#{endpoint}", "names")
        return msgspec.json.decode(item.body, type=dict[str, datetime]) if item else {}

    def save_sensitive(self, endpoint: str, names: Mapping[str, datetime]) -> None:
        """Write which fields' values are withheld, those of before among them."""
        self._items.write([write_row(f"sensitive#{endpoint}", "names", names, ANY_VERSION)])

    def load_turn(self, page: str) -> Turn:
        """Who writes a page now: an incident's, by its id, or the index."""
        item = self._items.get(PAGE_TURNS, page)
        return _read_turn(item) if item else Turn()

    def save_turn(self, page: str, turn: Turn, now: datetime) -> None:
        """Write it; ``ConflictError`` where it was changed meanwhile. One that is over is not kept for ever."""
        write = write_row(PAGE_TURNS, page, turn, turn.version)
        if not turn.writers and not turn.crossed:
            expires = int((now + TURN_KEPT).timestamp())
            write = Write(msgspec.structs.replace(write.item, expires_at=expires), write.expect)
        self._items.write([write])

    def list_turns(self) -> dict[str, Turn]:
        """Who writes which page now, and who did of late."""
        return {row.sk: _read_turn(row) for row in self._items.query(PAGE_TURNS)}


def _write_record(record: OpenRecord) -> Write:
    return write_row(f"open#{record.fingerprint}", "open", record, record.version)


def _write_listed(incident: Incident) -> Write:
    return write_row(INCIDENTS, incident.incident_id, _build_listed(incident), ANY_VERSION)


def _build_listed(incident: Incident) -> Listed:
    return Listed(**{name: getattr(incident, name) for name in Listed.__struct_fields__})


def _write_due(incident: Incident) -> Write:
    due = build_due_row(incident, incident.updated_at + FIRST_LOOK)
    # The row's version is that of the incident it shows (``AlertState.save_due`` asks for it).
    row = Item(OPEN_INCIDENTS, incident.incident_id, msgspec.json.encode(due), incident.version + 1)
    return Write(row, ANY_VERSION)


def _read_turn(item: Item) -> Turn:
    try:
        turn = msgspec.json.decode(item.body, type=Turn)
    except msgspec.MsgspecError:
        turn = Turn(crossed=True)  # whoever writes the page next writes the row anew
    return msgspec.structs.replace(turn, version=item.version)


def _read_entry(row: Item) -> Entry:
    try:
        return read_row(row, Entry)
    except RejectedInputError:
        at = datetime.strptime(row.sk.split("#")[1], SORTABLE).replace(tzinfo=UTC)
        return Entry(at=at, what="line_of_the_trail", reason="row_unreadable", by="state", data={})
