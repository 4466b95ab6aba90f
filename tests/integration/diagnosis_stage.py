"""A local AWS with one endpoint that is diagnosed again and again, each time with another thing going wrong."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.events import Ticked
from sagewatch.evidence.trail import build_trail
from sagewatch.finding import Stream, build_fingerprint
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.monitors import parse_monitors
from tests.unit.flows.worlds import build_event, build_finding
from tests.unit.flows.worlds import build_world as build_memory_world

if TYPE_CHECKING:
    from sagewatch.sandbox.local_aws import LocalAws
    from sagewatch.world import World

MODEL = """
import json, os, sys

def model_fn(model_dir):
    if os.environ.get("CRASHES") and os.environ.get("TENSORS_OUTPUT"):
        sys.exit("the hooked model is broken")

def transform_fn(model, data, content_type, accept):
    return json.dumps([[14, 0.9]]), "application/json"
"""
PROGRAM = """
import json, os, pathlib
out = pathlib.Path(os.environ["CONTAINER_ROOT"]) / "opt/ml/processing/output"
row = {"input": "inputs/1.png", "overlay": "overlays/1.png"}
(out / "explanations.json").write_text(json.dumps({"images": [row], "added_milliseconds": 12.5}))
"""
FLOWS = {
    "Finding Raised": manage_incident,
    "Incident Opened": advance_diagnosis,
    "Diagnosis Due": advance_diagnosis,
    "SageMaker Endpoint State Change": advance_diagnosis,
    "SageMaker Processing Job State Change": advance_diagnosis,
}
ROLE = "arn:aws:iam::123456789012:role/model"


class Clock:
    """The wall clock, and as much later as a test wants it to be."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251 (an edge)


def prepare(aws: LocalAws) -> None:
    """Table, buckets, bus, queue and rules, as the stack has them."""
    aws.client("dynamodb").create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    for bucket in ("evidence", "captures"):
        aws.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region}
        )
    url = aws.client("sqs").create_queue(QueueName="facts")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events = aws.client("events")
    events.create_event_bus(Name="sagewatch")
    for bus, source in (("default", "aws.sagemaker"), ("sagewatch", "sagewatch")):
        events.put_rule(Name=f"all-{bus}", EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(Rule=f"all-{bus}", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])


def build_small_archive() -> bytes:
    """A model that answers and records nothing."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(MODEL.encode())
        archive.addfile(member, io.BytesIO(MODEL.encode()))
    return data.getvalue()


def make_config(
    aws: LocalAws, name: str, archive: bytes = b"", mode: str = "SingleModel", **environment: str
) -> str:
    """A model and a configuration that captures."""
    key = f"models/{name}.tar.gz"
    aws.client("s3").put_object(Bucket="captures", Key=key, Body=archive or build_small_archive())
    sagemaker = aws.client("sagemaker")
    container = {
        "Image": "i", "Mode": mode, "ModelDataUrl": f"s3://captures/{key}", "Environment": environment,
    }  # fmt: skip
    tags = [{"Key": "team", "Value": "perception"}]
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=tags)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captures/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture, Tags=tags
    )
    return name


def build_world(aws: LocalAws, endpoint: str, clock: Clock, **policy: str) -> World:
    """The real flows' world on the real adapters; mail and chat are none of a diagnosis's business."""
    from sagewatch.aws.dynamodb import DynamoItems
    from sagewatch.aws.eventbridge import EventBridgeBus
    from sagewatch.aws.s3 import S3Objects
    from sagewatch.aws.sagemaker import SageMakerHosting, SageMakerJobs
    from sagewatch.state import State

    observe = "{requests: 4, at_most: 20m}"
    limits = {"observe": observe, "swap_within": "30m", "explain_within": "60m", **policy}
    words = ", ".join(f"{key}: {value}" for key, value in limits.items())
    monitors = parse_monitors(
        f"version: 1\nendpoints: {{{endpoint}: {{diagnosis: {{cooldown: 1s, per_day: 100, {words}}}}}}}",
        "monitors.yml",
    )
    memory = build_memory_world()
    return dataclasses.replace(
        memory,
        settings=msgspec.structs.replace(memory.settings, explain_role_arn=ROLE),
        state=State(DynamoItems("state")),
        objects=S3Objects(),
        bus=EventBridgeBus("sagewatch"),
        hosting=SageMakerHosting(),
        jobs=SageMakerJobs(),
        now=clock,
        monitors=monitors,
    )


class Story:
    """One diagnosis on a local endpoint, from its finding to its end.

    Attributes
    ----------
    records
        Whether the hooked endpoint records tensors.
    delivers
        Whether SageMaker's events reach us; what does not is kept, in order.
    """

    def __init__(self, aws: LocalAws, endpoint: str, number: int, clock: Clock, **policy: str) -> None:
        self.aws, self.endpoint, self.clock = aws, endpoint, clock
        self.world = build_world(aws, endpoint, clock, **policy)
        self.records, self.delivers, self.kept = True, True, []
        self._again: list[dict[str, Any]] = []
        self._queue = aws.client("sqs").get_queue_url(QueueName="facts")["QueueUrl"]
        stream = Stream(endpoint, "AllTraffic")
        raised = clock()
        finding = build_finding(
            finding_id=f"f{number}",
            endpoint=endpoint,
            fingerprint=build_fingerprint(stream, "class-concentration", str(number)),
            subject=str(number),
            raised_at=raised,
        )
        self.incident_id = f"{raised:%Y%m%dT%H%M%SZ}-{finding.fingerprint}"
        handle(manage_incident, build_event(finding), self.world)

    def run(self, until: str = "told", timeout_seconds: float = 90) -> None:
        """Deliver events and ticks until the diagnosis is told, or in the wanted phase."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.deliver()
            self.wake()
            diagnosis = self.diagnosis
            if diagnosis is not None and (diagnosis.told if until == "told" else diagnosis.phase == until):
                return
            if until != "observing":  # what is recorded would end it before it is seen
                self.record()
            time.sleep(0.2)
        raise AssertionError(f"not {until}: {self.diagnosis}")

    def wake(self) -> None:
        try:
            tick(Ticked(self.clock()), self.world)
        except RetryError:
            return

    @property
    def diagnosis(self):
        return self.world.state.load_diagnosis_of(self.incident_id)

    def deliver(self) -> None:
        again, self._again = self._again, []
        for event in again:  # as the queue does
            self.give(event)
        sqs = self.aws.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if not self.delivers and event["source"] == "aws.sagemaker":
                    self.kept.append(event)
                else:
                    self.give(event)

    def drop(self, detail_type: str) -> None:
        """Lose what waits of one kind; the rest is delivered."""
        sqs, kept = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                kept.append(json.loads(message["Body"]))
        dropped = [event for event in kept if event["detail-type"] == detail_type]
        assert dropped, "there is something to lose"
        for event in kept:
            if event not in dropped:
                self.give(event)

    def give(self, event: dict[str, Any]) -> None:
        flow = FLOWS.get(event["detail-type"])
        if flow is None:
            return
        try:
            handle(flow, event, self.world)
        except RetryError:
            self._again.append(event)

    def record(self) -> None:
        live = self.describe()
        if not self.records or not live["EndpointConfigName"].startswith("sagewatch-hooked-"):
            return
        for n in range(4):
            key = f"tensors/{self.incident_id}/w/index/000000000/{n:012d}_worker_0.json"
            self.aws.client("s3").put_object(Bucket="evidence", Key=key, Body=b"{}")

    def describe(self) -> dict[str, Any]:
        """The endpoint, past the API and its faults."""
        record = self.aws.sagemaker.store.endpoints[self.endpoint]
        return {"EndpointConfigName": record.config_name, "EndpointStatus": record.status}

    def settle(self) -> dict[str, Any]:
        while (now := self.describe())["EndpointStatus"] in {"Creating", "Updating"}:
            time.sleep(0.1)
        return now

    def check_end(self, outcome: str, config: str) -> str:
        """What must hold whatever went wrong; the trail in words."""
        live = self.settle()
        assert (live["EndpointConfigName"], live["EndpointStatus"]) == (config, "InService")
        diagnosis = self.diagnosis
        entries = self.world.state.load_entries(self.incident_id)
        assert diagnosis.outcome == outcome, [(e.what, e.reason, e.data) for e in entries]
        assert diagnosis.phase.over
        assert diagnosis.told
        lease = self.world.state.load_diagnosis(self.endpoint)
        assert lease.phase.over, "the lease is released"
        incident = self.world.state.load_incident(self.incident_id)
        assert (incident.diagnosis.stage, incident.diagnosis.reason) == (diagnosis.phase, outcome)
        sagemaker = self.aws.client("sagemaker")
        left = [m["ModelName"] for m in sagemaker.list_models()["Models"]]
        left += [c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
        assert not [name for name in left if name.startswith("sagewatch-")]
        jobs = sagemaker.list_processing_jobs(StatusEquals="InProgress")["ProcessingJobSummaries"]
        assert not jobs
        return " ".join(map(str, build_trail(self.world.state.load_entries(self.incident_id))))
