"""What can be decided on an incident: values with a reason, applied by ``flows`` and nowhere else."""

from __future__ import annotations

import msgspec

from sagewatch.incident.model import Entry, Incident, OpenRecord


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """Write all three together, or none: a conditional write on the versions that they carry.

    Attributes
    ----------
    incident
        The incident as it is to be stored.
    record
        The open record as it is to be stored.
    entries
        What to append to the audit trail.
    reason
        Why, as a reason code.
    """

    incident: Incident
    record: OpenRecord
    entries: tuple[Entry, ...]
    reason: str


class Open(_Change, frozen=True, kw_only=True):
    """A new incident begins."""


class Update(_Change, frozen=True, kw_only=True):
    """The incident goes on, and something about it changed."""


class Resolve(_Change, frozen=True, kw_only=True):
    """The incident ends."""


class OpenResolved(_Change, frozen=True, kw_only=True):
    """An incident begins and ends in one write: word of its end came first.

    Receivers still hear of both, in order.
    """


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence fell back before anybody heard that it had risen: remember it, tell nobody yet."""

    record: OpenRecord
    reason: str


class Ignore(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is to be written."""

    reason: str


Change = Open | Update | Resolve | OpenResolved
Decision = Change | Note | Ignore
