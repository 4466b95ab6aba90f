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
    except ValueError:
        reason = f"must be a time such as 2026-11-21T20:34Z, or so long ago such as 2h, not {text}"
        raise ConfigurationError(reason, where="command line", key=option) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
