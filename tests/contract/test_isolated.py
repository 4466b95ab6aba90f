"""Every function answers its event on Lambda's Python, from the layer's zip and its own zip alone.

The interpreter is isolated (``-I``): neither this machine's packages nor the repository are on its path. AWS is moto on
127.0.0.1. x86_64 runs; of arm64, whose code cannot run here, the zip's contents are checked.
"""

from __future__ import annotations

import json
import struct
import subprocess
import zipfile
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from layers.build_core import build_core, find_runtime_python

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT, REGION = "123456789012", "eu-west-1"
MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine of ELF
TAGS = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
PROGRAM = """
import json, re, sys
sys.path[:0] = [{code!r}, {layer!r}]
from functions.{name}.handler import handler

class Context:
    function_name = "{name}"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:{name}"
    aws_request_id = "1"

    def get_remaining_time_in_millis(self):
        return 60_000

answer = handler(json.load(sys.stdin), Context())
places = sorted({{m.__file__.split("/site-packages/")[0] for m in sys.modules.values() if getattr(m, "__file__", None)}})
print()
print(json.dumps({{"answer": answer, "megabytes": int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024,
    "outside": [p for p in places if not p.startswith(({code!r}, {layer!r}, sys.base_prefix))]}}))
"""
CAPTURED = {
    "captureData": {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "application/json", "mode": "OUTPUT", "data": "[[14, 0.9]]", "encoding": "JSON",
        },
    },
    "eventMetadata": {"eventId": "1", "inferenceTime": "2026-11-21T10:33:28Z"},
    "eventVersion": "0",
}  # fmt: skip
KEY = "capture/Traffic-Signs/AllTraffic/2026/11/21/10/33-28-867-b7b86a39-05ee-4c2d-8b67-0d5f8f1d3c55.jsonl"
FINDING = {
    "schema": 1, "finding_id": "f", "fingerprint": "aa", "account": ACCOUNT, "region": REGION,
    "endpoint": "Traffic-Signs", "variant": "AllTraffic", "kind": "class-concentration", "subject": "14",
    "severity": "critical", "source": "s3://captures/x", "raised_at": "2026-11-21T10:34:00Z",
    "evidence": {"statistic": 9.0, "threshold": 6.0, "log10_excess": 3.0, "effect_size": 0.5, "effect_unit": "share",
                 "observed": 0.6, "expected": 0.1},
    "window": {"start": "2026-11-21T10:33:00Z", "end": "2026-11-21T10:34:00Z", "predictions": 12},
    "detector": {"name": "class-concentration", "version": "1", "config_hash": "c"},
}  # fmt: skip


def envelope(source, kind, detail):
    return {
        "version": "0", "id": "e", "source": source, "detail-type": kind, "account": ACCOUNT, "region": REGION,
        "time": "2026-11-21T10:35:00Z", "resources": [], "detail": detail,
    }  # fmt: skip


class Stand:
    """moto with what the functions are told of, and the functions as Lambda would unpack them."""

    def __init__(self, url, packaged, layer, folder):
        self.url, self.packaged, self.layer, self.folder = url, packaged, layer, folder
        s3 = self.client("s3")
        for bucket in ("captures", "evidence"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="captures", Key=KEY, Body=json.dumps(CAPTURED).encode() + b"\n")
        keys = ("pk", "sk")
        self.client("dynamodb").create_table(
            TableName="state", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"), strict=True)],
        )  # fmt: skip
        events, sqs = self.client("events"), self.client("sqs")
        events.create_event_bus(Name="facts")
        self.heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
        events.put_rule(Name="all", EventBusName="facts", EventPattern=json.dumps({"source": ["sagewatch"]}))
        events.put_targets(
            Rule="all",
            EventBusName="facts",
            Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"}],
        )
        self.topic = self.client("sns").create_topic(Name="alerts")["TopicArn"]
        self.variables = {
            "AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x", "AWS_LAMBDA_FUNCTION_NAME": "f", "POWERTOOLS_TRACE_DISABLED": "1",
            "STATE_TABLE": "state", "EVENT_BUS": "facts", "EVIDENCE_BUCKET": "evidence", "CAPTURE_BUCKET": "captures",
            "CAPTURE_PREFIX": "capture", "ALERTS_TOPIC_ARN": self.topic, "EXPLAIN_IMAGE_URI": "i", "EXPLAIN_ROLE_ARN": "r",
        }  # fmt: skip

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    def run(self, name, event):
        """The function's answer to one message of its queue, and what it needed."""
        code = self.folder / name
        with zipfile.ZipFile(self.packaged / f"{name}.zip") as archive:
            archive.extractall(code)
            (monitors,) = [entry for entry in archive.namelist() if entry.endswith("monitors.json")]
        record = {
            "messageId": "m", "receiptHandle": "r", "body": json.dumps(event), "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "awsRegion": REGION,
        }  # fmt: skip
        # What comes through a Function URL is the event itself.
        asked = event if "requestContext" in event else {"Records": [record]}
        done = subprocess.run(
            [find_runtime_python(), "-I", "-B", "-c", PROGRAM.format(name=name, code=str(code), layer=str(self.layer))],
            input=json.dumps(asked),
            env={**self.variables, "MONITORS_FILE": monitors, "LAMBDA_TASK_ROOT": str(code)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert "requestContext" in event or told["answer"] == {"batchItemFailures": []}, done.stdout
        assert told["outside"] == [], "a module came from elsewhere than layer, function and Python itself"
        print(f"{name}: {told['megabytes']:.0f} MB at its peak")
        return told

    def read_bus(self):
        """What was published since the last look: detail type and detail."""
        rows = (
            self.client("sqs")
            .receive_message(QueueUrl=self.heard, MaxNumberOfMessages=10)
            .get("Messages", [])
        )
        for row in rows:
            self.client("sqs").delete_message(QueueUrl=self.heard, ReceiptHandle=row["ReceiptHandle"])
        bodies = [json.loads(row["Body"]) for row in rows]
        return [(body["detail-type"], body["detail"]) for body in bodies]

    def list_keys(self):
        rows = self.client("dynamodb").scan(TableName="state")["Items"]
        return {(row["pk"]["S"].split("#")[0], row["sk"]["S"].split("#")[0]) for row in rows}


@pytest.fixture(scope="module")
def stand(packaged, tmp_path_factory):
    if find_runtime_python() is None:
        pytest.skip("no python3.13 here, which is what Lambda runs")
    folder = tmp_path_factory.mktemp("lambda")
    with zipfile.ZipFile(ROOT / ".build" / "layers" / "core-x86_64.zip") as archive:
        archive.extractall(folder / "opt")
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        yield Stand(
            f"http://127.0.0.1:{server.get_host_and_port()[1]}", packaged, folder / "opt" / "python", folder
        )
    finally:
        server.stop()


def test_ingest_capture_counts_the_file_that_landed(stand):
    detail = {"bucket": {"name": "captures"}, "object": {"key": KEY, "size": 500, "etag": "a1"}}
    stand.run("ingest_capture", envelope("aws.s3", "Object Created", detail))
    assert ("stream", "segment") in stand.list_keys()


def test_an_incident_is_opened_told_and_looked_at_by_three_functions(stand):
    stand.run("manage_incident", envelope("sagewatch", "Finding Raised", FINDING))
    kind = "Incident Opened"
    opened = dict(stand.read_bus())[kind]
    stand.run("deliver_alert", envelope("sagewatch", kind, opened))
    written = stand.client("s3").list_objects_v2(
        Bucket="evidence", Prefix=f"incidents/{opened['incident_id']}/"
    )
    assert [row["Key"] for row in written["Contents"] if row["Key"].endswith("index.html")]
    stand.run("advance_diagnosis", envelope("sagewatch", kind, opened))
    rows = stand.client("dynamodb").scan(TableName="state")["Items"]
    bodies = " ".join(str(row) for row in rows)
    assert ("group", "ledger") in stand.list_keys(), "that the mail was sent is remembered"
    assert "endpoint_gone" in bodies or "diagnosis" in bodies, "why there was no swap stands in the trail"


def test_ingest_report_looks_at_the_job_that_ended(stand):
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/somebodys"
    stand.client("sagemaker").create_processing_job(
        ProcessingJobName="somebodys", AppSpecification={"ImageUri": "i"}, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    )  # fmt: skip
    detail = {"ProcessingJobName": "somebodys", "ProcessingJobArn": arn, "ProcessingJobStatus": "Completed"}
    stand.run("ingest_report", envelope("aws.sagemaker", "SageMaker Processing Job State Change", detail))


def test_start_monitor_answers_the_schedule(stand):
    stand.run("start_monitor", envelope("sagewatch", "Monitor Due", {"endpoint": "churn"}))


def test_tick_goes_its_round(stand):
    stand.run("tick", envelope("sagewatch", "Tick", {}))


def test_no_function_needs_more_than_half_of_its_memory_for_a_small_event(stand, of_type):
    """What is left is for large captures, reports and pages; docs/sizing.md has the figures."""
    sizes = {
        row["Handler"].split("/")[1]: row["MemorySize"] for row in of_type("AWS::Lambda::Function").values()
    }
    sizes.pop("slack_action")  # drains no queue; the test below asks it
    needed = {name: stand.run(name, envelope("sagewatch", "Tick", {}))["megabytes"] for name in sizes}
    assert {name for name in sizes if needed[name] > sizes[name] / 2} == set(), needed


def test_slack_action_is_not_there_for_anybody_where_no_receiver_has_buttons(stand):
    told = stand.run(
        "slack_action", {"requestContext": {"http": {"method": "POST"}}, "headers": {}, "body": "payload=x"}
    )
    assert told["answer"]["statusCode"] == 404


@pytest.fixture(scope="module", params=["x86_64", "arm64"])
def layer(request, packaged):
    """Architecture and zip; the foreign one's wheels come from the package index, once."""
    del packaged
    try:
        return request.param, build_core(ROOT, request.param, ROOT / ".build" / "layers")
    except subprocess.CalledProcessError:
        pytest.skip(f"the wheels for {request.param} could not be fetched: no package index")


def test_every_library_in_the_zip_is_code_for_that_machine_and_that_python(layer):
    architecture, path = layer
    with zipfile.ZipFile(path) as archive:
        libraries = {
            name: archive.read(name) for name in archive.namelist() if ".so" in name.rpartition("/")[2]
        }
    assert libraries
    for name, body in libraries.items():
        assert body[:4] == b"\x7fELF", name
        assert struct.unpack_from("<H", body, 18)[0] == MACHINES[architecture], name
        assert f"cpython-313-{TAGS[architecture]}" in name or ".abi3." in name, name


def test_both_architectures_hold_the_same_packages_in_the_same_versions(packaged):
    del packaged
    found = {}
    for architecture in MACHINES:
        path = ROOT / ".build" / "layers" / f"core-{architecture}.zip"
        if not path.exists():
            pytest.skip(f"the layer for {architecture} was not built")
        with zipfile.ZipFile(path) as archive:
            found[architecture] = {
                n.split("/")[1] for n in archive.namelist() if n.endswith(".dist-info/METADATA")
            }
    assert found["x86_64"] == found["arm64"] != set()
