"""`sagewatch monitor list`: the latest run is the endpoint's own, whatever its neighbours are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from sagewatch.cli.monitor_schedules import EventBridgeSchedules, SageMakerMonitoringSchedules
from sagewatch.job_security import JobSecurity
from sagewatch.monitoring.job import Image, MonitoringJob
from sagewatch.monitoring.policy import Quality
from sagewatch.monitoring.schedule import build_monitoring_schedule
from sagewatch.monitoring.window import Span

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/x"


def build_job(endpoint):
    span, quality = Span(NOW - timedelta(hours=1), NOW), Quality(baseline="s3://b/baseline")
    return MonitoringJob(
        endpoint=endpoint,
        quality=quality,
        span=span,
        capture_uri="s3://b/capture",
        folders=(),
        reports_uri="s3://b/reports",
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
    ("endpoint", "neighbour", "looked_at"),
    [
        ("churn", "churn-eu", False),  # its name begins with the other's
        ("traffic-signs-detector-eu", "traffic-signs-detector-us", True),  # the first twenty letters agree
    ],
)
def test_a_neighbours_run_is_not_taken_for_the_endpoints_own(endpoint, neighbour, looked_at):
    keys = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {name: boto3.client(name, **keys) for name in ("scheduler", "sagemaker")}
    stub = Stubber(clients["sagemaker"])
    theirs, own = build_job(neighbour), build_job(endpoint)
    rows = [
        {"ProcessingJobName": job.name, "ProcessingJobArn": ARN, "CreationTime": NOW, "ProcessingJobStatus": status}
        for job, status in ((theirs, "Failed"), (own, "Completed"))
    ]  # fmt: skip
    stub.add_response("list_processing_jobs", {"ProcessingJobSummaries": rows})
    if looked_at:
        describe(stub, theirs)
    describe(stub, own)
    with stub:
        last = EventBridgeSchedules(SimpleNamespace(client=clients.__getitem__), {}).find_last_run(endpoint)
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
        (None, JobSecurity(), "updated"),
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
    config = build_monitoring_schedule("churn", quality, build_image(standing or wanted), "s3://e/reports")[
        "MonitoringScheduleConfig"
    ]
    if standing is None:  # somebody made it with a definition apart
        config = {"MonitoringJobDefinitionName": "theirs", "ScheduleConfig": config["ScheduleConfig"]}
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
