"""Stretches of the week on days when the clock is changed: as the clock on the wall says, and never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sagewatch.incident.calendar import format_recurrence, parse_recurrence

FORWARD = datetime(2027, 3, 28, tzinfo=UTC)  # in Berlin 02:00 becomes 03:00 at 01:00 UTC
BACK = datetime(2026, 10, 25, tzinfo=UTC)  # in Berlin 03:00 becomes 02:00 at 01:00 UTC


def find_stretch(text, day):
    """When it is quiet on the day, in minutes UTC from midnight: the first and the last minute, all between included."""
    every = parse_recurrence(text)
    quiet = [
        minute for minute in range(-180, 600) if every.find_end(day + timedelta(minutes=minute)) is not None
    ]
    assert quiet == list(range(quiet[0], quiet[-1] + 1)), "in one piece"
    (end,) = {every.find_end(day + timedelta(minutes=minute)) for minute in quiet}
    assert end == day + timedelta(minutes=quiet[-1] + 1)
    return quiet[0], quiet[-1] + 1


@pytest.mark.parametrize(
    ("times", "day", "start", "end"),
    [
        ("01:00-04:00", FORWARD, 0, 120),
        ("01:00-02:30", FORWARD, 0, 60),  # its end is skipped: the change
        ("02:30-03:30", FORWARD, 60, 90),  # its start is skipped: the change
        ("02:15-02:45", FORWARD, 60, 90),  # all of it is skipped: as long as ever, from the change on
        ("02:00-03:00", FORWARD, 60, 120),
        ("03:00-04:00", FORWARD, 60, 120),
        ("01:00-04:00", BACK, -60, 180),
        ("01:00-02:30", BACK, -60, 90),  # to the second 02:30
        ("02:30-03:30", BACK, 30, 150),  # from the first 02:30
        ("02:15-02:45", BACK, 15, 105),  # from the first to the second
        ("03:00-04:00", BACK, 120, 180),
    ],
)
def test_a_stretch_on_a_day_when_the_clock_is_changed(times, day, start, end):
    assert find_stretch(f"Sun {times} Europe/Berlin", day) == (start, end)


@pytest.mark.parametrize(
    "text", ["daily 22:00-06:00", "Mon,Tue 09:00-17:00 Europe/Berlin", "Sun 00:00-00:00"]
)
def test_what_is_written_is_read_back(text):
    assert format_recurrence(parse_recurrence(text)) == text


def test_half_an_hour_of_change_is_one_too():
    # Lord Howe moves its clock by half an hour: at 15:30 UTC 02:00 becomes 02:30.
    day = datetime(2026, 10, 3, 15, tzinfo=UTC)
    assert find_stretch("Sun 02:10-02:40 Australia/Lord_Howe", day) == (30, 40)
