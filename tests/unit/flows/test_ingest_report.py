"""From a finished monitoring job to a finding: once, in any order, with the cause of a failure."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from sagewatch.entry import handle
from sagewatch.errors import RefusedError, RetryError
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.memory.world import MemoryObjects
from sagewatch.monitoring.policy import name_schedule
from tests.unit.flows.worlds import NOW, build_world

HOURLY = "hourly-data-quality"


def finish(
    world, hour, *, violations=None, failure=None, kind="model-monitoring", endpoint="signs", rows=None,
    schedule=HOURLY,
):  # fmt: skip
    """A job ends; the event that tells of it."""
    ended = NOW + timedelta(hours=hour)
    name = f"{kind}-{ended:%Y%m%d%H%M}-259fee1f24dfb6ac09b389dd"
    world.jobs.jobs[name] = {
        "ProcessingJobName": name,
        "ProcessingJobStatus": "Failed" if failure else "Completed",
        **({"FailureReason": failure} if failure else {}),
        "ProcessingEndTime": ended,
        "Environment": {
            "baseline_constraints": "/opt/ml/processing/baseline/constraints.json",
            "sagemaker_endpoint_name": endpoint,
            "sagemaker_monitoring_schedule_name": schedule,
            "start_time": (ended - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end_time": ended.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "result", "S3Output": {"S3Uri": f"s3://captures/reports/{hour}"}}]
        },
    }
    if violations is not None:
        found = [
            {"feature_name": name, "constraint_check_type": "baseline_drift_check",
             "description": "Baseline drift distance: 0.5 exceeds threshold: 0.1"}
            for name in violations
        ]  # fmt: skip
        body = json.dumps({"violations": found}).encode()
        world.objects.bodies["captures", f"reports/{hour}/constraint_violations.json"] = body
    if rows is not None:
        body = json.dumps({"version": 0, "dataset": {"item_count": rows}, "features": []}).encode()
        world.objects.bodies["captures", f"reports/{hour}/statistics.json"] = body
    return {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Processing Job State Change",
        "time": ended.isoformat(),
        "detail": {"ProcessingJobName": name, "ProcessingJobArn": f"arn:aws:sagemaker:r:1:processing-job/{name}",
                   "ProcessingJobStatus": "Completed"},
    }  # fmt: skip


def told(world):
    return [(event["detail-type"], event["detail"]["kind"]) for event in world.bus.events]


def test_violations_raise_one_finding_that_names_the_features():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["age", "age", "city"]), world)
    assert told(world) == [("Finding Raised", "data-quality")]
    finding = world.bus.events[0]["detail"]
    assert finding["counts"] == {"age": 2, "city": 1}
    assert finding["subject"] == HOURLY
    assert finding["evidence"]["observed"] == 3
    assert ("violation_count", 3.0) in [(name, value) for name, value, _, _ in world.metrics.values]


def test_a_run_without_violations_raises_nothing_whether_it_wrote_a_file_or_not():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=[]), world)
    handle(ingest_report, finish(world, 1), world)
    assert told(world) == []


class ClosedObjects(MemoryObjects):
    """A bucket that Sagewatch may not read."""

    def open_object(self, bucket, key):
        raise RefusedError("GetObject", "AccessDenied", f"{bucket}/{key}")


def test_a_report_that_cannot_be_had_clears_nothing_and_is_a_failure():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["age"]), world)
    for hour, seen in ((1, world), (2, dataclasses.replace(world, objects=ClosedObjects()))):
        event = finish(world, hour)
        job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
        job["ExitMessage"] = "CompletedWithViolations: Job completed successfully with 1 violations."
        handle(ingest_report, event, seen)
    assert told(world) == [("Finding Raised", "data-quality"), *[("Finding Raised", "job-failed")] * 2]
    assert [event["detail"]["counts"] for event in world.bus.events[1:]] == [{"no_report": 1}] * 2


def test_the_next_clean_run_clears_and_keeps_the_findings_name():
    world = build_world()
    for hour, violations in enumerate([["a"], ["a", "b"], []]):
        handle(ingest_report, finish(world, hour, violations=violations), world)
    assert [kind for kind, _ in told(world)] == ["Finding Raised", "Finding Raised", "Finding Cleared"]
    assert len({event["detail"]["finding_id"] for event in world.bus.events}) == 1


def test_a_failed_run_is_a_finding_of_its_own_and_says_nothing_of_the_data():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["a"]), world)
    handle(ingest_report, finish(world, 1, failure="Job inputs had no data"), world)
    assert told(world)[1:] == [("Finding Raised", "job-failed")]
    assert world.bus.events[1]["detail"]["counts"] == {"no_data": 1}
    handle(ingest_report, finish(world, 2, violations=[]), world)
    assert sorted(told(world)[2:]) == [("Finding Cleared", "data-quality"), ("Finding Cleared", "job-failed")]


def test_events_that_come_twice_and_backwards_end_in_the_same():
    world = build_world()
    events = [finish(world, hour, violations=v) for hour, v in enumerate([["a"], ["a"], []])]
    for event in [events[2], events[0], events[1], events[2], events[0]]:
        handle(ingest_report, event, world)
    assert world.state.load_schedule(HOURLY).open == {}
    raised = {event["detail"]["finding_id"] for event in world.bus.events if "Raised" in event["detail-type"]}
    assert raised == set()  # the run that is latest was clean, and it came first


@pytest.mark.parametrize(
    ("writes", "times"), [(0, 1), (1, 3)], ids=["before it is stored", "once it is told"]
)
def test_a_redelivered_event_after_a_crash_tells_under_the_same_name(writes, times):
    world = build_world()
    event = finish(world, 0, violations=["a"])
    save, saved = world.state.save_schedule, []

    def crash(state):
        if len(saved) == writes:
            raise ZeroDivisionError
        saved.append(save(state))

    world.state.save_schedule = crash
    with pytest.raises(ZeroDivisionError):
        handle(ingest_report, event, world)
    world.state.save_schedule = save
    handle(ingest_report, event, world)
    assert len({event["detail"]["finding_id"] for event in world.bus.events}) == 1
    assert len(world.bus.events) == times


def test_a_report_that_cannot_be_read_is_said_so():
    world = build_world()
    event = finish(world, 0)
    world.objects.bodies["captures", "reports/0/constraint_violations.json"] = b"<xml>"
    handle(ingest_report, event, world)
    assert world.bus.events[0]["detail"]["counts"] == {"parse": 1}


def test_the_old_name_of_the_file_is_read_too():
    world = build_world()
    event = finish(world, 0, violations=["a"])
    body = world.objects.bodies.pop(("captures", "reports/0/constraint_violations.json"))
    world.objects.bodies["captures", "reports/0/constraints_violations.json"] = body
    handle(ingest_report, event, world)
    assert told(world) == [("Finding Raised", "data-quality")]


def test_jobs_of_endpoints_that_nobody_watches_are_left_alone():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["a"], endpoint="others"), world)
    assert world.bus.events == []


def test_a_job_that_cannot_be_described_yet_comes_again():
    world = build_world()
    event = finish(world, 0)
    world.jobs.jobs.clear()
    with pytest.raises(RetryError, match="job_not_visible_yet"):
        handle(ingest_report, event, world)


def test_an_event_that_is_ahead_of_the_description_comes_again():
    world = build_world()
    event = finish(world, 0, violations=["a"])
    job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
    job["ProcessingJobStatus"] = "InProgress"
    with pytest.raises(RetryError, match="job_not_ended_yet"):
        handle(ingest_report, event, world)
    handle(ingest_report, event | {"detail": event["detail"] | {"ProcessingJobStatus": "InProgress"}}, world)
    assert told(world) == []
    job["ProcessingJobStatus"] = "Completed"
    handle(ingest_report, event, world)
    assert told(world) == [("Finding Raised", "data-quality")]


def finish_sharded(world, hour, message=""):
    """A job of two instances, each with data of its own, that left no violations file."""
    event = finish(world, hour)
    world.jobs.jobs[event["detail"]["ProcessingJobName"]] |= {
        "ExitMessage": message,
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 2}},
        "ProcessingInputs": [{"S3Input": {"S3DataDistributionType": "ShardedByS3Key"}}],
    }
    return event


def test_shares_of_a_report_clear_nothing():
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["a"]), world)
    world.objects.bodies["captures", "reports/1/algo-1.partial.msgpack"] = b""
    world.objects.bodies["captures", "reports/1/of-somebody/statistics.json"] = b""
    for message in ("Completed: algo-1 wrote a partial profile of 10 rows.", ""):
        handle(ingest_report, finish_sharded(world, 1, message), world)
    assert told(world) == [("Finding Raised", "data-quality")]
    assert [value for name, value, _, _ in world.metrics.values if name == "violation_count"] == [1.0]


@pytest.mark.parametrize("file", ["statistics.json", "constraints.json", "analysis.json", None])
def test_a_report_of_several_instances_without_violations_is_an_all_clear(file):
    """AWS's analyzer is one program on all of them, and need not write a file of no violations."""
    world = build_world()
    handle(ingest_report, finish(world, 0, violations=["a"]), world)
    event = finish_sharded(
        world, 1, "" if file else "Completed: Job completed successfully with no violations."
    )
    if file:
        world.objects.bodies["captures", f"reports/1/{file}"] = b"{}"
    handle(ingest_report, event, world)
    assert [kind for kind, _ in told(world)] == ["Finding Raised", "Finding Cleared"]


def test_what_nobody_looked_at_has_no_number_of_violations():
    world = build_world()
    handle(ingest_report, finish(world, 0, failure="Job inputs had no data"), world)
    handle(ingest_report, finish(world, 1, kind="groundtruth-merge"), world)
    assert [(name, value) for name, value, _, _ in world.metrics.values] == [
        ("failed_runs", 1.0), ("failed_runs", 0.0)
    ]  # fmt: skip


HOURS = """
version: 1
endpoints:
  signs: {quality: {every: 1h, baseline: "s3://captures/baseline"}}
receivers:
  ml-on-call: {mail: {}}
"""
OWN = name_schedule("signs")


def look(world, ended, start, end, **found):
    """A run of the endpoint's own schedule, or one that somebody started by hand: they have the same names."""
    event = finish(world, ended, kind="sagewatch-monitor-signs", **found)
    job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
    window = {"start_time": start, "end_time": end}
    job["Environment"] |= {"sagemaker_monitoring_schedule_name": OWN} | {
        name: (NOW + timedelta(hours=hours)).isoformat() for name, hours in window.items()
    }
    handle(ingest_report, event, world)


def test_an_old_window_that_somebody_looks_at_says_nothing_of_now():
    world = build_world(HOURS)
    look(world, 0.2, -1, 0, violations=["a"])
    look(world, 0.5, -25, -24)  # yesterday's was clean
    assert told(world) == [("Finding Raised", "data-quality")]
    look(world, 1.2, 0, 1)
    assert [kind for kind, _ in told(world)] == ["Finding Raised", "Finding Cleared"]


def test_a_clean_look_at_the_hour_that_goes_on_does_not_keep_the_hour_before_from_being_judged():
    world = build_world(HOURS)
    look(world, 0.1, 0, 0.05)  # by hand, before the schedule's own run for the hour that ended at 0
    look(world, 0.2, -1, 0, violations=["a"])
    assert told(world) == [("Finding Raised", "data-quality")]


def test_a_short_window_that_is_clean_does_not_end_a_collapse_of_rows():
    world = build_world(HOURS)
    for hour in range(27):
        look(world, hour + 0.2, hour - 1, hour, rows=1000)
    look(world, 27.2, 26, 27, rows=3)
    look(world, 27.4, 27.1, 27.3, rows=1)
    assert told(world) == [("Finding Raised", "data-quality")]
    look(world, 28.2, 27, 28, rows=1000)
    assert [kind for kind, _ in told(world)] == ["Finding Raised", "Finding Cleared"]


@pytest.mark.parametrize(("start", "end"), [(-0.5, 0.5), (0, 1)])
def test_an_hour_that_is_none_of_the_schedules_keeps_none_of_them_from_being_judged(start, end):
    """Half past to half past, or an hour that is not over."""
    world = build_world(HOURS)
    look(world, 0.6, start, end)
    look(world, 0.7, -1, 0, violations=["a"])
    assert told(world) == [("Finding Raised", "data-quality")]


def test_a_short_window_is_no_collapse_and_no_measure_and_its_failure_wakes_nobody():
    world = build_world(HOURS)
    for hour in range(27):
        look(world, hour + 0.2, hour - 1, hour, rows=1000)
    look(world, 26.5, 26.4, 26.45, rows=50)
    look(world, 26.6, 26.5, 26.51, failure="Job inputs had no data")
    look(world, 26.7, 26.5, 26.55, rows=150)
    assert told(world) == []
    look(world, 27.2, 26, 27, rows=20)
    assert told(world) == [("Finding Raised", "data-quality")]
    assert world.bus.events[0]["detail"]["counts"] == {"Rows": 1}


def test_a_merge_without_ground_truth_is_a_failure_of_the_model_quality_monitor():
    world = build_world()
    reason = 'No S3 objects found under S3 URL "s3://b/ground_truth_data/x"'
    handle(ingest_report, finish(world, 0, failure=reason, kind="groundtruth-merge"), world)
    assert told(world) == [("Finding Raised", "job-failed")]
    assert world.bus.events[0]["detail"]["counts"] == {"no_ground_truth": 1}
    assert world.state.load_schedule(HOURLY).last_ended_at == datetime(2026, 11, 21, 12, tzinfo=UTC)


DAY = [900, 40, 1000] * 9


def test_a_window_with_far_fewer_rows_than_any_of_the_last_day_is_told_once_and_cleared():
    world = build_world()
    for hour, rows in enumerate(DAY):
        handle(ingest_report, finish(world, hour, rows=rows), world)
    assert told(world) == []
    event = finish(world, len(DAY), rows=3)
    handle(ingest_report, event, world)
    handle(ingest_report, event, world)
    counted = [value for name, value, _, _ in world.metrics.values if name == "violation_count"]
    assert counted[-2:] == [0.0, 1.0]  # the second event is the same run
    handle(ingest_report, finish(world, len(DAY) + 1, rows=40), world)
    assert [kind for kind, _ in told(world)] == ["Finding Raised", "Finding Raised", "Finding Cleared"]
    assert world.bus.events[0]["detail"]["counts"] == {"Rows": 1}
    assert len({each["detail"]["finding_id"] for each in world.bus.events}) == 1


def test_traffic_that_stays_small_becomes_the_usual():
    world = build_world()
    small = [3] * (len(DAY) + 4)
    for hour, rows in enumerate([*DAY, *small]):
        handle(ingest_report, finish(world, hour, rows=rows), world)
    assert world.bus.events[-1]["detail-type"] == "Finding Cleared"
    assert world.state.load_schedule(HOURLY).open == {}


def test_an_hour_of_runs_is_no_history_and_broken_statistics_say_nothing_of_rows():
    world = build_world()
    for hour, rows in enumerate([900, 900, 900, 900, 3]):
        handle(ingest_report, finish(world, hour, rows=rows), world)
    event = finish(world, 30, rows=1)
    world.objects.bodies["captures", "reports/30/statistics.json"] = b"{"
    handle(ingest_report, event, world)
    assert told(world) == []


@pytest.mark.parametrize("count", [0, -5, 10**30])
def test_a_number_of_rows_that_nobody_counted_is_no_measure(count):
    world = build_world()
    for hour, rows in enumerate([*DAY, count]):
        handle(ingest_report, finish(world, hour, rows=rows), world)
    assert (told(world), min(day.fewest for day in world.state.load_schedule(HOURLY).rows.days)) == ([], 40)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon"])
def test_a_window_that_no_calendar_has_is_none(time):
    world = build_world()
    event = finish(world, 0, violations=["a"])
    environment = world.jobs.jobs[event["detail"]["ProcessingJobName"]]["Environment"]
    environment |= {"start_time": time, "end_time": time}
    handle(ingest_report, event, world)
    assert told(world) == [("Finding Raised", "data-quality")]


@pytest.mark.parametrize(("stage", "told_of"), [("dev", False), ("prod", True)])
def test_a_report_of_another_stage_of_the_account_is_that_stages_affair(stage, told_of):
    """Its evidence bucket is none that this one may read: the report seemed to be missing."""
    bucket = "sagewatch-{}-evidence-123456789012-eu-west-1"
    world = build_world()
    settings = msgspec.structs.replace(world.settings, evidence_bucket=bucket.format("prod"))
    world = dataclasses.replace(world, settings=settings)
    event = finish(world, 0, failure="AlgorithmError: boom")
    job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
    uri = f"s3://{bucket.format(stage)}/reports/signs/x"
    job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = uri
    handle(ingest_report, event, world)
    assert bool(told(world)) is told_of
