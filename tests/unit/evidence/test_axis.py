"""The axis of time: hours in which nothing happened are narrow, and what happened has the width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sagewatch.evidence.axis import build_axis, draw_axis

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def build(*minutes):
    return build_axis([AT + MINUTE * one for one in minutes], narrows_pauses=True)


def test_a_story_without_a_pause_is_laid_out_by_its_length():
    axis = build(0, 10, 20, 30, 40)
    assert axis.pauses == []
    assert axis.place(AT + 20 * MINUTE) == pytest.approx(50)


def test_days_without_an_event_do_not_press_the_minutes_before_and_after_together():
    axis = build(0, 5, 10, 5 * 24 * 60, 5 * 24 * 60 + 1)
    ((begun, over),) = [(one.left, one.right) for one in axis.pauses]
    assert over - begun == pytest.approx(10)
    places = [axis.place(AT + MINUTE * one) for one in (0, 5, 10)]
    assert places[2] - places[0] > 50
    assert places == sorted(places)
    assert begun > places[2]
    assert over < axis.place(AT + 5 * DAY) < axis.place(AT + 5 * DAY + MINUTE) <= 100
    words = "".join(draw_axis(axis, 100))
    assert "4 d 23 h" in words
    assert "no event for" in words


def test_repeats_every_four_hours_leave_the_first_minutes_readable():
    axis = build(0, 3, 12, 20, 240, 480, 720, 960)
    assert len(axis.pauses) == 4
    places = [axis.place(AT + MINUTE * one) for one in (0, 3, 12, 20, 240, 480, 720, 960)]
    assert places[3] - places[0] > 20
    assert places == sorted(set(places))
    assert all(later - earlier > 0.3 for earlier, later in pairwise(places))


def test_an_hour_that_is_not_long_beside_the_rest_is_drawn_as_long_as_it_is():
    assert build(0, 20, 40, 100, 160, 240).pauses == []


def test_every_time_has_one_place_and_later_ones_lie_to_the_right():
    axis = build(0, 1, 2000, 2003, 9000)
    places = [axis.place(AT + 10 * MINUTE * one) for one in range(-5, 950)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 100


def test_times_at_the_edges_of_the_calendar_have_places():
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    axis = build_axis([first, AT, last], narrows_pauses=True)
    assert 0 <= axis.place(first) < axis.place(AT) < axis.place(last) <= 100
    assert "".join(draw_axis(axis, 10))


def test_of_a_week_of_repeats_all_fit_on_the_axis():
    axis = build(0, 10, *(240 * one for one in range(1, 43)))
    assert len(axis.pauses) == 42
    assert axis.stretches[-1].right == pytest.approx(100)
    assert axis.place(AT + 10 * MINUTE) - axis.place(AT) > 5
