"""`sagewatch monitor list`: the latest run is the endpoint's own, whatever its neighbours are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from sagewatch.cli.checks import Patient
from sagewatch.cli.checks.endpoints import check_monitoring
from sagewatch.cli.doctor import examine
from sagewatch.cli.monitor_schedules import EventBridgeSchedules, SageMakerMonitoringSchedules
from sagewatch.cli.schedule_owner import NameTakenError
from sagewatch.job_security import JobSecurity
from sagewatch.monitoring.job import Image, MonitoringJob
from sagewatch.monitoring.policy import Quality, name_schedule
from sagewatch.monitoring.schedule import build_monitoring_schedule, build_wake_up
from sagewatch.monitoring.window import Span
from sagewatch.monitors import parse_monitors
from tests.aws_in_process import empty_aws

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/x"


REPORTS_URI = "s3://b/reports"


def build_job(endpoint, reports_uri=REPORTS_URI):
    span, quality = Span(NOW - timedelta(hours=1), NOW), Quality(baseline="s3://b/baseline")
    return MonitoringJob(
        endpoint=endpoint,
        quality=quality,
        span=span,
        capture_uri="s3://b/capture",
        folders=(),
        reports_uri=reports_uri,
    )


def describe(stub, job):
    output = {
        "S3Uri": job.report_uri,
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    stub.add_response(
        "describe_processing_job",
        {
            "ProcessingJobName": job.name, "ProcessingJobArn": ARN, "ProcessingJobStatus": "Completed", "CreationTime": NOW,
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}},
            "AppSpecification": {"ImageUri": "i"},
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "report", "S3Output": output}]},
        },
        {"ProcessingJobName": job.name},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "theirs", "looked_at"),
    [
        ("churn", build_job("churn-eu"), False),  # its name begins with the other's
        # The first twenty letters agree.
        ("traffic-signs-detector-eu", build_job("traffic-signs-detector-us"), True),
        ("churn", build_job("churn", "s3://b-of-another-stage/reports"), True),
    ],
    ids=["a longer name", "a name that begins so", "another stage"],
)
def test_a_run_of_a_neighbour_or_of_another_stage_is_not_taken_for_the_endpoints_own(
    endpoint, theirs, looked_at
):
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {name: boto3.client(name, **keys) for name in ("scheduler", "sagemaker")}
    stub = Stubber(clients["sagemaker"])
    own = build_job(endpoint)
    rows = [
        {"ProcessingJobName": job.name, "ProcessingJobArn": ARN, "CreationTime": NOW, "ProcessingJobStatus": status}
        for job, status in ((theirs, "Failed"), (own, "Completed"))
    ]  # fmt: skip
    stub.add_response("list_processing_jobs", {"ProcessingJobSummaries": rows})
    if looked_at:
        describe(stub, theirs)
    describe(stub, own)
    session = SimpleNamespace(client=clients.__getitem__)
    with stub:
        last = EventBridgeSchedules(session, {}, REPORTS_URI).find_last_run(endpoint)
    assert last is not None
    assert (last.job, last.status) == (own.name, "Completed")
    stub.assert_no_pending_responses()


VPC = JobSecurity(subnets="subnet-0123abcd", security_groups="sg-0123abcd")


@pytest.mark.parametrize(
    ("standing", "wanted", "change"),
    [
        (VPC, VPC, "unchanged"),
        (VPC, JobSecurity(), "updated"),
        (JobSecurity(), VPC, "updated"),
    ],
)
def test_a_schedule_follows_the_network_that_its_jobs_are_to_have_and_are_no_longer_to_have(
    standing, wanted, change
):
    """What is no longer wanted is no part of the request: only a look at both tells."""
    quality = Quality(baseline="s3://b/baseline")

    def build_image(security):
        return Image(image_uri="i", role_arn=ARN, instance_type="ml.m5.large", security=security)

    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    sagemaker = boto3.client("sagemaker", **keys)
    stub = Stubber(sagemaker)
    config = build_monitoring_schedule("churn", quality, build_image(standing), "s3://e/reports")[
        "MonitoringScheduleConfig"
    ]
    stub.add_response(
        "describe_monitoring_schedule",
        {
            "MonitoringScheduleArn": ARN, "MonitoringScheduleName": "churn-data-quality", "CreationTime": NOW,
            "MonitoringScheduleStatus": "Scheduled", "LastModifiedTime": NOW, "MonitoringScheduleConfig": config,
        },
    )  # fmt: skip
    if change == "updated":
        request = build_monitoring_schedule("churn", quality, build_image(wanted), "s3://e/reports")
        stub.add_response("update_monitoring_schedule", {"MonitoringScheduleArn": ARN}, request)
    session = SimpleNamespace(client=lambda _: sagemaker)
    with stub:
        schedules = SageMakerMonitoringSchedules(session, build_image(wanted), "s3://e/reports")
        assert schedules.put("churn", quality) == change
    stub.assert_no_pending_responses()


LONG = "team-perception-traffic-signs-detector-europe-production"
NEIGHBOUR = "team-perception-traffic-signs-detector-europe-production-b"
LEGACY = "team-perception-traffic-signs-detector-europe-prod-data-quality"
OUTPUTS = {"MonitorScheduleGroup": "g", "MonitorQueueArn": "arn:aws:sqs:eu-west-1:123456789012:q",
           "MonitorScheduleRoleArn": "arn:aws:iam::123456789012:role/r"}  # fmt: skip
HOURLY = Quality(baseline="s3://b/baseline")


def stand_legacy(client, endpoint):
    """The schedule that a version before would have made for the endpoint."""
    places = {
        "group": "g",
        "queue_arn": OUTPUTS["MonitorQueueArn"],
        "role_arn": OUTPUTS["MonitorScheduleRoleArn"],
    }
    client.create_schedule(**{**build_wake_up(endpoint, HOURLY, **places), "Name": LEGACY})


@pytest.fixture
def scheduler():
    """EventBridge Scheduler with the stack's group, and the schedules in it."""
    with empty_aws():
        client = boto3.client("scheduler", region_name="eu-west-1")
        client.create_schedule_group(Name="g")
        yield client


def list_names(client):
    return [row["Name"] for row in client.list_schedules(GroupName="g")["Schedules"]]


@pytest.mark.parametrize("endpoint", [LONG, NEIGHBOUR])
def test_a_schedule_by_the_cut_name_of_before_is_found_and_replaced_if_it_is_the_endpoints_own(
    endpoint, scheduler
):
    stand_legacy(scheduler, endpoint)
    schedules = EventBridgeSchedules(boto3.session.Session(region_name="eu-west-1"), OUTPUTS, REPORTS_URI)
    own, other = name_schedule(LONG), endpoint != LONG
    assert (schedules.find(LONG) is None) is other
    assert schedules.put(LONG, HOURLY) == ("created" if other else "updated")
    assert list_names(scheduler) == sorted([own, LEGACY] if other else [own])
    assert schedules.put(LONG, HOURLY) == "unchanged"
    assert schedules.remove(LONG) is True
    assert list_names(scheduler) == ([LEGACY] if other else [])


@pytest.mark.parametrize("other", [False, True])
def test_a_schedule_by_the_cut_name_is_told_beside_the_endpoints_own_if_it_is_the_endpoints_too(
    other, scheduler
):
    schedules = EventBridgeSchedules(boto3.session.Session(region_name="eu-west-1"), OUTPUTS, REPORTS_URI)
    schedules.put(LONG, HOURLY)
    stand_legacy(scheduler, NEIGHBOUR if other else LONG)
    found = schedules.find(LONG)
    assert (found.name, found.beside) == (name_schedule(LONG), () if other else (LEGACY,))


@pytest.mark.parametrize("endpoint", [LONG, NEIGHBOUR])
def test_a_schedule_by_the_cut_name_of_before_is_removed_if_it_is_the_endpoints_own(endpoint, scheduler):
    stand_legacy(scheduler, endpoint)
    schedules = EventBridgeSchedules(boto3.session.Session(region_name="eu-west-1"), OUTPUTS, REPORTS_URI)
    assert schedules.remove(LONG) is (endpoint == LONG)
    assert list_names(scheduler) == ([] if endpoint == LONG else [LEGACY])


@pytest.mark.parametrize("theirs", [False, True])
def test_a_monitoring_schedule_by_the_cut_name_is_removed_only_if_its_job_looks_at_the_endpoint(theirs):
    image = Image(image_uri="i", role_arn=ARN, instance_type="ml.m5.large")
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    sagemaker = boto3.client("sagemaker", **keys)
    stub = Stubber(sagemaker)
    request = build_monitoring_schedule(NEIGHBOUR if theirs else LONG, HOURLY, image, "s3://e/reports")
    stub.add_client_error("describe_monitoring_schedule", "ResourceNotFound")
    stub.add_response(
        "describe_monitoring_schedule",
        {
            "MonitoringScheduleArn": ARN, "MonitoringScheduleName": LEGACY, "CreationTime": NOW, "LastModifiedTime": NOW,
            "MonitoringScheduleStatus": "Scheduled", "MonitoringScheduleConfig": request["MonitoringScheduleConfig"],
        },
        {"MonitoringScheduleName": LEGACY},
    )  # fmt: skip
    if not theirs:
        stub.add_response("delete_monitoring_schedule", {}, {"MonitoringScheduleName": LEGACY})
    with stub:
        schedules = SageMakerMonitoringSchedules(
            SimpleNamespace(client=lambda _: sagemaker), image, "s3://e/reports"
        )
        assert schedules.remove(LONG) is not theirs
    stub.assert_no_pending_responses()


CUT = "team-perception-traffic-signs-detector-europe-prod"
"""As long as a name can be that is not cut: its schedule has the name that LONG's had."""


def test_a_schedule_that_has_the_name_only_because_another_endpoints_was_cut_to_it_is_left_to_that_one(
    scheduler,
):
    assert name_schedule(CUT) == LEGACY
    stand_legacy(scheduler, LONG)
    schedules = EventBridgeSchedules(boto3.session.Session(region_name="eu-west-1"), OUTPUTS, REPORTS_URI)
    assert schedules.find(CUT) is None
    assert schedules.remove(CUT) is False
    with pytest.raises(NameTakenError, match=f"sagewatch monitor create {LONG}") as taken:
        schedules.put(CUT, HOURLY)
    assert (taken.value.schedule, taken.value.owner) == (LEGACY, LONG)
    told = scheduler.get_schedule(GroupName="g", Name=LEGACY)
    assert f'"endpoint":"{LONG}"' in told["Target"]["Input"]
    assert schedules.remove(LONG)  # what the sentence advises
    assert schedules.put(LONG, HOURLY) == "created"
    assert schedules.put(CUT, HOURLY) == "created"
    assert sorted(list_names(scheduler)) == sorted([name_schedule(LONG), LEGACY])


def test_a_wake_up_that_is_none_of_ours_is_neither_overwritten_nor_removed(scheduler):
    target = {"Arn": OUTPUTS["MonitorQueueArn"], "RoleArn": OUTPUTS["MonitorScheduleRoleArn"], "Input": "hi"}
    scheduler.create_schedule(
        GroupName="g", Name="churn-data-quality", ScheduleExpression="rate(1 hour)", Target=target,
        FlexibleTimeWindow={"Mode": "OFF"},
    )  # fmt: skip
    schedules = EventBridgeSchedules(boto3.session.Session(region_name="eu-west-1"), OUTPUTS, REPORTS_URI)
    assert (schedules.find("churn"), schedules.remove("churn")) == (None, False)
    with pytest.raises(NameTakenError, match="not made by Sagewatch"):
        schedules.put("churn", HOURLY)


@pytest.mark.parametrize("theirs", ["another endpoint's", "another program's", "a definition's"])
def test_a_monitoring_schedule_of_the_same_name_that_is_anothers_is_neither_overwritten_nor_removed(theirs):
    image = Image(image_uri="i", role_arn=ARN, instance_type="ml.m5.large")
    config = build_monitoring_schedule(CUT, HOURLY, image, "s3://e/reports")["MonitoringScheduleConfig"]
    job = config["MonitoringJobDefinition"]
    if theirs == "another endpoint's":
        job["MonitoringInputs"][0]["EndpointInput"]["EndpointName"] = LONG
    elif theirs == "another program's":
        del job["MonitoringAppSpecification"]["ContainerEntrypoint"]
    else:
        config = {"MonitoringJobDefinitionName": "theirs", "ScheduleConfig": config["ScheduleConfig"]}
    sagemaker = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    stub = Stubber(sagemaker)
    for _ in range(4):
        stub.add_response(
            "describe_monitoring_schedule",
            {
                "MonitoringScheduleArn": ARN, "MonitoringScheduleName": LEGACY, "CreationTime": NOW, "LastModifiedTime": NOW,
                "MonitoringScheduleStatus": "Scheduled", "MonitoringScheduleConfig": config,
            },
            {"MonitoringScheduleName": LEGACY},
        )  # fmt: skip
    schedules = SageMakerMonitoringSchedules(
        SimpleNamespace(client=lambda _: sagemaker), image, "s3://e/reports"
    )
    with stub:
        assert (schedules.find(CUT), schedules.remove(CUT)) == (None, False)
        with pytest.raises(NameTakenError) as taken:
            schedules.put(CUT, HOURLY)
    assert taken.value.owner == (LONG if theirs == "another endpoint's" else "")
    stub.assert_no_pending_responses()


def test_a_run_of_before_the_upgrade_whose_report_lies_under_the_cut_name_is_still_the_endpoints_latest():
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {name: boto3.client(name, **keys) for name in ("scheduler", "sagemaker")}
    stub = Stubber(clients["sagemaker"])
    job = build_job(LONG)
    row = {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": ARN,
        "CreationTime": NOW,
        "ProcessingJobStatus": "Completed",
    }
    stub.add_response("list_processing_jobs", {"ProcessingJobSummaries": [row]})
    before = SimpleNamespace(name=job.name, report_uri=job.report_uri.replace(name_schedule(LONG), LEGACY))
    describe(stub, before)
    with stub:
        last = EventBridgeSchedules(
            SimpleNamespace(client=clients.__getitem__), {}, REPORTS_URI
        ).find_last_run(LONG)
    assert last is not None
    assert last.job == job.name


REPORTS = "s3://sagewatch-{}-evidence-123456789012-eu-west-1/reports"


class SageMaker:
    """SageMaker's monitoring schedules as a dict, whichever stage asks."""

    def __init__(self):
        self.there, self.calls = {}, []

    def describe_monitoring_schedule(self, **request):
        name = request["MonitoringScheduleName"]
        if name not in self.there:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": ""}}, "Describe")
        config = self.there[name]
        return {**request, "MonitoringScheduleStatus": "Scheduled", "MonitoringScheduleConfig": config}

    def create_monitoring_schedule(self, **request):
        assert request["MonitoringScheduleName"] not in self.there
        self._keep("create", request)

    def update_monitoring_schedule(self, **request):
        assert request["MonitoringScheduleName"] in self.there
        self._keep("update", request)

    def delete_monitoring_schedule(self, **request):
        self.calls.append("delete")
        del self.there[request["MonitoringScheduleName"]]

    def _keep(self, call, request):
        self.calls.append(call)
        self.there[request["MonitoringScheduleName"]] = request["MonitoringScheduleConfig"]


def open_stage(sagemaker, stage):
    image = Image(image_uri="i", role_arn=ARN, instance_type="ml.m5.large")
    return SageMakerMonitoringSchedules(
        SimpleNamespace(client=lambda _: sagemaker), image, REPORTS.format(stage)
    )


@pytest.mark.parametrize("endpoint", ["churn", LONG, "a" * 63])
def test_two_stages_on_one_endpoint_have_a_schedule_each_and_leave_each_other_alone(endpoint):
    sagemaker = SageMaker()
    dev, prod = (open_stage(sagemaker, stage) for stage in ("dev", "prod"))
    assert [one.put(endpoint, HOURLY) for one in (dev, prod, dev, prod)] == ["created"] * 2 + [
        "unchanged"
    ] * 2
    names = {one.find(endpoint).name for one in (dev, prod)}
    assert names == sagemaker.there.keys()
    assert len(names) == 2
    assert dev.remove(endpoint) is True
    assert (dev.find(endpoint), prod.find(endpoint).name in sagemaker.there) == (None, True)


@pytest.mark.parametrize(
    ("endpoint", "old"), [("churn", "churn-data-quality"), (LONG, LEGACY), (LONG, name_schedule(LONG))]
)
def test_a_stages_schedule_of_an_earlier_version_goes_on_under_its_name_without_a_gap_or_a_second_run(
    endpoint, old
):
    """SageMaker cannot rename one: a second beside it would run twice, one made after it would miss a run."""
    sagemaker = SageMaker()
    dev, prod = (open_stage(sagemaker, stage) for stage in ("dev", "prod"))
    before = build_monitoring_schedule(endpoint, HOURLY, dev._image, REPORTS.format("dev"))
    sagemaker.there[old] = before["MonitoringScheduleConfig"]
    assert dev.put(endpoint, HOURLY) == "unchanged"
    assert dev.put(endpoint, Quality(baseline="s3://b/other")) == "updated"
    assert (sagemaker.calls, list(sagemaker.there)) == (["update"], [old])
    # It is dev's: prod makes its own, and never touches it.
    assert prod.find(endpoint) is None
    assert prod.remove(endpoint) is False
    assert prod.put(endpoint, HOURLY) == "created"
    assert len(sagemaker.there) == 2
    assert dev.find(endpoint).name == old


def test_of_two_that_an_interrupted_upgrade_left_one_goes_on():
    sagemaker = SageMaker()
    dev = open_stage(sagemaker, "dev")
    config = build_monitoring_schedule(LONG, HOURLY, dev._image, REPORTS.format("dev"))[
        "MonitoringScheduleConfig"
    ]
    sagemaker.there = {LEGACY: config, name_schedule(LONG): config}
    assert dev.find(LONG).beside == (LEGACY,)
    assert dev.put(LONG, HOURLY) == "unchanged"
    assert list(sagemaker.there) == [name_schedule(LONG)]


@pytest.mark.parametrize("endpoint", ["churn", LONG])
def test_one_that_an_older_command_line_made_beside_it_is_named_by_the_doctor_and_goes_with_the_next_create(
    endpoint,
):
    sagemaker = SageMaker()
    dev = open_stage(sagemaker, "dev")
    dev.put(endpoint, HOURLY)
    (new,) = sagemaker.there
    older = build_monitoring_schedule(endpoint, HOURLY, dev._image, dev._reports_uri)
    sagemaker.there[older["MonitoringScheduleName"]] = older["MonitoringScheduleConfig"]
    monitors = f"version: 1\nendpoints: {{{endpoint}: {{quality: {{baseline: 's3://b/baseline', scheduler: model-monitor}}}}}}"
    patient = Patient(
        client=lambda _: sagemaker,
        outputs={**OUTPUTS, "EvidenceBucket": dev._reports_uri.split("/")[2], "MonitorImageUri": "i",
                 "SageMakerRoleArn": ARN, "MonitorInstanceType": "ml.m5.large"},
        stack="sagewatch-dev", monitors=parse_monitors(monitors, "monitors.yml"), now=NOW,
    )  # fmt: skip
    there, beside = examine(patient, [check_monitoring])
    assert (there.well, beside.well) == (True, False)
    assert beside.found.startswith(older["MonitoringScheduleName"])
    assert dev.put(endpoint, HOURLY) == "unchanged"
    assert list(sagemaker.there) == [new]
    assert [line.well for line in examine(patient, [check_monitoring])] == [True]


def test_whoever_finds_a_name_taken_by_a_kept_schedule_of_sagemakers_gets_on_by_what_the_sentence_says():
    """An endpoint's name may end like a stage's: SageMaker renames nothing, so the schedule must go before it comes."""
    sagemaker, other = SageMaker(), "churn--prod"
    prod = open_stage(sagemaker, "prod")
    kept = build_monitoring_schedule(other, HOURLY, prod._image, REPORTS.format("prod"))
    sagemaker.there["churn--prod-data-quality"] = kept["MonitoringScheduleConfig"]
    advice = rf"`sagewatch monitor delete {other}` and `sagewatch monitor create {other}`"
    with pytest.raises(NameTakenError, match=advice):
        prod.put("churn", HOURLY)
    assert prod.remove(other)
    assert [prod.put(one, HOURLY) for one in (other, "churn")] == ["created"] * 2
