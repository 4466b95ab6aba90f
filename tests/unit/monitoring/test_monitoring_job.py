"""The request that starts a run keeps to the limits of the API, whatever the window and the names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from sagewatch.monitoring.job import Image, MonitoringJob, build_monitoring_job
from sagewatch.monitoring.policy import Quality, name_schedule
from sagewatch.monitoring.schedule import build_monitoring_schedule, build_scheduler_cron, build_wake_up
from sagewatch.monitoring.window import Span, choose_span, list_hours
from sagewatch.report.run import recognise_run

IMAGE = Image(
    image_uri="image", role_arn="arn:aws:iam::123456789012:role/job-role", instance_type="ml.m5.large"
)
QUALITY = Quality(baseline="s3://b/base")
END = datetime(2026, 1, 2, tzinfo=UTC)


def build(hours=1, variants=1, endpoint="churn", reports_uri="s3://b/reports", **more):
    span = Span(END - timedelta(hours=hours), END)
    folders = tuple(f"{endpoint}/v{n}/{hour}" for n in range(variants) for hour in list_hours(span))
    job = MonitoringJob(
        endpoint=endpoint, quality=QUALITY, span=span, capture_uri="s3://b/capture", folders=folders,
        reports_uri=reports_uri, **more,
    )  # fmt: skip
    return job, build_monitoring_job(job, IMAGE)


@pytest.mark.parametrize(("hours", "variants"), [(1, 1), (6, 2), (24, 1), (24, 3), (49, 1), (1, 12)])
def test_a_job_has_at_most_ten_inputs_and_they_cover_every_hour(hours, variants):
    job, request = build(hours, variants)
    uris = [one["S3Input"]["S3Uri"] for one in request["ProcessingInputs"]]
    assert len(uris) <= 10
    assert all(any(f"s3://b/capture/{folder}/".startswith(uri) for uri in uris) for folder in job.folders)
    paths = [one["S3Input"]["LocalPath"] for one in request["ProcessingInputs"]]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("endpoint", ["c", "churn", "a" * 63, "a" * 19 + "-" + "b" * 43])
def test_names_fit_the_api_and_differ_by_window(endpoint):
    first, request = build(endpoint=endpoint)
    assert len(first.name) <= 63
    assert "--" not in first.name
    assert len(name_schedule(endpoint)) <= 63
    assert (
        len({first.name, build(2, endpoint=endpoint)[0].name, build(endpoint=endpoint, attempt="2")[0].name})
        == 3
    )
    assert first.name == build(endpoint=endpoint)[0].name
    assert len(request["Environment"]) <= 100


def test_two_stages_that_watch_one_endpoint_run_a_job_each_and_each_has_its_report():
    """Of one name only the first would be made: the other stage would wait for a report that never comes."""
    jobs = [build(reports_uri=f"s3://sagewatch-{stage}-evidence-1-r/reports") for stage in ("dev", "prod")]
    assert len({job.name for job, _ in jobs}) == 2
    for job, request in jobs:
        run = recognise_run({**request, "ProcessingJobStatus": "Completed", "ProcessingEndTime": END})
        assert run.report_uri == job.report_uri
        assert run.report_uri.startswith(job.reports_uri)


def test_endpoints_that_share_their_first_fifty_letters_have_schedules_of_their_own():
    names = ["a" * 50 + end for end in ("", "-eu", "-us", "-eu-1", "bcdefghijklmn")]
    schedules = {name_schedule(name) for name in names}
    assert len(schedules) == len(names)
    assert all(len(one) <= 63 for one in schedules)


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sagemaker", "CreateProcessingJob", build()[1]),
        (
            "sagemaker",
            "CreateMonitoringSchedule",
            build_monitoring_schedule("churn", QUALITY, IMAGE, "s3://b/r"),
        ),
        (
            "scheduler",
            "CreateSchedule",
            build_wake_up(
                "churn", QUALITY, group="g", queue_arn="arn:aws:sqs:r:1:q", role_arn=IMAGE.role_arn
            ),
        ),
    ],
    ids=["job", "schedule", "wake-up"],
)
def test_requests_are_what_the_api_takes(service, operation, request_):
    shape = get_session().get_service_model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request_, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60, 120, 360, 1440])
def test_each_wake_up_finds_the_window_that_ended_at_least_ten_minutes_ago(minutes):
    every = timedelta(minutes=minutes)
    assert build_scheduler_cron(every).startswith("cron(")
    starts = set()
    for step in range(0, 2880, 7):
        span = choose_span(END + timedelta(minutes=step), every)
        assert span.end - span.start == every
        assert (
            timedelta(minutes=10) <= END + timedelta(minutes=step) - span.end < timedelta(minutes=10) + every
        )
        starts.add(span.start)
    assert len(starts) > 1


@pytest.mark.parametrize(
    ("minute", "length", "hours"),
    [(0, 5, ["23", "00"]), (5, 5, ["23", "00"]), (10, 5, ["00"]), (55, 5, ["00"]), (0, 60, ["00"]), (0, 90, ["00", "01"])],
)  # fmt: skip
def test_a_short_window_at_the_beginning_of_an_hour_has_the_file_that_began_in_the_hour_before(
    minute, length, hours
):
    """A file lies in the hour of its first record: that of 23:59 holds what was asked at 00:02."""
    start = END + timedelta(minutes=minute)
    found = list_hours(Span(start, start + timedelta(minutes=length)))
    assert [folder[-2:] for folder in found] == hours
