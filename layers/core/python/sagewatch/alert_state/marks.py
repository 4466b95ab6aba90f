"""What is done once, or left alone for a while: lines of the trail, heat maps, a receiver that asked for a pause."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from sagewatch.errors import ConflictError
from sagewatch.finding import build_content_key
from sagewatch.incident.model import Entry
from sagewatch.observability import get_logger
from sagewatch.ports import ABSENT, ANY_VERSION, Item, Write
from sagewatch.state.rows import ATTEMPTS, Rows, write_entry, write_row

PAUSE_KEPT = timedelta(days=1)
M = TypeVar("M", datetime, bool)


class MarkRows(Rows):
    """One that cannot be read is written anew: it only spares somebody something."""

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
        for _ in range(ATTEMPTS):
            known = self._items.get(pk, sk)
            asked = None if known is None else _read_mark(known, datetime)
            if asked is not None and asked >= until:
                return
            expect = ABSENT if known is None else known.version
            row = Item(pk, sk, msgspec.json.encode(until), expect + 1, expires)
            with suppress(ConflictError):
                self._items.write([Write(row, expect)])
                return
        # As many others found it failing at this moment, and their pause stands: it is no reason to keep a claim for.
        get_logger().warning("pause_was_changed", receiver=target)

    def load_audible_since(self, incident_id: str) -> datetime | None:
        """Since when people can be told of it without a break, as far as somebody asked; None where they cannot."""
        row = self._items.get(f"incident#{incident_id}", "audible")
        return None if row is None else _read_mark(row, datetime)

    def save_audible_since(self, incident_id: str, since: datetime | None) -> None:
        """Keep since when people can be told of it; None: they cannot."""
        pk, sk = f"incident#{incident_id}", "audible"
        row = self._items.get(pk, sk)
        if (None if row is None else _read_mark(row, datetime)) == since:
            return
        with suppress(ConflictError):  # another saw the same at this moment
            self._items.write([write_row(pk, sk, since, ABSENT if row is None else row.version)])

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


def _read_mark(row: Item, type_: type[M]) -> M | None:
    """What a row says that only spares the receiver something; None where it cannot be read: it is written anew."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(row.body, type=type_)
    return None
