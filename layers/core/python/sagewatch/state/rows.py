"""A row of the table: how a value becomes one, and how it is read."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.finding import build_content_key
from sagewatch.incident.model import Entry
from sagewatch.ports import ANY_VERSION, Item, Items, Write

SORTABLE = "%Y-%m-%dT%H:%M:%S.%f"
"""A time, in UTC, as the part of a key that sorts."""

ATTEMPTS = 8
"""How often a row is read and written anew where others write it, too."""

V = TypeVar("V", bound=msgspec.Struct)
T = TypeVar("T")


class Rows:
    """The table, for the classes that say what stands in it.

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

    def load_versioned(self, pk: str, sk: str, type_: type[V]) -> V | None:
        """The value with the version to name when it is saved, or None."""
        item = self._items.get(pk, sk)
        return None if item is None else read_versioned(item, type_)


def read_versioned(item: Item, type_: type[V]) -> V:
    """The value of a row, with the version to name when it is saved; errors as of ``read_row``."""
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


def write_entry(incident_id: str, entry: Entry) -> Write:
    """A line of an incident's audit trail; the same line twice is one line."""
    # The content is in the key, so a redelivered fact writes the same row again instead of a second one.
    name = build_content_key(entry.what, entry.reason, entry.by, msgspec.json.encode(entry.data).decode())
    return write_row(
        f"incident#{incident_id}", f"event#{build_time_key(entry.at)}#{name}", entry, ANY_VERSION
    )


def build_time_key(moment: datetime) -> str:
    """A time as the part of a key that sorts."""
    return moment.strftime(SORTABLE)
