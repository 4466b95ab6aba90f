"""Stretches of the week that come again, such as ``Sun 02:00-04:00 Europe/Berlin``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(
    r"(?P<days>daily|[A-Z][a-z]{2}(?:-[A-Z][a-z]{2}|(?:,[A-Z][a-z]{2})*))"
    r" (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: (?P<zone>[\w/+\-]+))?"
)


class Recurrence(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of some days of the week, in the clock of a place.

    Attributes
    ----------
    days
        Days on which it begins, Monday is 0.
    start, end
        Local times; an end that is not after the start lies on the next day.
    zone
        IANA name of the place's time.
    """

    days: tuple[int, ...]
    start: time
    end: time
    zone: str = "UTC"

    @property
    def lasts_for_ever(self) -> bool:
        """Whether each stretch ends where the next one begins."""
        return len(self.days) == len(DAYS) and self.start == self.end

    def find_end(self, at: datetime) -> datetime | None:
        """When the stretch that ``at`` lies in ends, UTC; None where it lies in none.

        A stretch that contains a change of the clock begins and ends when the clock on the wall says so: of an hour that
        comes twice, it lasts from the first time to the second; a time that is skipped is the moment of the change. One
        that is skipped as a whole lasts as long as ever from that moment on: who wants it quiet works then.
        """
        zone = ZoneInfo(self.zone)
        today = at.astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            if day.weekday() not in self.days:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            start, end = datetime.combine(day, self.start, zone), datetime.combine(last, self.end, zone)
            begins, ends = _find_moment(start, fold=0), _find_moment(end, fold=1)
            if ends <= begins:
                ends = begins + (end.replace(tzinfo=None) - start.replace(tzinfo=None))
            if begins <= at < ends:
                return ends
        return None


def _find_moment(local: datetime, *, fold: int) -> datetime:
    """When the clock of the place shows this, UTC: the first time (fold 0) or the last; the change, where it is skipped."""
    moment = local.replace(fold=fold).astimezone(UTC)
    if moment.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # Skipped: read by the offset after the change it lies before the change, and the other way round.
    early, late = local.replace(fold=1).astimezone(UTC), local.replace(fold=0).astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        changed = middle.astimezone(local.tzinfo).utcoffset() != early.astimezone(local.tzinfo).utcoffset()
        early, late = (early, middle) if changed else (middle, late)
    return late


def parse_recurrence(text: str) -> Recurrence:
    """Read ``daily 22:00-06:00``, ``Mon-Fri 09:00-17:00 Europe/Berlin`` or ``Sat,Sun 00:00-00:00``.

    Raises
    ------
    ValueError
        It is none, or the place is unknown; says what would be right.

    Examples
    --------
    >>> parse_recurrence("Sat-Sun 02:00-04:00 Europe/Berlin").days
    (5, 6)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"must be like 'Sun 02:00-04:00 Europe/Berlin' or 'daily 22:00-06:00', not {text!r}")
    zone = match["zone"] or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{zone} is no place's time; write it like Europe/Berlin") from None
    try:
        start, end = time.fromisoformat(match["start"]), time.fromisoformat(match["end"])
    except ValueError:
        raise ValueError(f"times lie between 00:00 and 23:59, not {text!r}") from None
    return Recurrence(days=_read_days(match["days"]), start=start, end=end, zone=zone)


def format_recurrence(every: Recurrence) -> str:
    """The stretch as it is written; ``parse_recurrence`` reads it back.

    Examples
    --------
    >>> format_recurrence(parse_recurrence("Sat-Sun 02:00-04:00 Europe/Berlin"))
    'Sat,Sun 02:00-04:00 Europe/Berlin'
    >>> format_recurrence(parse_recurrence("daily 22:00-06:00"))
    'daily 22:00-06:00'
    """
    days = "daily" if len(every.days) == len(DAYS) else ",".join(DAYS[day] for day in every.days)
    zone = "" if every.zone == "UTC" else f" {every.zone}"
    return f"{days} {every.start:%H:%M}-{every.end:%H:%M}{zone}"


def _read_days(text: str) -> tuple[int, ...]:
    if text == "daily":
        return tuple(range(7))
    names = text.replace("-", ",").split(",")
    if unknown := [name for name in names if name not in DAYS]:
        raise ValueError(f"{unknown[0]} is no day; there are {', '.join(DAYS)}")
    numbers = [DAYS.index(name) for name in names]
    if "-" not in text:
        return tuple(sorted(set(numbers)))
    first, last = numbers
    return tuple(sorted((first + step) % 7 for step in range((last - first) % 7 + 1)))
