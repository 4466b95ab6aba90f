"""When the alerts of each incident are to be looked at again: the list of all that somebody may still be owed word of."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sagewatch.errors import ConflictError
from sagewatch.incident.inhibition import Open
from sagewatch.incident.model import Incident
from sagewatch.ports import ABSENT, Item, Write
from sagewatch.state.incidents import OPEN_INCIDENTS, Due, build_due_row
from sagewatch.state.rows import ATTEMPTS, Rows

SETTLED_KEPT = timedelta(hours=1)
_NEEDED = frozenset({"account", "region", "endpoint", "variant"})  # labels without which nobody can be woken


class DueRows(Rows):
    """A row for each incident, until nothing is owed of it any more."""

    def save_due(self, incident: Incident, due_at: datetime | None, now: datetime) -> None:
        """When the incident's alerts are to be looked at again; None: nothing is owed any more.

        Where the incident has changed meanwhile nothing is written: whoever saved it asked for a look of its own.
        """
        body = msgspec.json.encode(build_due_row(incident, due_at))
        row = Item(OPEN_INCIDENTS, incident.incident_id, body, incident.version)
        if due_at is None:
            row = msgspec.structs.replace(row, expires_at=int((now + SETTLED_KEPT).timestamp()))
        for _ in range(ATTEMPTS):
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
        found, unreadable = self._read_all()
        return [due for due in found if due.due_at is not None], unreadable

    def _read_all(self) -> tuple[list[Due], list[str]]:
        found, unreadable = list[Due](), list[str]()
        for row in self._items.query(OPEN_INCIDENTS):
            try:
                due = msgspec.json.decode(row.body, type=Due)
            except msgspec.MsgspecError:
                unreadable.append(row.sk)
                continue
            if not due.labels.keys() >= _NEEDED:
                unreadable.append(row.sk)
            else:
                found.append(due)
        return found, unreadable

    def list_due(self) -> list[Due]:
        """The incidents that somebody may still be owed word of."""
        return self.read_due()[0]

    def list_sources(self) -> tuple[Open, ...]:
        """The incidents that are not resolved, or were not of late, and not on trial, as inhibition asks for them.

        Of one that an older version resolved nobody knows when: it is left out.
        """
        return tuple(
            Open(due.incident_id, due.labels, due.held_until or due.resolved_at)
            for due in self._read_all()[0]
            if not due.staged and due.over is (due.resolved_at is not None)
        )
