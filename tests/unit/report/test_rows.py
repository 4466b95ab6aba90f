"""How few rows are too few: a week is remembered, however often a schedule runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from sagewatch.report.rows import judge_rows

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
EVERY = [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)]


def rows_at(at, every):
    """Many by day, few by night, fewer at the weekend."""
    hourly = (12_000 if 6 <= at.hour < 22 else 800) / (4 if at.weekday() >= 5 else 1)
    return 40_000.0 if every > timedelta(hours=1) else hourly * (every / timedelta(hours=1))


def judge(history, every, start, days, factor=1.0):
    """When there were far too few rows, and the histories in the end."""
    found = []
    for number in range(int(timedelta(days=days) / every)):
        at = start + (number + 1) * every
        judged = judge_rows(max(1, round(rows_at(at - every, every) * factor)), at, history, every)
        history = judged.histories
        found += [at] * (judged.violation is not None)
    return found, history


@pytest.mark.parametrize("every", EVERY, ids=["5m", "1h", "1d"])
def test_nights_and_weekends_are_no_collapse_and_a_collapse_is_one(every):
    found, history = judge((), every, MONDAY, 21)
    assert found == []
    assert len(msgspec.json.encode(history)) < 550
    fallen = MONDAY + timedelta(days=21)
    found, _ = judge(history, every, fallen, 7, factor=0.0001)
    assert found[0] == fallen + every
    assert len(found) == timedelta(days=7) / every


@pytest.mark.parametrize("every", EVERY, ids=["5m", "1h", "1d"])
@pytest.mark.parametrize("factor", [0.0001, 0.005])
def test_what_lasts_for_a_week_is_the_new_usual_also_where_it_is_only_the_nights(every, factor):
    _, history = judge((), every, MONDAY, 28)
    found, history = judge(history, every, MONDAY + timedelta(days=28), 28, factor)
    assert found[-1] <= MONDAY + timedelta(days=36)
    assert judge(history, every, MONDAY + timedelta(days=56), 7, factor)[0] == []


def test_a_collapse_is_told_however_many_short_ones_there_were():
    _, history = judge((), EVERY[1], MONDAY, 14)
    for day in range(14, 35, 2):
        found, history = judge(history, EVERY[1], MONDAY + timedelta(days=day), 1 / 24, factor=0.0001)
        assert len(found) == 1
        later = MONDAY + timedelta(days=day, hours=1)
        assert judge_rows(9000, later + timedelta(hours=30), history, EVERY[1]).violation is None
        history = judge_rows(9000, later + timedelta(hours=30), history, EVERY[1]).histories


def test_windows_of_another_length_are_learned_anew():
    """At 5 minutes a run sees a twelfth of an hour's rows."""
    _, history = judge((), EVERY[1], MONDAY, 14)
    found, history = judge(history, EVERY[0], MONDAY + timedelta(days=14), 7)
    assert found == []
    assert judge(history, EVERY[0], MONDAY + timedelta(days=21), 1, factor=0.001)[0]


def test_runs_that_end_out_of_order_are_remembered_with_their_days():
    _, history = judge((), EVERY[1], MONDAY, 7)
    (late,) = judge_rows(900, MONDAY + timedelta(days=5, hours=12), history, EVERY[1]).histories
    assert [each.day for each in late.days] == sorted({each.day for each in history[0].days})
    assert late.usual_last == history[0].usual_last


def test_one_window_of_another_length_is_no_collapse_and_keeps_what_is_usual():
    _, history = judge((), EVERY[1], MONDAY, 14)
    at = MONDAY + timedelta(days=14)
    for length, rows in ((timedelta(minutes=5), 1), (timedelta(hours=12), 1), (None, 1)):
        judged = judge_rows(rows, at, history, length)
        history = judged.histories
        assert (judged.violation, judged.is_few) == (None, None)
    assert judge_rows(1, at + EVERY[1], history, EVERY[1]).violation is not None


def test_a_window_of_about_the_same_length_is_compared_by_the_hour():
    _, history = judge((), EVERY[1], MONDAY, 14)
    at = MONDAY + timedelta(days=14)
    assert judge_rows(38, at, history, 2 * EVERY[1]).violation.numbers == (38.0, 40.0)  # 10 % of 200 an hour
    assert judge_rows(42, at, history, 2 * EVERY[1]).violation is None
    assert judge_rows(11, at, history, EVERY[1] / 2).violation is None


def test_windows_of_five_hours_and_one_of_four_at_the_end_of_a_day_are_learned():
    lengths = [timedelta(hours=hours) for hours in (5, 5, 5, 5, 4)]

    def judge_days(history, start, days, an_hour):
        found, at = [], start
        for length in lengths * days:
            at += length
            judged = judge_rows(round(an_hour * (length / EVERY[1])), at, history, length)
            history = judged.histories
            found.append(judged.violation is not None)
        return found, history

    found, history = judge_days((), MONDAY, 7, 1000)
    assert not any(found)
    assert all(judge_days(history, MONDAY + timedelta(days=7), 1, 50)[0])


@pytest.mark.parametrize(("days", "nights"), [(7, 7), (9, 8), (28, 28)])
def test_one_small_window_a_night_is_never_the_usual(days, nights):
    _, history = judge((), EVERY[1], MONDAY, 14)
    start = MONDAY + timedelta(days=14)
    told = 0
    for hour in range(24 * days):
        at = start + hour * EVERY[1]
        is_small = at.hour == 3 and hour < 24 * nights
        judged = judge_rows(3 if is_small else 5000, at, history, EVERY[1])
        history = judged.histories
        told += judged.violation is not None
    assert told == nights
    assert len(judge(history, EVERY[1], start + timedelta(days=days), 6, factor=0.0001)[0]) == 144


def test_a_collapse_that_goes_on_after_small_windows_becomes_the_usual_in_two_weeks():
    _, history = judge((), EVERY[1], MONDAY, 14)
    for night in range(14, 42):
        at = MONDAY + timedelta(days=night)
        history = judge_rows(3, at, history, EVERY[1]).histories
        for hour in range(1, 24):
            history = judge_rows(5000, at + hour * EVERY[1], history, EVERY[1]).histories
    fallen = MONDAY + timedelta(days=42)
    found, _ = judge(history, EVERY[1], fallen, 21, factor=0.0001)
    assert timedelta(days=3) < found[-1] - fallen < timedelta(days=14)


def test_a_collapse_is_told_after_a_dip_and_a_week_without_runs():
    _, history = judge((), EVERY[1], MONDAY, 14)
    history = judge_rows(1, MONDAY + timedelta(days=14), history, EVERY[1]).histories
    found, _ = judge(history, EVERY[1], MONDAY + timedelta(days=22), 2, factor=0.0001)
    assert len(found) == 48


def judge_shifts(history, start, days, few_by_day=False, few_by_night=False):
    """Sixteen runs on an hour each by day, one on eight hours by night; what each said, and the histories in the end."""
    day = [(EVERY[1], few_by_day)] * 16 + [(8 * EVERY[1], few_by_night)]
    said, at = [[] for _ in day], start
    for _ in range(days):
        for number, (length, few) in enumerate(day):
            at += length
            judged = judge_rows(3 if few else 9000, at, history, length)
            history = judged.histories
            said[number].append(judged.is_few)
    return said, history


def test_hours_by_day_and_eight_hours_by_night_are_both_learned():
    said, history = judge_shifts((), MONDAY, 7)
    assert [each.length for each in history] == [8 * EVERY[1], EVERY[1]]
    assert not any(few for each in said for few in each)
    by_day, _ = judge_shifts(history, MONDAY + timedelta(days=7), 3, few_by_day=True)
    assert all(few is True for each in by_day[:16] for few in each)
    by_night, _ = judge_shifts(history, MONDAY + timedelta(days=7), 3, few_by_night=True)
    assert by_night[16] == [True] * 3


def test_windows_of_one_length_do_not_end_a_collapse_in_those_of_another():
    _, history = judge_shifts((), MONDAY, 7)
    said, history = judge_shifts(history, MONDAY + timedelta(days=7), 2, few_by_day=True)
    assert said[16] == [None, None]
    said, history = judge_shifts(history, MONDAY + timedelta(days=9), 2, few_by_night=True)
    assert said[0] == [False, None]
    assert judge_shifts(history, MONDAY + timedelta(days=11), 1)[0][16] == [False]


def test_after_a_switch_of_length_a_collapse_is_over_a_week_after_the_last_run_that_saw_it():
    _, history = judge((), EVERY[1], MONDAY, 14)
    at = MONDAY + timedelta(days=14)
    history = judge_rows(3, at, history, EVERY[1]).histories
    for hour in range(0, 24 * 8, 6):
        judged = judge_rows(40, at + hour * EVERY[1], history, 6 * EVERY[1])
        history = judged.histories
        assert (judged.violation, judged.is_few) == (None, None)
    judged = judge_rows(40, at + timedelta(days=8), history, 6 * EVERY[1])
    assert (judged.is_few, len(judged.histories)) == (False, 1)


def test_what_is_the_new_usual_is_no_collapse_while_it_is_learned():
    _, history = judge((), EVERY[1], MONDAY, 14)
    found, history = judge(history, EVERY[1], MONDAY + timedelta(days=14), 7, factor=0.0001)
    at = found[-1] + EVERY[1]
    for hour in range(3):
        judged = judge_rows(1, at + hour * EVERY[1], history, EVERY[1])
        history = judged.histories
        assert judged.is_few is False


def test_no_more_lengths_are_remembered_than_a_day_has():
    history = ()
    for number in range(40):
        history = judge_rows(100, MONDAY, history, timedelta(minutes=5) * 3 ** min(number, 15)).histories
    assert len(history) == 9
