"""Reports come late, twice and in any order: what is found in the end is what their windows' order says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from sagewatch.datapoints import Datapoints
from sagewatch.place import Place
from sagewatch.quality.violations import Violation
from sagewatch.report.failure import Failure
from sagewatch.report.judge import judge_run
from sagewatch.report.run import Run
from sagewatch.report.schedule import ScheduleState

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACE = Place("111122223333", "eu-west-1")
OUTCOMES = {
    "clean": [],
    "drift": [Violation(feature_name="age", constraint_check_type="baseline_drift_check", description="")],
    "failed": Failure("no_data", ""),
}
USUAL, FEW = 1000, 3
EVERY = [timedelta(minutes=5), timedelta(hours=1)]


def run_of(number, every, minutes=15):
    end = NOON + number * every
    return Run(
        job=f"job-{number}", kind="data-quality", schedule="hourly", endpoint="signs", variant="AllTraffic",
        status="Completed", message="", report_uri=f"s3://captures/reports/{number}", start=end - every, end=end,
        ended_at=end + timedelta(minutes=minutes),
    )  # fmt: skip


def judge(events, patience, every, state):
    counted = 0
    for run, outcome, rows in events:
        judged = judge_run(run, outcome, state, PLACE, patience, rows, every)
        state, counted = judged.state, counted + judged.is_new
    return state, counted


def learn(every):
    """A day of runs was learned."""
    number = timedelta(hours=30) // every
    runs = [(run_of(n - number, every), [], USUAL) for n in range(number)]
    return judge(runs, Datapoints(), every, ScheduleState(schedule="hourly"))[0]


LEARNED = {every: learn(every) for every in EVERY}


@st.composite
def stories(draw):
    """Runs of a schedule's windows, each as late as a job may be, some events twice; and how patient the endpoint is."""
    every = draw(st.sampled_from(EVERY))
    reports = st.tuples(
        st.sampled_from(list(OUTCOMES)),
        st.sampled_from([USUAL, FEW]),
        st.integers(0, 119 if every < timedelta(hours=1) else 179),
        st.booleans(),
    )
    drawn = draw(st.lists(reports, min_size=1, max_size=9))
    events = []
    for number, (outcome, rows, minutes, twice) in enumerate(drawn):
        run = run_of(number, every, minutes)
        event = (run, OUTCOMES[outcome], None if outcome == "failed" else rows)
        events.append((run.ended_at, number, event))
        if twice:
            again = draw(st.integers(0, 600))
            events.append((run.ended_at + timedelta(minutes=again), number, event))
    of = draw(st.integers(1, 4))
    patience = Datapoints(bad=draw(st.integers(1, of)), of=of, good=draw(st.integers(1, 3)))
    in_order = {number: event for _, number, event in events}
    arrived = [event for *_, event in sorted(events, key=lambda each: each[:2])]
    return [in_order[number] for number in sorted(in_order)], arrived, patience, every


def describe(state):
    open_ = state.open.get("data-quality")
    return open_ and (open_.source, open_.window.end, open_.severity)


def story_of(letters, order, patience):
    """``b`` found drift, ``g`` nothing."""
    events = [
        (run_of(number, timedelta(hours=1)), OUTCOMES["drift" if letter == "b" else "clean"], USUAL)
        for number, letter in enumerate(letters)
    ]
    return events, [events[number] for number in order], patience, timedelta(hours=1)


@given(story=stories())
@example(story=story_of("bgbg", (0, 1, 3, 2), Datapoints(good=2)))
@example(story=story_of("bbgbb", (0, 1, 3, 4, 2), Datapoints(bad=3, of=3)))
def test_whatever_order_reports_come_in_and_how_often_the_same_is_open_in_the_end(story):
    in_order, arrived, patience, every = story
    learned = LEARNED[every]
    expected, _ = judge(in_order, patience, every, learned)
    state, counted = judge(arrived, patience, every, learned)
    assert describe(state) == describe(expected)
    assert ("job-failed" in state.open) == isinstance(in_order[-1][1], Failure)
    assert counted == len(in_order)
    again, counted = judge(arrived, patience, every, state)
    assert (describe(again), counted) == (describe(expected), 0)
