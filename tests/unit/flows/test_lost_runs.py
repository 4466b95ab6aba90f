"""What no event tells: executions without a job and schedules that stopped, noticed by the tick."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.flows.ingest_report import ingest_report
from sagewatch.flows.tick import tick
from sagewatch.memory.schedules import MemorySchedules
from sagewatch.monitoring.policy import name_legacy_schedule, name_monitoring_schedule, name_schedule
from tests.unit.flows.test_ingest_report import finish
from tests.unit.flows.worlds import NOW, build_world

MONITORS = """
version: 1
endpoints:
  signs: {quality: {every: 1h, scheduler: model-monitor, baseline: "s3://captures/baseline"}}
receivers:
  ml-on-call: {mail: {}}
"""
UNWANTED = MONITORS.replace("model-monitor", "eventbridge")
HOURLY = "hourly-data-quality"
REAL = Path(__file__).parents[4] / "shared" / "real" / "events" / "api_responses"


@pytest.fixture
def world():
    """The tick looked at the schedule an hour ago; it is running."""
    made = dataclasses.replace(build_world(MONITORS), schedules=MemorySchedules())
    made.schedules.statuses = {"signs": {HOURLY: "Scheduled"}}
    run_tick(made, -1)
    return made


def run_tick(world, hours):
    world.now.now = NOW + timedelta(hours=hours)
    handle(tick, {"source": "sagewatch", "detail-type": "Tick", "time": world.now.now.isoformat()}, world)


def told(world):
    events = [e for e in world.bus.events if e["detail-type"].startswith("Finding")]
    return [(e["detail-type"], e["detail"]["kind"], list(e["detail"]["counts"])) for e in events]


def fail(hours, reason="Job inputs had no data", **more):
    moment = NOW + timedelta(hours=hours)
    return {
        "MonitoringScheduleName": HOURLY,
        "EndpointName": "signs",
        "ScheduledTime": moment,
        "CreationTime": moment,
        "LastModifiedTime": moment + timedelta(seconds=4),
        "MonitoringExecutionStatus": "Failed",
        "FailureReason": reason,
        **more,
    }


def test_an_execution_without_data_is_told_once_with_its_cause(world):
    world.schedules.executions = [fail(0)]
    for hours in (0.1, 0.2, 0.3):
        run_tick(world, hours)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]
    assert world.bus.events[-1]["detail"]["subject"] == HOURLY


def test_the_next_good_run_clears_it(world):
    world.schedules.executions = [fail(0)]
    run_tick(world, 0.1)
    handle(ingest_report, finish(world, 1, violations=[]), world)
    assert told(world)[-1][:2] == ("Finding Cleared", "job-failed")
    run_tick(world, 1.1)
    assert len(told(world)) == 2


def job_of(world, due, offset, **outcome):
    """The event of a job that was due then and ended six minutes later; its window ends so many hours before."""
    event = finish(world, due, **outcome)
    name = event["detail"]["ProcessingJobName"]
    end = NOW + timedelta(hours=due - offset)
    window = {"start_time": end - timedelta(hours=1), "end_time": end}
    world.jobs.jobs[name]["Environment"] |= {key: f"{at:%Y-%m-%dT%H:%M:%SZ}" for key, at in window.items()}
    arn = {"MonitoringExecutionStatus": "Completed", "ProcessingJobArn": event["detail"]["ProcessingJobArn"]}
    world.schedules.executions.append(fail(due, **arn))
    return event


@pytest.mark.parametrize("offset", [0, 1, 24])
def test_a_slower_job_of_an_older_window_does_not_end_it_and_the_next_one_does_whatever_the_offset(
    world, offset
):
    """Labels come late: a schedule may look at the traffic of a day ago."""
    handle(ingest_report, job_of(world, 0, offset, violations=[]), world)
    slow = job_of(world, 1, offset, violations=[])
    world.schedules.executions.append(fail(2))
    run_tick(world, 2.1)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]
    job = world.jobs.jobs[slow["detail"]["ProcessingJobName"]]
    job["ProcessingEndTime"] = NOW + timedelta(hours=2.2)
    handle(ingest_report, slow, world)
    run_tick(world, 2.3)
    assert len(told(world)) == 1
    handle(ingest_report, job_of(world, 3, offset, violations=[]), world)
    run_tick(world, 3.1)
    assert [kind for kind, *_ in told(world)] == ["Finding Raised", "Finding Cleared"]


def test_a_slower_job_of_clarifys_whose_window_nobody_tells_does_not_end_it_and_the_next_one_does(world):
    def finish_bias(due):
        event = finish(world, due, kind="model-bias-monitoring", violations=[])
        job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
        del job["Environment"]["start_time"], job["Environment"]["end_time"]
        return event, job

    handle(ingest_report, finish_bias(0)[0], world)
    slow, job = finish_bias(1)
    job["ProcessingEndTime"] = NOW + timedelta(hours=2.2)
    world.schedules.executions.append(fail(2, MonitoringType="ModelBias"))
    run_tick(world, 2.1)
    handle(ingest_report, slow, world)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]
    handle(ingest_report, finish_bias(3)[0], world)
    assert [kind for kind, *_ in told(world)] == ["Finding Raised", "Finding Cleared"]


def test_an_execution_without_a_job_is_told_though_an_older_windows_job_ended_since(world):
    handle(ingest_report, job_of(world, 0, 0, violations=[]), world)
    slow = job_of(world, 1, 0, violations=[])
    world.jobs.jobs[slow["detail"]["ProcessingJobName"]]["ProcessingEndTime"] = NOW + timedelta(hours=2.05)
    handle(ingest_report, slow, world)
    world.schedules.executions.append(fail(2))
    for hours in (2.1, 2.2):
        run_tick(world, hours)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]


def test_an_execution_with_a_job_is_left_to_the_jobs_own_event(world):
    world.schedules.executions = [fail(0, ProcessingJobArn="arn:aws:sagemaker:r:1:processing-job/x")]
    run_tick(world, 0.1)
    assert told(world) == []


def test_missing_ground_truth_is_named_as_such(world):
    reason = 'No S3 objects found under S3 URL "s3://b/ground_truth_data/e/AllTraffic/2024/03/18/18" given in input'
    world.schedules.executions = [fail(0, reason, MonitoringType="ModelQuality")]
    run_tick(world, 0.1)
    assert told(world) == [("Finding Raised", "job-failed", ["no_ground_truth"])]


def test_what_was_before_the_first_look_is_nobodys_loss(world):
    world.schedules.executions = [fail(-3)]
    run_tick(world, 0.1)
    assert told(world) == []


@pytest.mark.parametrize("status", ["Stopped", "Failed"])
def test_a_schedule_that_was_stopped_is_told_once(world, status):
    world.schedules.statuses = {"signs": {HOURLY: status}}
    run_tick(world, 0.1)
    run_tick(world, 0.2)
    assert told(world) == [("Finding Raised", "job-failed", ["schedule_stopped"])]


def test_a_schedule_that_was_never_made_is_told_after_three_windows(world):
    world.schedules.statuses = {}
    run_tick(world, 1)
    assert told(world) == []
    run_tick(world, 2.5)
    assert told(world) == [("Finding Raised", "job-failed", ["schedule_stopped"])]


def test_trouble_in_asking_spares_the_rest_of_the_tick(world):
    class Busy(MemorySchedules):
        def list_monitoring_schedules(self, endpoint):
            raise RetryError("ThrottlingException")

    run_tick(dataclasses.replace(world, schedules=Busy()), 0.1)
    assert told(world) == []


@pytest.mark.real
def test_the_real_summary_without_data_is_understood(world):
    file = REAL / "monitoring_execution_summary_failed_no_data.json"
    if not file.exists():
        pytest.skip("real answers are not here")
    row = json.loads(file.read_text())
    times = {
        key: datetime.fromisoformat(f"{row[key]}+00:00")
        for key in ("ScheduledTime", "CreationTime", "LastModifiedTime")
    }
    shift = NOW - times["ScheduledTime"]
    moved = {key: value + shift for key, value in times.items()}
    world.schedules.executions = [{**row, **moved, "EndpointName": "signs"}]
    run_tick(world, 0.5)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]


def test_what_another_stages_schedule_did_not_do_is_that_stages_affair(world):
    bucket = "sagewatch-prod-evidence-123456789012-eu-west-1"
    world = dataclasses.replace(
        world, settings=msgspec.structs.replace(world.settings, evidence_bucket=bucket)
    )
    own, theirs, old = "signs--prod-data-quality", "signs--dev-data-quality", "signs-data-quality"
    world.schedules.statuses = {"signs": {own: "Scheduled", theirs: "Stopped", old: "Failed"}}
    world.schedules.executions = [{**fail(0), "MonitoringScheduleName": name} for name in (theirs, old)]
    run_tick(world, 0.1)
    assert told(world) == []
    world.schedules.executions.append({**fail(1), "MonitoringScheduleName": own})
    run_tick(world, 1.1)
    assert told(world) == [("Finding Raised", "job-failed", ["no_data"])]
    # Its name in incidents is that of before: they go on, whatever SageMaker calls the schedule.
    assert world.bus.events[-1]["detail"]["subject"] == old
    run_tick(world, 1.2)
    handle(ingest_report, finish(world, 2, violations=[], schedule=own), world)
    assert told(world)[-1][:2] == ("Finding Cleared", "job-failed")


def test_a_stages_only_schedule_by_the_name_of_before_is_its_own(world):
    bucket = "sagewatch-prod-evidence-123456789012-eu-west-1"
    world = dataclasses.replace(
        world, settings=msgspec.structs.replace(world.settings, evidence_bucket=bucket)
    )
    world.schedules.statuses = {"signs": {"signs-data-quality": "Stopped"}}
    run_tick(world, 0.1)
    assert told(world) == [("Finding Raised", "job-failed", ["schedule_stopped"])]


LONG = "signs-" * 10 + "x"
EVIDENCE = "sagewatch-{}-evidence-123456789012-eu-west-1"


def open_stage(stage, endpoint, *names):
    """A stage of the account that was just upgraded, with these schedules in SageMaker."""
    world = build_world(MONITORS.replace("signs:", f"{endpoint}:"))
    settings = msgspec.structs.replace(world.settings, evidence_bucket=EVIDENCE.format(stage))
    world = dataclasses.replace(world, settings=settings, schedules=MemorySchedules())
    world.schedules.statuses = {endpoint: dict.fromkeys(names, "Scheduled")}
    run_tick(world, -1)
    return world


def failures(world):
    """What was told of schedules; that no captures come is another matter."""
    return [one for one in told(world) if one[1] == "job-failed"]


def finish_for(stage, world, hours, endpoint, schedule, own_job=None):
    """A job ends well that reports to that stage."""
    event = finish(world, hours, endpoint=endpoint, schedule=schedule)
    job = world.jobs.jobs[event["detail"]["ProcessingJobName"]]
    uri = f"s3://{EVIDENCE.format(stage)}/reports/{endpoint}/{schedule}/{hours}"
    job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = uri
    if own_job:
        job["ProcessingJobName"] = own_job
    handle(ingest_report, event, world)


@pytest.mark.parametrize("endpoint", ["signs", LONG])
@pytest.mark.parametrize("name", [name_schedule, name_legacy_schedule])
def test_a_stage_whose_shared_schedule_became_anothers_is_told_that_it_has_none_until_it_makes_one(
    endpoint, name
):
    """Before the upgrade both stages had the schedule of that name; dev was the last to run `monitor create`."""
    shared = name(endpoint) or name_schedule(endpoint)
    prod, dev = (open_stage(stage, endpoint, shared) for stage in ("prod", "dev"))
    for hours in range(4):
        for world in (prod, dev):
            finish_for("dev", world, hours, endpoint, shared)
            run_tick(world, hours + 0.2)
    assert failures(prod) == [("Finding Raised", "job-failed", ["schedule_stopped"])]
    assert prod.bus.events[0]["detail"]["subject"] == name_schedule(endpoint)
    assert failures(dev) == []
    own = name_monitoring_schedule(endpoint, "prod")
    for world in (prod, dev):
        world.schedules.statuses[endpoint][own] = "Scheduled"
        finish_for("prod", world, 4, endpoint, own)
        finish_for("dev", world, 5, endpoint, shared)
        # What dev's loses is dev's to tell, and nobody else's.
        world.schedules.executions = [{**fail(6), "MonitoringScheduleName": shared, "EndpointName": endpoint}]
        for hours in (6.1, 6.2):
            run_tick(world, hours)
    assert [kind for kind, *_ in failures(prod)] == ["Finding Raised", "Finding Cleared"]
    assert failures(dev) == [("Finding Raised", "job-failed", ["no_data"])]


@pytest.mark.parametrize("shared", [["signs-data-quality"], []], ids=["another stage's", "deleted"])
def test_a_schedule_that_looks_at_the_model_does_not_stand_for_the_one_that_looks_at_the_data(shared):
    prod = open_stage("prod", "signs", *shared, "signs-model-quality")
    prod.schedules.kinds = {"signs-model-quality": "ModelQuality"}
    finish_for("dev", prod, 0, "signs", "signs-data-quality")
    for hours in (1, 4, 8):
        run_tick(prod, hours)
    assert failures(prod) == [("Finding Raised", "job-failed", ["schedule_stopped"])]


def test_whose_a_schedule_is_is_not_noted_before_anybody_wants_it_watched():
    wanted = open_stage("prod", "signs", "signs-data-quality")
    unwanted = dataclasses.replace(wanted, monitors=build_world(UNWANTED).monitors)
    finish_for("dev", unwanted, 0, "signs", "signs-data-quality")
    assert wanted.state.load_watch("signs-data-quality", NOW).lent == ()


def test_a_run_of_the_shared_schedule_that_is_lost_is_told_by_the_stage_alone_whose_it_is():
    prod = open_stage("prod", "signs", "signs-data-quality")
    finish_for("dev", prod, 0, "signs", "signs-data-quality")
    prod.schedules.executions = [{**fail(1), "MonitoringScheduleName": "signs-data-quality"}]
    run_tick(prod, 1.1)
    assert failures(prod) == []


def test_the_name_is_the_stages_own_again_once_its_own_schedule_has_it():
    prod = open_stage("prod", "signs", "signs-data-quality")
    for hours, stage in enumerate(["dev", "prod"]):
        finish_for(stage, prod, hours, "signs", "signs-data-quality")
    for hours in (3, 9):
        run_tick(prod, hours)
    assert failures(prod) == []


def test_another_stages_jobs_that_eventbridge_started_under_the_same_name_say_nothing_of_sagemakers_schedule():
    prod = open_stage("prod", "signs", "signs-data-quality")
    finish_for("dev", prod, 0, "signs", "signs-data-quality", "sagewatch-monitor-signs-202611210000-0a1b2c")
    for hours in (3, 9):
        run_tick(prod, hours)
    assert failures(prod) == []


def test_a_stage_with_a_schedule_of_its_own_leaves_one_by_the_cut_name_of_before_to_the_other():
    own, cut = name_monitoring_schedule(LONG, "dev"), name_legacy_schedule(LONG)
    dev = open_stage("dev", LONG, own, cut)
    dev.schedules.statuses[LONG][cut] = "Stopped"
    dev.schedules.executions = [{**fail(0), "MonitoringScheduleName": cut, "EndpointName": LONG}]
    run_tick(dev, 0.1)
    assert failures(dev) == []
