"""Silences, and for a while after their end: for the record."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.incident.matching import parse_matcher
from sagewatch.incident.muting import Silence
from sagewatch.ports import ANY_VERSION, Item, Write
from sagewatch.state.rows import Rows

SILENCE_KEPT = timedelta(days=30)


class SilenceRows(Rows):
    """A row for each silence, coming, in force or over."""

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
