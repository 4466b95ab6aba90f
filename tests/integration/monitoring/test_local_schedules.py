"""The local SageMaker's monitoring schedules behave as the real ones: jobs, windows, failures that make no job."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.entry import handle
from sagewatch.flows.tick import tick
from sagewatch.memory.world import MemoryClock
from tests.integration.monitoring.conftest import BUCKET, ENDPOINT, Monitored, build_definition, until
from tests.unit.flows.worlds import build_world

WATCHED = """
version: 1
endpoints:
  churn: {quality: {every: 1h, scheduler: model-monitor, baseline: "s3://monitored/baseline"}}
receivers:
  ml-on-call: {mail: {}}
"""


def job_of(execution: dict[str, Any]) -> str:
    return str(execution["ProcessingJobArn"]).rsplit("/", 1)[-1]


def test_a_run_starts_the_image_with_the_window_the_baseline_and_the_captures(
    monitored: Monitored, make_schedule: Any
) -> None:
    schedule = make_schedule(
        "Mixed-Case", MonitoringJobDefinition=build_definition(Environment={"FIND": "a,b"})
    )
    monitored.ask(5)
    end = datetime.fromtimestamp(int(time.time()) + 1, UTC)  # noqa: TID251  an edge
    monitored.aws.sagemaker.monitoring.fire(schedule, start=end - timedelta(minutes=5), end=end)
    (execution,) = monitored.executions(schedule)
    job = monitored.end(job_of(execution))
    assert job["ProcessingJobStatus"] == "Completed", job
    environment = job["Environment"]
    assert environment["sagemaker_monitoring_schedule_name"] == schedule
    assert environment["sagemaker_endpoint_name"] == ENDPOINT
    assert environment["end_time"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert environment["FIND"] == "a,b"
    assert json.loads(environment["dataset_format"]) == {
        "sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}
    }
    assert environment["baseline_statistics"] == "/opt/ml/processing/baseline/stats/statistics.json"
    assert job["MonitoringScheduleArn"].endswith(f"monitoring-schedule/{schedule.lower()}")
    assert [one["InputName"] for one in job["ProcessingInputs"]][:3] == [
        "baseline",
        "constraints",
        "endpoint_input_1",
    ]
    path = job["ProcessingInputs"][2]["S3Input"]["LocalPath"]
    assert path.startswith(f"/opt/ml/processing/input/endpoint/{ENDPOINT}/AllTraffic/20")
    report = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert report == f"s3://{BUCKET}/reports/{ENDPOINT}/{schedule}/{end:%Y/%m/%d/%H}"
    assert monitored.read_json(f"{report}/statistics.json")["dataset"]["item_count"] >= 5
    assert monitored.executions(schedule)[0]["MonitoringExecutionStatus"] == "CompletedWithViolations"


def test_a_window_without_captures_fails_and_makes_no_job(monitored: Monitored, make_schedule: Any) -> None:
    schedule = make_schedule("quiet")
    before = monitored.job_names()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    body = {
        "schedule": schedule,
        "start": long_ago.isoformat(),
        "end": (long_ago + timedelta(hours=1)).isoformat(),
    }
    url = f"{monitored.aws.sagemaker.url}/_admin/schedules"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as answer:
        assert json.loads(answer.read())["FailureReason"] == "Job inputs had no data"
    (execution,) = monitored.executions(schedule)
    assert execution["MonitoringExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Job inputs had no data"
    assert "ProcessingJobArn" not in execution
    assert monitored.job_names() == before
    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName=schedule)
    assert described["LastMonitoringExecutionSummary"]["FailureReason"] == "Job inputs had no data"


def test_the_tick_learns_of_it_from_the_local_sagemaker(monitored: Monitored, make_schedule: Any) -> None:
    schedule = make_schedule("quiet")
    began = datetime.fromtimestamp(time.time() - 1, UTC)  # noqa: TID251  an edge
    world = dataclasses.replace(
        build_world(WATCHED), schedules=SageMakerSchedules(monitored.sagemaker), now=MemoryClock(began)
    )

    def run_tick() -> list[tuple[str, str, dict[str, int]]]:
        handle(tick, {"source": "sagewatch", "detail-type": "Tick", "time": world.now().isoformat()}, world)
        details = [event["detail"] for event in world.bus.events]
        # The test before may have left an execution of the very same second.
        return [(one["kind"], one["subject"], one["counts"]) for one in details if one["subject"] == schedule]

    assert run_tick() == []
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    monitored.aws.sagemaker.monitoring.fire(schedule, start=long_ago, end=long_ago + timedelta(hours=1))
    world.now.now = began + timedelta(minutes=1)
    assert run_tick() == [("job-failed", schedule, {"no_data": 1})]
    assert len(run_tick()) == 1
    until(lambda: monitored.executions(schedule))
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName=schedule)
    stopped = [("job-failed", schedule, {"no_data": 1}), ("job-failed", schedule, {"schedule_stopped": 1})]
    assert until(lambda: told if len(told := run_tick()) == 2 else None) == stopped


def test_a_schedule_runs_by_its_cron_each_run_on_the_traffic_since_the_last(
    monitored: Monitored, make_schedule: Any
) -> None:
    schedule = make_schedule("hourly", "cron(0 * ? * * *)")
    until(lambda: len(monitored.executions(schedule)) >= 1)
    monitored.ask(3)
    until(lambda: len(monitored.executions(schedule)) >= 3)
    monitored.sagemaker.stop_monitoring_schedule(MonitoringScheduleName=schedule)
    described = monitored.sagemaker.describe_monitoring_schedule
    until(lambda: described(MonitoringScheduleName=schedule)["MonitoringScheduleStatus"] == "Stopped")
    executions = monitored.executions(schedule)
    jobs = [monitored.end(job_of(one)) for one in executions if "ProcessingJobArn" in one]
    windows = sorted((job["Environment"]["start_time"], job["Environment"]["end_time"]) for job in jobs)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(windows))
    monitored.sagemaker.start_monitoring_schedule(MonitoringScheduleName=schedule)
    until(lambda: len(monitored.executions(schedule)) > len(executions))


def test_a_schedule_of_now_runs_once_on_the_hours_that_it_names(
    monitored: Monitored, make_schedule: Any
) -> None:
    monitored.ask(1)
    schedule = make_schedule("once", "NOW", DataAnalysisStartTime="-PT2H", DataAnalysisEndTime="PT1H")
    until(lambda: monitored.executions(schedule))
    environment = monitored.end(job_of(monitored.executions(schedule)[0]))["Environment"]
    start, end = (datetime.fromisoformat(environment[key]) for key in ("start_time", "end_time"))
    assert end - start == timedelta(hours=3)
    assert len(monitored.executions(schedule)) == 1


def test_a_schedule_by_job_definition_locks_it_until_it_is_deleted(
    monitored: Monitored, make_schedule: Any
) -> None:
    sagemaker, inline = monitored.sagemaker, build_definition()
    sagemaker.create_data_quality_job_definition(
        JobDefinitionName="by-name",
        DataQualityBaselineConfig=inline["BaselineConfig"],
        DataQualityAppSpecification={**inline["MonitoringAppSpecification"], "Environment": {"FIND": "x"}},
        DataQualityJobInput=inline["MonitoringInputs"][0],
        DataQualityJobOutputConfig=inline["MonitoringOutputConfig"],
        JobResources=inline["MonitoringResources"],
        RoleArn=inline["RoleArn"],
    )
    described = sagemaker.describe_data_quality_job_definition(JobDefinitionName="by-name")
    assert described["DataQualityAppSpecification"]["Environment"] == {"FIND": "x"}
    listed = sagemaker.list_data_quality_job_definitions(EndpointName=ENDPOINT)["JobDefinitionSummaries"]
    assert [one["MonitoringJobDefinitionName"] for one in listed] == ["by-name"]
    schedule = make_schedule("named", MonitoringJobDefinitionName="by-name")
    monitored.ask(1)
    monitored.aws.sagemaker.monitoring.fire(schedule)
    job = monitored.end(job_of(monitored.executions(schedule)[0]))
    assert job["ExitMessage"].startswith("CompletedWithViolations")
    with pytest.raises(ClientError, match="is used by the schedule"):
        sagemaker.delete_data_quality_job_definition(JobDefinitionName="by-name")
    sagemaker.delete_monitoring_schedule(MonitoringScheduleName=schedule)
    sagemaker.delete_data_quality_job_definition(JobDefinitionName="by-name")
    assert monitored.executions(schedule), "what was, stays"


def test_what_sagemaker_would_refuse_is_refused(monitored: Monitored, make_schedule: Any) -> None:
    schedule = make_schedule("one")
    with pytest.raises(ClientError, match="ResourceInUse"):
        make_schedule("one")
    with pytest.raises(ClientError, match="Invalid schedule expression"):
        make_schedule("two", "rate(5 minutes)")
    nowhere = {"EndpointInput": {"EndpointName": "nobody", "LocalPath": "/opt/ml/processing/input/endpoint"}}
    with pytest.raises(ClientError, match="does not exist, or has no data capture"):
        make_schedule("three", MonitoringJobDefinition=build_definition(MonitoringInputs=[nowhere]))
    with pytest.raises(ClientError, match="Either MonitoringJobDefinition"):
        make_schedule(
            "four", MonitoringJobDefinition=build_definition(), MonitoringJobDefinitionName="by-name"
        )
    with pytest.raises(ClientError, match="ResourceNotFound"):
        monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName="nobody")
    listed = monitored.sagemaker.list_monitoring_schedules(EndpointName=ENDPOINT)[
        "MonitoringScheduleSummaries"
    ]
    assert [one["MonitoringScheduleName"] for one in listed] == [schedule]
    monitored.sagemaker.update_monitoring_schedule(
        MonitoringScheduleName=schedule,
        MonitoringScheduleConfig={
            "ScheduleConfig": {"ScheduleExpression": "cron(0 0/6 ? * * *)"},
            "MonitoringJobDefinition": build_definition(),
            "MonitoringType": "DataQuality",
        },
    )
    described = monitored.sagemaker.describe_monitoring_schedule(MonitoringScheduleName=schedule)
    assert (
        described["MonitoringScheduleConfig"]["ScheduleConfig"]["ScheduleExpression"] == "cron(0 0/6 ? * * *)"
    )
