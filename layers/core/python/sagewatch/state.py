"""The one table, typed: which key holds what, and how it is written (DESIGN §3).

========================================  ==========================================================
pk / sk                                   holds
========================================  ==========================================================
``endpoint#E`` / ``stream#V``             a stream that had captures
``stream#E#V`` / ``segment#<time>#<id>``  the predictions of one capture object; being there means counted
``stream#E#V`` / ``checkpoint``           the detectors' states at the watermark; segments after it refold
``stream#E#V`` / ``told#<finding>#<s>``   this finding's raising or clearing is on the bus
``stream#E#V`` / ``unread``               since when captures lie in S3 that are not counted
``expected#E`` / ``first-capture``         since when captures are expected that never came
``open#<fingerprint>`` / ``open``         the one open incident of the fingerprint
``incident#<id>`` / ``meta``              the incident
``incident#<id>`` / ``event#<time>#<n>``  its audit trail
``incident#<id>`` / ``outbox#<receiver>`` what the receiver has been told
``incident#<id>`` / ``diagnosis``         the diagnosis made for it
``schedule#<name>`` / ``state``           the last run of a monitoring schedule, and what holds since
``schedule#<name>`` / ``watch``           since when the schedule is watched, and its latest window
``control#swaps`` / ``switch``            the kill switch of all swaps
``incidents`` / ``<id>``                  an incident in a line: ids sort by time, so this is the list of all
``open-incidents`` / ``<id>``              when the incident's alerts are to be looked at again
``page-turns`` / ``<id>`` or ``index``     who writes the incident's page, or the index, now; gone a day later
``diagnosed-endpoints`` / ``<endpoint>``  its last diagnosis: the list of all leases
``diagnosis#<endpoint>`` / ``lease``      who may swap the endpoint now, and what has been used today
========================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from sagewatch.capture import Segment, decode_segment, encode_segment
from sagewatch.detect.checkpoint import Checkpoint
from sagewatch.detect.first_capture import Expectation
from sagewatch.diagnose.model import Diagnosis, Switch
from sagewatch.errors import ConflictError, RejectedInputError
from sagewatch.finding import Finding, Severity, Stream, build_content_key
from sagewatch.incident.entries import order_entries
from sagewatch.incident.matching import build_labels
from sagewatch.incident.model import Debt, Entry, Incident, OpenRecord
from sagewatch.incident.model import State as Life
from sagewatch.incident.page_turn import Turn
from sagewatch.monitoring.execution import Watch
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Items, Write
from sagewatch.report.schedule import ScheduleState

SEGMENT_KEPT = timedelta(days=2)
OPEN_INCIDENTS = "open-incidents"
INCIDENTS = "incidents"
DIAGNOSED = "diagnosed-endpoints"
PAGE_TURNS = "page-turns"
TURN_KEPT = timedelta(days=1)
FIRST_LOOK = timedelta(minutes=1)
"""An incident that changed is looked at again after this, should the event that says so be lost."""
_AT_ONCE = 100  # rows of a transaction: DynamoDB takes no more

TRANSACTION_BYTES = 3_500_000
TRANSACTION_ROWS = 100
"""Written at once: DynamoDB takes 4 MB in a transaction, keys and conditions among them, and so many rows."""

V = TypeVar("V", Expectation, Incident, OpenRecord, Diagnosis, ScheduleState, Watch)
T = TypeVar("T")
_SORTABLE = "%Y-%m-%dT%H:%M:%S.%f"


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
    """

    incident_id: str
    due_at: datetime | None
    over: bool
    staged: bool
    labels: dict[str, str]
    cleared_at: datetime | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in a line, for lists: what people filter by."""

    incident_id: str
    endpoint: str
    variant: str
    kind: str
    subject: str
    severity: Severity
    state: Life
    opened_at: datetime
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    staged: bool = False


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """Captures lay in S3 uncounted when their stream would have been called silent.

    Attributes
    ----------
    silent_since
        The end of the last capture that is counted.
    noticed_at, looked_at
        When they were first seen, and when last.
    """

    silent_since: datetime
    noticed_at: datetime
    looked_at: datetime


class State:
    """Typed reading and writing over the port ``Items``.

    Parameters
    ----------
    items
        The table, in AWS or in memory.
    """

    def __init__(self, items: Items) -> None:
        self._items = items

    @property
    def items(self) -> Items:
        """The table itself, for those who keep other rows in it."""
        return self._items

    # Streams ------------------------------------------------------------------------------------------

    def put_segment(self, segment: Segment, now: datetime) -> bool:
        """Count a capture object; False where it had been counted before.

        The segment is the marker: one conditional write makes counting exactly-once. Of a file that is too large for
        one transaction the last piece is the marker: those before it are written first, and again by whoever comes
        after a crash, and nobody reads them until it is there.
        """
        expires = int((now + SEGMENT_KEPT).timestamp())
        pieces = encode_segment(msgspec.structs.replace(segment, counted_at=now))
        rows = [
            Item(_stream_pk(segment.stream), f"{_segment_sk(segment)}#{n:04d}", piece, 1, expires)
            for n, piece in enumerate(pieces)
        ]
        last = rows[-1]
        if self._items.get(last.pk, last.sk) is not None:
            return False
        *staged, marking = _group_by_size(rows)
        try:
            for group in staged:
                self._items.write([Write(row, ANY_VERSION) for row in group])
            self._items.write(
                [Write(row, ANY_VERSION if staged and row is not last else ABSENT) for row in marking]
            )
        except ConflictError:
            if self._items.get(last.pk, last.sk) is None:
                raise
            return False
        return True

    def note_stream(self, stream: Stream) -> None:
        """Remember that the endpoint has this stream: the tick asks all of them."""
        self._items.write(
            [write_row(f"endpoint#{stream.endpoint}", f"stream#{stream.variant}", stream, ANY_VERSION)]
        )

    def list_streams(self, endpoint: str) -> list[Stream]:
        """The streams of an endpoint that ever had a capture."""
        return [
            msgspec.json.decode(row.body, type=Stream) for row in self._items.query(f"endpoint#{endpoint}")
        ]

    def load_expectation(self, endpoint: str) -> Expectation | None:
        """Since when the endpoint's captures are expected; None before the first look."""
        return self._load_versioned(f"expected#{endpoint}", "first-capture", Expectation)

    def save_expectation(self, expected: Expectation) -> None:
        """Write it; ``ConflictError`` where it was changed meanwhile."""
        self._items.write(
            [write_row(f"expected#{expected.endpoint}", "first-capture", expected, expected.version)]
        )

    def load_segments(self, stream: Stream, since: datetime | None) -> list[Segment]:
        """The stream's segments that begin at or after a time, in order of time; of a file all pieces or none."""
        start = f"segment#{_sortable(since)}" if since else "segment#"
        rows = self._items.query(_stream_pk(stream), start, "segment#\U0010ffff")
        found = [decode_segment(row.body) for row in rows]
        counted = {one.identity[:-1] for one in found if one.part == one.parts - 1}
        return [one for one in found if one.identity[:-1] in counted]

    def load_checkpoint(self, stream: Stream) -> tuple[Checkpoint | None, int]:
        """The detectors' states and the version to name when saving; (None, 0) at the start."""
        item = self._items.get(_stream_pk(stream), "checkpoint")
        return (msgspec.json.decode(item.body, type=Checkpoint), item.version) if item else (None, ABSENT)

    def save_checkpoint(self, stream: Stream, checkpoint: Checkpoint, expect: int) -> None:
        """Keep the states; ``ConflictError`` where somebody else was faster."""
        self._items.write([write_row(_stream_pk(stream), "checkpoint", checkpoint, expect)])

    def was_told(self, finding: Finding) -> bool:
        """Whether this raising or clearing is on the bus already."""
        return self._items.get(_stream_pk(finding.stream), _told_sk(finding)) is not None

    def mark_told(self, finding: Finding) -> None:
        """Remember that this raising or clearing is on the bus."""
        self._items.write(
            [write_row(_stream_pk(finding.stream), _told_sk(finding), finding.window, ANY_VERSION)]
        )

    def load_unread(self, stream: Stream) -> Unread | None:
        """Since when captures of the stream wait to be counted, as it was last noticed; None where the row is damaged.

        It says but how long to wait: whoever asks writes it anew, and no silence is hidden by it.
        """
        item = self._items.get(_stream_pk(stream), "unread")
        try:
            return msgspec.json.decode(item.body, type=Unread) if item else None
        except msgspec.MsgspecError:
            return None

    def save_unread(self, stream: Stream, unread: Unread) -> None:
        """Write it; of two writers at once either may have the last word."""
        self._items.write([write_row(_stream_pk(stream), "unread", unread, ANY_VERSION)])

    # Incidents ----------------------------------------------------------------------------------------

    def load_open(self, fingerprint: str) -> OpenRecord | None:
        """What is known of the fingerprint, or None."""
        return self._load_versioned(f"open#{fingerprint}", "open", OpenRecord)

    def load_incident(self, incident_id: str) -> Incident | None:
        """The incident, or None."""
        return self._load_versioned(f"incident#{incident_id}", "meta", Incident)

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

    # Schedules ----------------------------------------------------------------------------------------

    def load_schedule(self, schedule: str) -> ScheduleState:
        """What is known of a monitoring schedule."""
        found = self._load_versioned(f"schedule#{schedule}", "state", ScheduleState)
        return found or ScheduleState(schedule=schedule)

    def save_schedule(self, state: ScheduleState) -> None:
        """Write what is known; ``ConflictError`` where it was changed meanwhile."""
        self._items.write([write_row(f"schedule#{state.schedule}", "state", state, state.version)])

    def load_watch(self, schedule: str, now: datetime) -> Watch:
        """The rhythm of a schedule; one that was never looked at is watched from now on."""
        found = self._load_versioned(f"schedule#{schedule}", "watch", Watch)
        return found or Watch(schedule=schedule, since=now)

    def save_watch(self, watch: Watch) -> None:
        """Write the rhythm; ``ConflictError`` where it was changed meanwhile."""
        self._items.write([write_row(f"schedule#{watch.schedule}", "watch", watch, watch.version)])

    # Diagnoses ----------------------------------------------------------------------------------------

    def load_diagnosis(self, endpoint: str) -> Diagnosis | None:
        """The endpoint's lease, or None where it was never taken."""
        return self._load_versioned(f"diagnosis#{endpoint}", "lease", Diagnosis)

    def list_diagnosed(self) -> list[str]:
        """Endpoints that were ever leased, those among them that monitors.yml no longer lists."""
        return [row.sk for row in self._items.query(DIAGNOSED)]

    def load_diagnosis_of(self, incident_id: str) -> Diagnosis | None:
        """The diagnosis that was made for an incident, or None."""
        return self._load_versioned(f"incident#{incident_id}", "diagnosis", Diagnosis)

    def save_diagnosis(self, diagnosis: Diagnosis, entries: Sequence[Entry]) -> Diagnosis:
        """Write the lease, the incident's copy and its entries at once; the diagnosis to save next."""
        pk = f"incident#{diagnosis.incident_id}"
        lease = write_row(f"diagnosis#{diagnosis.endpoint}", "lease", diagnosis, diagnosis.version)
        self._items.write(
            [
                lease,
                write_row(DIAGNOSED, diagnosis.endpoint, diagnosis.incident_id, ANY_VERSION),
                write_row(pk, "diagnosis", diagnosis, ANY_VERSION),
                *(write_entry(diagnosis.incident_id, entry) for entry in entries),
            ]
        )
        return msgspec.structs.replace(diagnosis, version=lease.item.version)

    def load_switch(self) -> Switch:
        """The kill switch; on where nobody ever threw it, off where its row cannot be read: somebody meant something."""
        item = self._items.get("control#swaps", "switch")
        try:
            return msgspec.json.decode(item.body, type=Switch) if item else Switch()
        except msgspec.MsgspecError:
            return Switch(on=False, reason="its row in the state table cannot be read; throw it again")

    def save_switch(self, switch: Switch) -> None:
        """Throw the kill switch."""
        self._items.write([write_row("control#swaps", "switch", switch, ANY_VERSION)])

    def _load_versioned(self, pk: str, sk: str, type_: type[V]) -> V | None:
        item = self._items.get(pk, sk)
        if item is None:
            return None
        return msgspec.structs.replace(read_row(item, type_), version=item.version)


def read_row(item: Item, type_: type[T]) -> T:
    """The value of a row.

    Raises
    ------
    RejectedInputError
        It was damaged, or a newer version wrote it; names the row, and nothing of what it holds. It never reads as
        absent: what hangs on it (a second incident of the fingerprint, a word that was told) would be done again.
    """
    try:
        return msgspec.json.decode(item.body, type=type_)
    except msgspec.MsgspecError:
        raise RejectedInputError(
            "cannot be read: it was damaged, or a newer version wrote it", where=item.pk, key=item.sk
        ) from None


def write_row(pk: str, sk: str, value: object, expect: int) -> Write:
    """A value as a row of the table, to be written if the version there is the expected one."""
    version = 1 if expect == ANY_VERSION else expect + 1
    return Write(Item(pk, sk, msgspec.json.encode(value), version), expect)


def _write_record(record: OpenRecord) -> Write:
    return write_row(f"open#{record.fingerprint}", "open", record, record.version)


def _write_listed(incident: Incident) -> Write:
    return write_row(INCIDENTS, incident.incident_id, _build_listed(incident), ANY_VERSION)


def _build_listed(incident: Incident) -> Listed:
    return Listed(**{name: getattr(incident, name) for name in Listed.__struct_fields__})


def _write_due(incident: Incident) -> Write:
    due = Due(
        incident_id=incident.incident_id,
        due_at=incident.updated_at + FIRST_LOOK,
        over=incident.state is Life.RESOLVED,
        staged=incident.staged,
        labels=build_labels(incident),
        cleared_at=None if incident.state is Life.RESOLVED else incident.cleared_at,
    )
    # The row's version is that of the incident it shows (``AlertState.save_due`` asks for it).
    row = Item(OPEN_INCIDENTS, incident.incident_id, msgspec.json.encode(due), incident.version + 1)
    return Write(row, ANY_VERSION)


def _read_turn(item: Item) -> Turn:
    try:
        turn = msgspec.json.decode(item.body, type=Turn)
    except msgspec.MsgspecError:
        turn = Turn(crossed=True)  # whoever writes the page next writes the row anew
    return msgspec.structs.replace(turn, version=item.version)


def write_entry(incident_id: str, entry: Entry) -> Write:
    """A line of an incident's audit trail; the same line twice is one line."""
    # The content is in the key, so a redelivered fact writes the same row again instead of a second one.
    name = build_content_key(entry.what, entry.reason, entry.by, msgspec.json.encode(entry.data).decode())
    return write_row(f"incident#{incident_id}", f"event#{_sortable(entry.at)}#{name}", entry, ANY_VERSION)


def _read_entry(row: Item) -> Entry:
    try:
        return read_row(row, Entry)
    except RejectedInputError:
        at = datetime.strptime(row.sk.split("#")[1], _SORTABLE).replace(tzinfo=UTC)
        return Entry(at=at, what="line_of_the_trail", reason="row_unreadable", by="state", data={})


def _group_by_size(rows: Sequence[Item]) -> list[list[Item]]:
    """The rows in order, in groups that a transaction takes."""
    groups: list[list[Item]] = [[]]
    for row in rows:
        size_bytes = sum(len(one.body) for one in [*groups[-1], row])
        if groups[-1] and (size_bytes > TRANSACTION_BYTES or len(groups[-1]) == TRANSACTION_ROWS):
            groups.append([])
        groups[-1].append(row)
    return groups


def _stream_pk(stream: Stream) -> str:
    return f"stream#{stream.endpoint}#{stream.variant}"


def _segment_sk(segment: Segment) -> str:
    name = build_content_key(segment.bucket, segment.key, segment.etag)
    return f"segment#{_sortable(segment.first_at)}#{name}"


def _told_sk(finding: Finding) -> str:
    # A finding that grew more severe is told again, and one that lasts now and then: both are part of what was told.
    what = "cleared" if finding.cleared_at else f"raised#{finding.severity}"
    if finding.cleared_at is None and finding.tellings:
        what += f"#{finding.tellings}"
    return f"told#{finding.finding_id}#{what}"


def _sortable(moment: datetime) -> str:
    return moment.strftime(_SORTABLE)
