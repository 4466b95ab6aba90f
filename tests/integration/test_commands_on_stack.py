"""Commands on a stack: `sagewatch sandbox up` stands, and doctor, trigger, record and replay speak to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAGEWATCH = str(Path(sys.executable).parent / "sagewatch")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="osls packages the stack, and needs node"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Environment of commands on a standing sandbox, and its outputs."""
    out = tmp_path_factory.mktemp("sandbox")
    with subprocess.Popen(
        [SAGEWATCH, "sandbox", "up", "--out", str(out), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as standing:  # fmt: skip
        line = standing.stdout.readline()
        assert line, standing.stderr.read()
        told = json.loads(line)
        try:
            yield {**os.environ, **told["variables"]}, told["outputs"]  # noqa: TID251 (an edge)
        finally:
            # Not SIGINT: whoever runs the tests in the background has it ignored, and so have its children.
            standing.terminate()
            left = standing.wait(60)
    assert left == 143
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(told["variables"]["AWS_ENDPOINT_URL"], timeout=5)


def run(stack, *arguments, wanted=0):
    done = subprocess.run(
        [SAGEWATCH, *arguments],
        cwd=ROOT,
        env=stack[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == wanted, (done.stdout, done.stderr)
    return done.stdout


def test_the_doctor_finds_rules_queues_schedule_and_bucket_well(stack):
    done = subprocess.run(
        [SAGEWATCH, "doctor", "--json"],
        cwd=ROOT,
        env=stack[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = json.loads(done.stdout)
    ill = [line for line in lines if line["well"] is False]
    # Nobody subscribed to the operations topic here: that is what it says, with the fix.
    assert {line["what"] for line in ill} <= {"OperationsTopicArn"}, ill
    assert all(line["fix"] for line in ill)
    assert {"rule CaptureRule", "rule AlertRule", "capture bucket"} <= {line["what"] for line in lines}
    assert done.returncode == (1 if ill else 0)


def test_an_archive_is_recorded_and_a_rehearsal_of_it_leaves_the_stack_as_it_was(stack, tmp_path):
    import boto3

    variables, outputs = stack
    s3 = boto3.session.Session().client(
        "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_REGION"],
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    key = f"{outputs['CapturePrefix']}/traffic-signs/AllTraffic/2026/11/21/12/00-00-000-00000000-0000-4000-8000-000000000000.jsonl"
    s3.put_object(Bucket=outputs["CaptureBucket"], Key=key, Body=b'{"captureData": {}}\n')
    file = tmp_path / "events.jsonl"
    told = json.loads(
        run(stack, "record", "--from", "10m", "--to", "2099-01-01T00:00Z", "--out", str(file), "--json")
    )
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert told["events"] == len(events) >= 1
    assert key in {event["detail"]["object"]["key"] for event in events if event["source"] == "aws.s3"}
    assert {event["account"] for event in events} == {"111122223333"}
    played = json.loads(run(stack, "replay", "--from", "10m", "--to", "2099-01-01T00:00Z", "--json"))
    assert played["replay"].startswith("rehearsal.")
    assert json.loads(run(stack, "incidents", "list", "--json")) == []


def test_an_event_is_triggered_only_when_told_to(stack):
    dry = json.loads(run(stack, "trigger", "capture", "--json"))
    assert (dry["functions"], dry["sent"]) == (["ingest_capture"], False)
    live = json.loads(run(stack, "trigger", "endpoint-in-service", "--live", "--json"))
    assert (live["functions"], live["sent"]) == (["advance_diagnosis"], True)
