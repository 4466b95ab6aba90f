"""Runs of one schedule, in any order of arrival: what was found is told, and what is newer is not undone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import msgspec
import pytest
from msgspec import UNSET

from sagewatch.datapoints import Datapoints
from sagewatch.monitoring.execution import build_lost_run
from sagewatch.monitoring.window import Span
from sagewatch.place import Place
from sagewatch.quality.violations import Evidence, Violation
from sagewatch.report.failure import Failure
from sagewatch.report.judge import judge_run
from sagewatch.report.run import Run
from sagewatch.report.schedule import ScheduleState

NEW = ScheduleState(schedule="hourly")
AT_ONCE = Datapoints()
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLACE = Place("111122223333", "eu-west-1")
GOOD = []
BAD = [Violation(feature_name="age", constraint_check_type="baseline_drift_check", description="")]
FAILED = Failure("no_data", "")
LOST = Failure("no_data", "no job")
TWO_OF_THREE = Datapoints(bad=2, of=3)


def run_of(hour, *, slow=timedelta()):
    """The run for the hour that ends so many hours after noon."""
    end = NOON + hour * HOUR
    return Run(
        job=f"job-{hour}", kind="data-quality", schedule="hourly", endpoint="signs", variant="AllTraffic",
        status="Completed", message="", report_uri=f"s3://captures/reports/{hour}", start=end - HOUR, end=end,
        ended_at=end + timedelta(minutes=15) + slow,
    )  # fmt: skip


def lost_run_of(hour, *, slow=timedelta()):
    """The same, of which no job was started."""
    end = NOON + hour * HOUR
    return build_lost_run("hourly", "signs", end + timedelta(minutes=12) + slow, "", Span(end - HOUR, end))


def judge(events, patience=AT_ONCE, state=NEW):
    """All of them, one after the other; the state in the end, what was told, and how many runs were counted."""
    told, counted = [], 0
    for run, outcome in events:
        judged = judge_run(run, outcome, state, PLACE, patience, every=HOUR)
        state, counted = judged.state, counted + judged.is_new
        told += judged.findings
    return state, told, counted


@pytest.mark.parametrize("patience", [AT_ONCE, TWO_OF_THREE], ids=["at once", "2 of 3"])
@pytest.mark.parametrize("outcomes", list(product((GOOD, BAD, FAILED, LOST), repeat=3)))
def test_whatever_order_runs_end_in_the_same_is_open_in_the_end_and_each_is_counted_once(outcomes, patience):
    events = [
        ((lost_run_of if outcome is LOST else run_of)(hour), outcome) for hour, outcome in enumerate(outcomes)
    ]
    expected = judge(events, patience)[0].open.keys()
    for order in permutations(events):
        state, _, counted = judge([*order, *order[:-1]], patience)
        assert state.open.keys() - {"job-failed"} == expected - {"job-failed"}
        assert ("job-failed" in state.open) == (outcomes[2] in (FAILED, LOST))
        assert counted == 3


def test_a_slow_runs_violations_are_told_where_the_later_run_did_not_look():
    state, told, _ = judge([(run_of(1), FAILED), (run_of(0, slow=HOUR), BAD)])
    assert [finding.kind for finding in told] == ["job-failed", "data-quality"]
    assert told[1].source == "s3://captures/reports/0"
    assert (told[1].window.start, told[1].window.end) == (NOON - HOUR, NOON)
    assert state.last_end == NOON + HOUR


def test_a_slow_runs_violations_are_not_told_where_a_later_look_was_clean():
    state, told, counted = judge([(run_of(1), GOOD), (run_of(0, slow=HOUR), BAD)])
    assert (told, state.open, counted) == ([], {}, 2)


def test_a_slow_run_that_was_clean_ends_nothing_of_later_windows():
    state, told, _ = judge([(run_of(1), BAD), (run_of(0, slow=HOUR), GOOD)])
    assert [finding.cleared_at for finding in told] == [None]
    assert state.open.keys() == {"data-quality"}
    state, told, _ = judge([(run_of(1), FAILED), (run_of(0, slow=HOUR), GOOD)])
    assert state.open.keys() == {"job-failed"}


def test_an_episode_is_told_once_more_where_a_slow_run_shows_that_it_began_earlier():
    state, told, _ = judge([(run_of(1), BAD), (run_of(0, slow=HOUR), BAD)])
    assert [finding.window.start for finding in told] == [NOON, NOON - HOUR]
    assert len({finding.finding_id for finding in told}) == 1
    assert told[1].source == "s3://captures/reports/1"  # the newest report is the one to read
    state, told, _ = judge([(run_of(2), GOOD)], state=state)
    assert (state.open, told[0].cleared_at is not None) == ({}, True)


def test_what_is_over_is_not_opened_again_by_a_run_of_its_own_time():
    events = [(run_of(0), BAD), (run_of(2), GOOD), (run_of(1, slow=2 * HOUR), BAD), (run_of(3), FAILED)]
    state, told, _ = judge([*events, events[2], events[0]])
    assert [finding.cleared_at is None for finding in told] == [True, False, True]
    assert state.open.keys() == {"job-failed"}


def test_looks_before_the_end_of_an_episode_do_not_count_for_the_next():
    bad = [(run_of(hour), BAD) for hour in (0, 1)]
    state, _, _ = judge([*bad, (run_of(3), GOOD), (run_of(4), BAD), (run_of(2), BAD)], TWO_OF_THREE)
    assert state.open == {}
    assert judge([(run_of(5), BAD)], TWO_OF_THREE, state)[0].open.keys() == {"data-quality"}


def test_a_slow_clean_run_ends_what_was_found_before_it_where_no_later_run_looked():
    events = [(run_of(0), BAD), (run_of(2), FAILED), (run_of(1, slow=HOUR), GOOD)]
    state, told, _ = judge([*events, events[0]])
    assert [(finding.kind, finding.cleared_at is None) for finding in told] == [
        ("data-quality", True), ("job-failed", True), ("data-quality", False)
    ]  # fmt: skip
    assert state.open.keys() == {"job-failed"}


def test_a_look_at_the_past_opens_nothing():
    """Yesterday's hour, started by hand while the latest runs fail."""
    state, told, _ = judge([(run_of(24), FAILED), (run_of(0, slow=25 * HOUR), BAD)])
    assert [finding.kind for finding in told] == ["job-failed"]
    assert state.open.keys() == {"job-failed"}


def test_a_window_without_a_job_is_not_over_because_an_older_windows_job_ends():
    state, told, _ = judge([(lost_run_of(1), LOST), (run_of(0, slow=2 * HOUR), GOOD)])
    assert [finding.cleared_at for finding in told] == [None]
    assert state.open.keys() == {"job-failed"}
    assert judge([(run_of(2), GOOD)], state=state)[0].open == {}


def test_a_window_without_a_job_that_is_told_again_hours_later_opens_nothing():
    """A message may come again whenever somebody empties the dead-letter queue."""
    events = [(lost_run_of(0), LOST), (run_of(1), GOOD), (lost_run_of(0, slow=3 * HOUR), LOST)]
    state, told, counted = judge(events)
    assert [finding.cleared_at is None for finding in told] == [True, False]
    assert (state.open, counted) == ({}, 2)


def test_a_run_without_a_window_is_judged_once_however_often_it_is_told():
    def clarify(name, hour):
        return msgspec.structs.replace(run_of(hour), job=name, kind="bias", start=None, end=None)

    first, second = clarify("a", 0), clarify("b", 1)
    state = judge([(first, FAILED), (second, GOOD)])[0]
    again = msgspec.structs.replace(first, ended_at=first.ended_at + 5 * HOUR)
    assert judge([(again, FAILED)], state=state)[0].open == {}


def test_a_run_that_failed_after_that_of_a_later_window_changes_nothing_and_says_so():
    state = judge([(run_of(1), GOOD)])[0]
    late = judge_run(run_of(0, slow=2 * HOUR), FAILED, state, PLACE, every=HOUR)
    assert (late.reason, late.findings, late.is_new) == ("failed_late", (), True)


@pytest.mark.parametrize("outcome", [GOOD, BAD], ids=["clean", "violations"])
def test_a_cloned_job_of_another_length_ends_no_collapse_of_rows(outcome):
    """SageMaker's own schedules: which lengths are theirs is not known."""
    state = NEW
    for hour in range(30):
        state = judge_run(run_of(hour), GOOD, state, PLACE, rows=1000).state
    state = judge_run(run_of(30), GOOD, state, PLACE, rows=3).state
    clone = msgspec.structs.replace(run_of(31), start=NOON, job="clone")
    state = judge_run(clone, outcome, state, PLACE, rows=40).state
    again = msgspec.structs.replace(run_of(32), start=NOON, job="clone-again")
    judged = judge_run(again, GOOD, state, PLACE, rows=40)
    assert judged.findings == ()
    assert judged.state.open["data-quality"].counts["Rows"] == 1
    judged = judge_run(run_of(33), GOOD, judged.state, PLACE, rows=1000)
    assert [finding.kind for finding in judged.findings if finding.cleared_at] == ["data-quality"]


def test_a_slow_run_of_another_length_ends_no_collapse_of_rows():
    state = NEW
    for hour in range(30):
        state = judge_run(run_of(hour), GOOD, state, PLACE, rows=1000).state
    state = judge_run(run_of(30), GOOD, state, PLACE, rows=3).state
    state = judge_run(run_of(32), FAILED, state, PLACE).state
    clone = msgspec.structs.replace(run_of(31, slow=2 * HOUR), start=NOON, job="clone")
    assert judge_run(clone, GOOD, state, PLACE, rows=40).findings == ()


def due_of(hour, outcome, *, slow=timedelta()):
    """A run of SageMaker's own schedule, whose window is told nowhere: Clarify's jobs have theirs in a file."""
    due = NOON + hour * HOUR
    ended_at = due + (timedelta(seconds=4) if outcome is LOST else timedelta(minutes=15) + slow)
    return msgspec.structs.replace(
        run_of(hour), kind="bias", start=None, end=None, due=due, ended_at=ended_at
    )


@pytest.mark.parametrize("slow", [timedelta(), 3 * HOUR], ids=["quick", "slow"])
@pytest.mark.parametrize("outcomes", list(product((GOOD, BAD, FAILED, LOST), repeat=3)))
def test_runs_without_windows_are_ordered_by_when_they_were_due(outcomes, slow):
    events = [
        (due_of(hour, outcome, slow=slow if hour < 2 else timedelta()), outcome)
        for hour, outcome in enumerate(outcomes)
    ]
    expected = judge(events)[0].open.keys()
    for order in permutations(events):
        state, _, counted = judge([*order, *order[:-1]])
        assert ("job-failed" in state.open) == (outcomes[2] in (FAILED, LOST))
        if outcomes[2] in (GOOD, BAD):
            assert state.open.keys() == expected
        assert counted == 3


def test_a_slow_job_whose_window_is_known_does_not_end_a_later_loss_whose_window_is_not():
    """After a run by hand, the window of what was lost cannot be told from another's."""
    first = msgspec.structs.replace(run_of(0), due=NOON)
    lost = due_of(2, LOST)
    slow = msgspec.structs.replace(run_of(1, slow=2 * HOUR), due=NOON + HOUR)
    state = judge([(first, GOOD), (lost, LOST), (slow, GOOD)])[0]
    assert "job-failed" in state.open
    next_ = msgspec.structs.replace(run_of(3), due=NOON + 3 * HOUR)
    assert "job-failed" not in judge([(next_, GOOD)], state=state)[0].open


def length_of(hour, length):
    """The run on the window of so many hours that ends so many hours after noon."""
    return msgspec.structs.replace(
        run_of(hour), job=f"job-{hour}-{length}", start=NOON + (hour - length) * HOUR
    )


def judge_shift(state, hour, by_day, by_night):
    """Sixteen runs on an hour, one on the eight hours of the night; what was told."""
    told = []
    runs = [(run_of(hour + n), by_day) for n in range(1, 17)] + [(length_of(hour + 24, 8), by_night)]
    for run, rows in runs:
        judged = judge_run(run, GOOD, state, PLACE, rows=rows)
        state = judged.state
        told += [finding.cleared_at is not None for finding in judged.findings]
    return state, told


def test_a_collapse_by_day_is_not_over_by_night_nor_the_other_way_round():
    state = NEW
    for day in range(3):
        state, told = judge_shift(state, 24 * day, 1000, 9000)
        assert told == []
    state, told = judge_shift(state, 72, 3, 9000)
    assert told == [False] * 16
    state, told = judge_shift(state, 96, 1000, 5)
    assert told == [True, False]
    state, told = judge_shift(state, 120, 1000, 9000)
    assert told == [True]


def test_a_switch_of_window_length_is_no_all_clear():
    """From an hour to six: of those nothing is known for a day, and what is learned then is the collapse."""
    state = NEW
    for hour in range(30):
        state = judge_run(run_of(hour), GOOD, state, PLACE, rows=1000).state
    state = judge_run(run_of(30), GOOD, state, PLACE, rows=3).state
    told = []
    for hour in range(36, 36 + 24 * 9, 6):
        judged = judge_run(length_of(hour, 6), GOOD, state, PLACE, rows=18)
        state = judged.state
        told += [hour] * len(judged.findings)
    (over,) = told
    assert timedelta(days=7) < (over - 30) * HOUR <= timedelta(days=8)


@pytest.mark.parametrize("patience", [AT_ONCE, Datapoints(good=2)], ids=["at once", "2 good ones"])
def test_an_older_versions_state_that_knows_no_rows_ends_no_collapse_before_a_day_of_them(patience):
    state = NEW
    for hour in range(30):
        state = judge_run(run_of(hour), GOOD, state, PLACE, patience, rows=1000).state
    state = judge_run(run_of(30), GOOD, state, PLACE, patience, rows=3).state
    stored = msgspec.to_builtins(state)
    for name in ("rows", "other_rows", "looks", "found"):
        del stored[name]
    state = msgspec.convert(stored, ScheduleState)
    for hour in range(31, 55):
        state = judge_run(run_of(hour), GOOD, state, PLACE, patience, rows=3).state
        assert "data-quality" in state.open
    for hour in (55, 56):
        state = judge_run(run_of(hour), GOOD, state, PLACE, patience, rows=3).state
    assert state.open == {}


def test_a_report_that_could_not_be_read_and_comes_again_is_looked_at():
    state, told, counted = judge([(run_of(0), FAILED), (run_of(0), BAD)])
    assert [finding.kind for finding in told] == ["job-failed", "data-quality", "job-failed"]
    assert (state.open.keys(), counted) == ({"data-quality"}, 1)


def test_a_job_of_five_minutes_that_takes_an_hour_is_no_look_at_the_past():
    def short(number, slow=0):
        end = NOON + number * timedelta(minutes=5)
        return msgspec.structs.replace(
            run_of(0), job=f"short-{number}", start=end - timedelta(minutes=5), end=end,
            ended_at=end + timedelta(minutes=10 + slow),
        )  # fmt: skip

    state = judge_run(short(12), FAILED, NEW, PLACE).state
    judged = judge_run(short(0, slow=55), BAD, state, PLACE)
    assert [finding.kind for finding in judged.findings] == ["data-quality"]
    for number in range(13, 589):
        state = judge_run(short(number), GOOD, state, PLACE).state
    assert not judge_run(short(13), BAD, state, PLACE).is_new  # two days later
    assert len(msgspec.json.encode(state)) < 40_000


def hand_of(name, begin, end):
    """A look by hand at the traffic between two minutes after noon."""
    return msgspec.structs.replace(
        run_of(0), job=name, report_uri=f"s3://captures/reports/{name}", start=NOON + timedelta(minutes=begin),
        end=NOON + timedelta(minutes=end), ended_at=NOON + timedelta(minutes=end + 5),
    )  # fmt: skip


@pytest.mark.parametrize("state", [NEW, judge([(run_of(0), GOOD)])[0]], ids=["first", "after an own run"])
def test_of_two_looks_by_hand_the_later_one_counts_however_wide_it_is(state):
    narrow, wide = hand_of("narrow", 20, 50), hand_of("wide", -185, 55)
    _, told, _ = judge([(narrow, GOOD), (wide, BAD)], state=state)
    assert [finding.cleared_at for finding in told] == [None]
    after, told, _ = judge([(narrow, BAD), (wide, GOOD)], state=state)
    assert ([finding.cleared_at is None for finding in told], after.open) == ([True, False], {})


def test_each_look_by_hand_may_be_wider_than_the_last():
    looks = [(hand_of(f"wide-{n}", -60 * n, n), GOOD) for n in range(1, 7)]
    _, told, _ = judge([*looks, (hand_of("wide-9", -540, 9), BAD)])
    assert [finding.cleared_at for finding in told] == [None]


@pytest.mark.parametrize("state", [NEW, judge([(run_of(0), GOOD)])[0]], ids=["first", "after an own run"])
def test_a_short_clean_look_by_hand_hides_nothing_that_a_slow_run_of_the_schedules_own_finds(state):
    events = [(hand_of("quick", 65, 80), GOOD), (run_of(1, slow=HOUR / 2), BAD)]
    after, told, _ = judge(events, state=state)
    assert ([finding.cleared_at for finding in told], after.open.keys()) == ([None], {"data-quality"})


def test_what_a_look_by_hand_found_stands_until_the_schedules_own_run_has_looked_there():
    events = [(run_of(0), GOOD), (hand_of("quick", 65, 80), BAD), (run_of(1, slow=HOUR / 2), GOOD)]
    state, told, _ = judge(events)
    assert ([finding.cleared_at for finding in told], state.open.keys()) == ([None], {"data-quality"})
    assert judge([(run_of(2), GOOD)], state=state)[0].open == {}


def test_no_finding_is_over_before_it_was_raised():
    """The third of three bad runs raises it; a slow one between them, which ended before, was clean."""
    slow = msgspec.structs.replace(run_of(2), ended_at=run_of(3).ended_at - timedelta(minutes=25))
    events = [(run_of(0), BAD), (run_of(1), BAD), (run_of(3), BAD), (slow, GOOD)]
    _, (raised, cleared), _ = judge(events, Datapoints(bad=3, of=3))
    assert cleared.cleared_at == raised.raised_at


def test_a_look_by_hand_at_a_day_makes_no_known_job_unknown():
    state = NEW
    for number in range(300):
        end = NOON + number * timedelta(minutes=5)
        run = msgspec.structs.replace(
            run_of(0), job=f"short-{number}", start=end - timedelta(minutes=5), end=end, ended_at=end
        )
        state = judge_run(run, GOOD, state, PLACE, every=timedelta(minutes=5)).state
    state = judge_run(hand_of("day", 0, 1500), GOOD, state, PLACE, every=timedelta(minutes=5)).state
    assert len(state.judged) == 301


def violate(name, *, check="baseline_drift_check", said="", evidence=UNSET):
    return Violation(feature_name=name, constraint_check_type=check, description=said, evidence=evidence)


def test_a_finding_says_of_the_first_violations_how_far_they_went():
    said = [
        "Baseline drift distance: 0.5 exceeds threshold: 0.1",
        "Metric r2 with -53.7 +/- 4.8 was LessThanThreshold '-7.75'",
        "Value 0.0751 does not meet the constraint requirement",
        "Feature attribution drift 0.76 exceeds threshold 0.9",
        "something new",
        "Baseline drift distance: 0.2 exceeds threshold: 0.1",
    ]
    found = [violate(f"f{number}", said=each) for number, each in enumerate(said)]
    _, (told,), _ = judge([(run_of(0), found)])
    numbers = [(one.observed, one.limit) for one in told.breaches]
    assert numbers == [(0.5, 0.1), (-53.7, -7.75), (0.0751, None), (0.76, 0.9), (None, None)]
    assert told.job == "job-0"


def test_what_a_sentence_does_not_say_the_evidence_does_and_no_value_of_the_traffic():
    share = Evidence(statistic=0.91, threshold=1.0)
    least = Evidence(statistic=-4711.0, threshold=0.0, effect_size=0.25)
    found = [
        violate("a", said="Value: 0.91 does not meet the constraint requirement! ", evidence=share),
        violate(
            "b", check="negative_values_check", said="Observed: 25% of data is negative.", evidence=least
        ),
        violate("c", evidence=Evidence(statistic=float("inf"), threshold=float("nan"))),
    ]
    _, (told,), _ = judge([(run_of(0), found)])
    assert [(one.observed, one.limit) for one in told.breaches] == [(0.91, 1.0), (0.25, 0.0), (None, None)]
    assert "4711" not in msgspec.json.encode(told).decode()


def test_names_of_any_length_leave_a_finding_small():
    found = [violate("x" * 300_000, check="y" * 300_000) for _ in range(40)]
    _, (told,), _ = judge([(run_of(0), found)])
    assert len(msgspec.json.encode(told)) < 8_000


def test_an_episode_shows_what_its_latest_run_found_and_which_job_that_was():
    first = [violate("age", said="Baseline drift distance: 0.5 exceeds threshold: 0.1")]
    later = [violate("age", said="Baseline drift distance: 0.7 exceeds threshold: 0.1")]
    _, told, _ = judge([(run_of(0), first), (run_of(1), later)])
    assert [one.finding_id for one in told] == [told[0].finding_id] * 2
    assert [(one.breaches[0].observed, one.job) for one in told] == [(0.5, "job-0"), (0.7, "job-1")]


def test_where_no_job_was_started_none_is_named():
    _, told, _ = judge([(lost_run_of(0), LOST)])
    assert [one.job for one in told] == [""]
