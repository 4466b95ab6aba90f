"""What an account asks of every job reaches every request that starts one, and each is one that SageMaker takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from sagewatch.cli.monitor import build_image
from sagewatch.diagnose.job import JobPlan, build_explain_job
from sagewatch.flows.diagnosis_commands import _start_job
from sagewatch.flows.monitor_run import build_workshop
from sagewatch.job_security import JobSecurity, read_security
from sagewatch.monitoring.job import Image, MonitoringJob, build_monitoring_job
from sagewatch.monitoring.policy import Quality
from sagewatch.monitoring.schedule import build_monitoring_schedule
from sagewatch.monitoring.window import Span
from sagewatch.settings import load_settings
from tests.unit.flows.test_diagnosis_way_back import hook
from tests.unit.flows.worlds import build_world

VPC = {"Subnets": ["subnet-0123abcd", "subnet-0123abce"], "SecurityGroupIds": ["sg-0123abcd"]}
VOLUME, OUTPUT = (f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in ("volume", "output"))
STRICT = JobSecurity(
    subnets="subnet-0123abcd,subnet-0123abce",
    security_groups="sg-0123abcd",
    volume_key=VOLUME,
    output_key=OUTPUT,
)
ASKED = {
    "job_subnets": STRICT.subnets,
    "job_security_groups": STRICT.security_groups,
    "job_volume_key": VOLUME,
    "job_output_key": OUTPUT,
}
QUALITY = Quality(baseline="s3://b/baseline")
ROLE = "arn:aws:iam::123456789012:role/jobs"


def build_requests(security):
    """Each request that starts a job or makes a schedule of them: operation, whole request, the part that is secured."""
    image = Image(image_uri="i", role_arn=ROLE, instance_type="ml.m5.large", security=security)
    span = Span(datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC))
    run = MonitoringJob(
        endpoint="churn", quality=QUALITY, span=span, capture_uri="s3://b/capture", folders=("churn/v/2026/01/01/09",),
        reports_uri="s3://b/reports",
    )  # fmt: skip
    plan = JobPlan(
        image_uri="i", role_arn=ROLE, instance_type="ml.m5.large", bucket="b", max_images=1, max_runtime_seconds=60,
        security=security,
    )  # fmt: skip
    monitoring = build_monitoring_job(run, image)
    schedule = build_monitoring_schedule("churn", QUALITY, image, "s3://b/reports")
    saliency = build_explain_job(hook().state.load_diagnosis("signs"), plan)
    definition = schedule["MonitoringScheduleConfig"]["MonitoringJobDefinition"]
    return {
        "monitoring job": ("CreateProcessingJob", monitoring, monitoring, "Processing"),
        "saliency job": ("CreateProcessingJob", saliency, saliency, "Processing"),
        "schedule": ("CreateMonitoringSchedule", schedule, definition, "Monitoring"),
    }


@pytest.mark.parametrize("which", ["monitoring job", "saliency job", "schedule"])
def test_each_request_asks_for_the_network_and_both_keys_and_is_one_that_the_api_takes(which):
    operation, request, part, kind = build_requests(STRICT)[which]
    assert part["NetworkConfig"]["VpcConfig"] == VPC
    assert part[f"{kind}Resources"]["ClusterConfig"]["VolumeKmsKeyId"] == VOLUME
    assert part[f"{kind}OutputConfig"]["KmsKeyId"] == OUTPUT
    shape = get_session().get_service_model("sagemaker").operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def test_the_saliency_job_stays_without_a_network_of_its_own_inside_the_vpc():
    _, request, _, _ = build_requests(STRICT)["saliency job"]
    assert request["NetworkConfig"] == {"EnableNetworkIsolation": True, "VpcConfig": VPC}


@pytest.mark.parametrize("security", [STRICT, JobSecurity(), JobSecurity(volume_key=VOLUME)])
def test_what_was_asked_for_is_read_back(security):
    for _, _, part, kind in build_requests(security).values():
        assert read_security(part, kind) == security


def test_where_nothing_is_asked_nothing_is_said():
    for _, request, _, _ in build_requests(JobSecurity()).values():
        assert not {"VpcConfig", "VolumeKmsKeyId", "KmsKeyId"} & set(str(request).replace("'", " ").split())


def test_what_the_stack_tells_the_functions_is_what_their_jobs_ask_for():
    world = build_world()
    told = replace(world, settings=msgspec.structs.replace(world.settings, **ASKED))
    assert build_workshop(told).image.security == STRICT
    hooked = hook(told)
    diagnosis = hooked.state.load_diagnosis("signs")
    _start_job(diagnosis, hooked)
    request = hooked.jobs.describe_processing_job(diagnosis.job)
    assert request["NetworkConfig"]["VpcConfig"] == VPC
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == OUTPUT


def test_the_environment_and_the_stacks_outputs_say_the_same():
    needed = (
        "AWS_REGION",
        "STATE_TABLE",
        "EVENT_BUS",
        "EVIDENCE_BUCKET",
        "CAPTURE_BUCKET",
        "CAPTURE_PREFIX",
        "MONITORS_FILE",
    )
    variables = dict.fromkeys(needed, "x") | {name.upper(): value for name, value in ASKED.items()}
    assert load_settings(variables).job_security == STRICT
    assert load_settings(dict.fromkeys(needed, "x")).job_security == JobSecurity()
    outputs = {
        "MonitorImageUri": "i", "SageMakerRoleArn": ROLE, "MonitorInstanceType": "ml.m5.large", "JobSubnets": STRICT.subnets,
        "JobSecurityGroups": STRICT.security_groups, "JobVolumeKmsKeyArn": VOLUME, "KmsKeyArn": OUTPUT,
    }  # fmt: skip
    assert build_image(outputs).security == STRICT
