"""Times on the command line: ``2026-11-21T20:34Z``, or so long ago: ``2h``."""

from __future__ import annotations

from datetime import UTC, datetime

from sagewatch.errors import ConfigurationError
from sagewatch.section import read_duration


def read_time(text: str, now: datetime, option: str) -> datetime:
    """A time in UTC, from ISO 8601 or from a duration that lies back from now.

    Raises
    ------
    ConfigurationError
        It is neither; names the option.
    """
    try:
        return now - read_duration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        reason = f"must be a time such as 2026-11-21T20:34Z, or so long ago such as 2h, not {text}"
        raise ConfigurationError(reason, where="command line", key=option) from None


def read_coming(text: str, now: datetime, option: str) -> datetime:
    """A time in UTC, from ISO 8601 or from a duration that lies ahead of now. Raises as ``read_time`` does."""
    try:
        return now + read_duration(text)
    except ValueError:
        pass
    try:
        return read_time(text, now, option)
    except ConfigurationError:
        reason = f"must be a time such as 2026-11-22T02:00Z, or in how long such as 2h, not {text}"
        raise ConfigurationError(reason, where="command line", key=option) from None


def read_window(start: str, end: str, now: datetime) -> tuple[datetime, datetime]:
    """The window of ``--from`` and ``--to``.

    Raises
    ------
    ConfigurationError
        One of them is no time, or the window ends before it begins.
    """
    since, until = read_time(start, now, "--from"), read_time(end, now, "--to")
    if since >= until:
        reason = f"must be before --to: {since:%Y-%m-%dT%H:%M:%SZ} is not before {until:%Y-%m-%dT%H:%M:%SZ}"
        raise ConfigurationError(reason, where="command line", key="--from")
    return since, until
