"""`mode: replay`, whole, on the local SageMaker: a real model behind a real endpoint, its captures, the real job, the page.

The endpoint answers the traffic and is never touched: no model, no configuration and no update is made.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sagewatch.aws.client import build_client
from sagewatch.cli.model_archive import build_model_archive
from sagewatch.entry import handle
from sagewatch.events import Ticked
from sagewatch.finding import Window
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.sandbox.local_aws import LocalAws
from sagewatch.sandbox.sagemaker.service import SageMakerSettings
from tests.endpoint_under_test import ENDPOINT_CODE, WEIGHTS, encode_npy
from tests.integration.diagnosis_stage import FLOWS, Clock, build_world, make_config, prepare
from tests.unit.flows.worlds import build_event, build_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
CLEAN, ATTACKED, REPLAYED = 6, 9, 13  # a third of what is replayed is clean


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    settings = SageMakerSettings(
        startup_timeout_seconds=120, capture_flush_records=3, capture_flush_seconds=0.5
    )
    directory = tmp_path_factory.mktemp("aws") / "sandbox"
    with LocalAws(directory, sagemaker=settings) as local, pytest.MonkeyPatch.context() as patch:
        for name, value in local.environment.items():
            patch.setenv(name, value)
        build_client.cache_clear()
        prepare(local)
        config = make_config(local, "plain", build_model_archive(ENDPOINT_CODE, WEIGHTS))
        sagemaker = local.client("sagemaker")
        sagemaker.create_endpoint(EndpointName="signs", EndpointConfigName=config)
        while sagemaker.describe_endpoint(EndpointName="signs")["EndpointStatus"] == "Creating":
            time.sleep(0.2)
        yield local
        build_client.cache_clear()


def invoke(aws, count, seed):
    """Send drawn stop signs and wait until they are captured."""
    from sagewatch.sandbox.signs import draw_sign

    rng = np.random.default_rng(seed)
    before, answered = len(list_captures(aws)), count_captured(aws)
    for _ in range(count):
        answer = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="signs", ContentType="application/x-npy", Body=encode_npy(draw_sign(14, rng))
        )
        assert json.loads(answer["Body"].read())[0][0] == 14
    deadline = time.monotonic() + 30
    while count_captured(aws) < answered + count and time.monotonic() < deadline:
        time.sleep(0.2)
    return list_captures(aws)[before:]


def list_captures(aws):
    listed = aws.client("s3").list_objects_v2(Bucket="captures", Prefix="capture/").get("Contents", [])
    return sorted((row["LastModified"], row["Key"], row["ETag"].strip('"')) for row in listed)


def count_captured(aws):
    return sum(
        aws.client("s3").get_object(Bucket="captures", Key=key)["Body"].read().count(b"\n")
        for _, key, _ in list_captures(aws)
    )


def ingest(world, captures):
    for _, key, etag in captures:
        detail = {"bucket": {"name": "captures"}, "object": {"key": key, "size": 1, "etag": etag}}
        event = {
            "id": key, "source": "aws.s3", "detail-type": "Object Created", "time": world.now().isoformat(),
            "detail": detail,
        }  # fmt: skip
        handle(ingest_capture, event, world)


def run_to_the_end(aws, world, incident_id):
    queue = aws.client("sqs").get_queue_url(QueueName="facts")["QueueUrl"]
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for message in (
            aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        ):
            aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if event["detail-type"] in FLOWS and event["detail-type"] != "Finding Raised":
                handle(FLOWS[event["detail-type"]], event, world)
        tick(Ticked(world.now()), world)
        diagnosis = world.state.load_diagnosis_of(incident_id)
        if diagnosis is not None and diagnosis.told:
            return diagnosis
        time.sleep(0.5)
    raise AssertionError(world.state.load_entries(incident_id))


def test_captured_requests_of_the_incident_are_explained_and_the_endpoint_is_never_touched(aws):
    world = build_world(aws, "signs", Clock(), mode="replay", observe=f"{{requests: {REPLAYED}}}")
    sagemaker = aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName="signs")
    ingest(world, invoke(aws, CLEAN, seed=1))
    time.sleep(1.1)  # captures tell the time by the second: those of the finding begin after the clean ones
    since = world.now().replace(microsecond=0)
    ingest(world, invoke(aws, ATTACKED, seed=2))
    ingest(world, list_captures(aws))  # a redelivery changes nothing
    window = Window(since, world.now() + timedelta(seconds=1), ATTACKED)
    finding = build_finding(raised_at=world.now(), window=window)
    handle(manage_incident, build_event(finding), world)
    incident_id = f"{finding.raised_at:%Y%m%dT%H%M%SZ}-{finding.fingerprint}"
    diagnosis = run_to_the_end(aws, world, incident_id)
    assert (diagnosis.mode, diagnosis.outcome) == ("replay", "explained")
    check_never_touched(sagemaker, before)
    check_bundle(aws, world, incident_id)


def check_never_touched(sagemaker, before):
    after = sagemaker.describe_endpoint(EndpointName="signs")
    for key in ("EndpointConfigName", "EndpointStatus", "LastModifiedTime"):
        assert after[key] == before[key]
    assert [model["ModelName"] for model in sagemaker.list_models()["Models"]] == ["plain"]
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1


def check_bundle(aws, world, incident_id):
    """The report names each request of the capture; the page shows them with their roles and the comparison."""
    s3 = aws.client("s3")
    body = s3.get_object(Bucket="evidence", Key=f"incidents/{incident_id}/explain/explanations.json")["Body"]
    report = json.loads(body.read())
    roles = [image["role"] for image in report["images"]]
    assert roles.count("suspicious") == ATTACKED
    assert roles.count("clean") == REPLAYED // 3
    assert report["completeness_max_relative_error"] <= 1e-6
    captured = {
        json.loads(line)["eventMetadata"]["eventId"]
        for _, key, _ in list_captures(aws)
        for line in s3.get_object(Bucket="captures", Key=key)["Body"].read().splitlines()
    }
    assert {image["request_id"] for image in report["images"]} <= captured
    page = s3.get_object(Bucket="evidence", Key=f"incidents/{incident_id}/index.html")["Body"].read().decode()
    assert f"{len(roles)} of {len(roles)} found in the data capture" in page
    assert 'id="looks"' in page
    trail = {entry.what for entry in world.state.load_entries(incident_id)}
    assert {"diagnosis_started", "diagnosis_finished", "diagnosis_compared", "diagnosis_cost"} <= trail
