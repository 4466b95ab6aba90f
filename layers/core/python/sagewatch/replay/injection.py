"""An attack put into one's own traffic: from a time on, a share of predictions becomes one class.

The same file always changes in the same predictions, so two configurations see the same attack.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.errors import ConfigurationError

_NARROW = 256


class Injection(msgspec.Struct, frozen=True, kw_only=True):
    """What is put in.

    Attributes
    ----------
    class_
        The class that takes over.
    share
        Share of predictions that become it, in (0, 1].
    start, end
        From when on, and until when; None lasts to the end.
    endpoint
        Whose traffic; empty means everybody's.
    """

    class_: str
    share: float
    start: datetime
    end: datetime | None = None
    endpoint: str = ""

    def concerns(self, endpoint: str, at: datetime) -> bool:
        """Whether traffic of an endpoint is changed at a time."""
        within = self.start <= at and (self.end is None or at < self.end)
        return within and self.endpoint in {"", endpoint}

    def overlaps(self, endpoint: str, first: datetime, last: datetime) -> bool:
        """Whether traffic of an endpoint is changed anywhere from the first to the last of these times."""
        within = self.start <= last and (self.end is None or first < self.end)
        return within and self.endpoint in {"", endpoint}


def parse_injection(text: str) -> Injection:
    """Read ``class=14,share=0.3,from=2026-11-02T10:00Z`` (and ``to``, ``endpoint``).

    Raises
    ------
    ConfigurationError
        A part is missing, unknown or cannot be read; names it.

    Examples
    --------
    >>> parse_injection("class=14,share=0.3,from=2026-11-02T10:00Z").share
    0.3
    """
    given: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in {"class", "share", "from", "to", "endpoint"} or not value:
            raise _wrong(part, "is not class=, share=, from=, to= or endpoint=")
        if key in given:
            raise _wrong(key, f"is given twice, as {given[key]} and as {value}: one run tries one attack")
        given[key] = value
    for needed in ("class", "share", "from"):
        if needed not in given:
            raise _wrong(needed, "is missing")
    try:
        share = float(given["share"])
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise _wrong("share", "must be a share above 0 and at most 1")
    start = _read_time(given, "from")
    end = _read_time(given, "to") if "to" in given else None
    if end is not None and end <= start:
        raise _wrong("to", f"must be after from, and {given['to']} is not after {given['from']}")
    return Injection(
        class_=given["class"],
        share=share,
        start=start,
        end=end,
        endpoint=given.get("endpoint", ""),
    )


def inject(segment: Segment, injection: Injection) -> Segment:
    """The segment as it would have been under attack; times within a file are taken as evenly spread."""
    attacked = find_attacked(segment, injection)
    if not attacked:
        return segment
    rng = random.Random(f"{segment.key} {segment.part}")
    labels = segment.labels if injection.class_ in segment.labels else (*segment.labels, injection.class_)
    row = labels.index(injection.class_)
    changed = [
        row if rng.random() < injection.share and number in attacked else index
        for number, index in enumerate(segment.indexes())
    ]
    classes = bytes(changed) if len(labels) <= _NARROW else array("H", changed).tobytes()
    return msgspec.structs.replace(segment, labels=labels, classes=classes)


def find_attacked(segment: Segment, injection: Injection) -> range:
    """Which predictions of a segment lie in the attack, by number, whether or not its share falls on them."""
    endpoint = segment.stream.endpoint
    if not injection.overlaps(endpoint, segment.first_at, segment.last_at):
        return range(0)
    # Times only grow: what lies in the attack is one stretch.
    within = [number for number, at in enumerate(_spread(segment)) if injection.concerns(endpoint, at)]
    return range(within[0], within[-1] + 1) if within else range(0)


def _spread(segment: Segment) -> Iterator[datetime]:
    """The times of a segment's predictions: from its first to its last."""
    step = (segment.last_at - segment.first_at) / max(segment.predictions - 1, 1)
    return (segment.first_at + step * number for number in range(segment.predictions))


def _read_time(given: dict[str, str], key: str) -> datetime:
    try:
        at = datetime.fromisoformat(given[key])
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _wrong(key, f"must be a time such as 2026-11-02T10:00Z, not {given[key]}") from None


def _wrong(key: str, reason: str) -> ConfigurationError:
    return ConfigurationError(reason, where="--inject", key=key)
