"""Points in time, as captures, jobs and recordings write them."""

from __future__ import annotations

from datetime import UTC, datetime


def read_moment(text: str) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None where it is none, or no calendar has it in UTC.

    Examples
    --------
    >>> read_moment("2026-11-21T10:00:00+01:00").isoformat()
    '2026-11-21T09:00:00+00:00'
    >>> read_moment("9999-12-31T23:59:59-14:00"), read_moment("soon")
    (None, None)
    """
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
