"""Commands on a stack: `sagewatch sandbox up` stands, and the commands that need a stack speak to it.

Their examples in the reference are run as they are written, in an order in which each finds what it needs.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sagewatch.cli import cli
from sagewatch.cli.reference import list_commands, read_example

COMMANDS = dict(list_commands(cli))
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


MONITORS = """
version: 1
endpoints:
  traffic-signs: {}
  churn: {quality: {every: 1h, baseline: "s3://my-captures/baseline"}}
"""
CHURN = "label,age\n" + "".join(f"{number % 3},{20 + number % 40}\n" for number in range(200))


@pytest.fixture(scope="module")
def place(stack, tmp_path_factory):
    """A folder as the examples find it, and the bucket that they name."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "monitors.yml").write_text(MONITORS)
    (folder / "endpoint_code").symlink_to(ROOT / "endpoint_code")
    connect(stack, "s3").create_bucket(
        Bucket="my-captures", CreateBucketConfiguration={"LocationConstraint": stack[0]["AWS_REGION"]}
    )
    return folder


def connect(stack, service):
    import boto3

    name = f"AWS_ENDPOINT_URL_{service.upper()}"
    variables = stack[0]
    return boto3.session.Session().client(
        service, endpoint_url=variables.get(name, variables["AWS_ENDPOINT_URL"]), region_name=variables["AWS_REGION"],
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip


def run_example(stack, folder, name, wanted=0):
    """The example of a command as the reference has it: its answer, as lines."""
    words = shlex.split(read_example(COMMANDS[name]))
    done = subprocess.run(
        [SAGEWATCH, *words[1:]], cwd=folder, env=stack[0], capture_output=True, text=True, check=False, timeout=300
    )  # fmt: skip
    assert done.returncode == wanted, (words, done.stdout, done.stderr)
    return (done.stdout or done.stderr).splitlines()


def host_churn(stack, folder):
    """An endpoint `churn` that captures, what it captured in the last hour, and its baseline."""
    sagemaker, s3 = connect(stack, "sagemaker"), connect(stack, "s3")
    standing = sagemaker.describe_endpoint(EndpointName="traffic-signs")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=standing["EndpointConfigName"])
    sagemaker.create_endpoint_config(
        EndpointConfigName="churn", ProductionVariants=config["ProductionVariants"], DataCaptureConfig=config["DataCaptureConfig"]
    )  # fmt: skip
    sagemaker.create_endpoint(EndpointName="churn", EndpointConfigName="churn")
    (folder / "training.csv").write_text(CHURN)
    done = subprocess.run(
        [SAGEWATCH, "baseline", "training.csv", "--header", "--out", "baseline"],
        cwd=folder, env=stack[0], check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.stdout
    for path in (folder / "baseline").glob("*.json"):
        s3.upload_file(str(path), "my-captures", f"baseline/{path.name}")
    at = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 (an edge)
    lines = [
        {"captureData": {"endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": f"{20 + n % 40}", "encoding": "CSV"},
                         "endpointOutput": {"observedContentType": "text/csv", "mode": "OUTPUT", "data": f"{n % 3}", "encoding": "CSV"}},
         "eventMetadata": {"eventId": f"{n:08d}", "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")}, "eventVersion": "0"}
        for n in range(200)
    ]  # fmt: skip
    prefix = stack[1]["CapturePrefix"]
    key = f"{prefix}/churn/AllTraffic/{at:%Y/%m/%d/%H}/{at:%M-%S}-000-00000000-0000-4000-8000-000000000001.jsonl"
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    s3.put_object(Bucket="my-captures", Key=key, Body=body)


def test_the_examples_of_commands_that_need_a_stack_run_as_they_are_written(stack, place):
    (deployed,) = run_example(stack, place, "deploy-endpoint")
    assert deployed.startswith("traffic-signs: created, in service on traffic-signs-")
    assert deployed.endswith("captures at s3://my-captures/capture")
    host_churn(stack, place)
    # Nobody subscribed to the operations topic here, and the endpoints capture into a bucket of their own.
    looked = run_example(stack, place, "doctor", wanted=1)
    assert looked[0].startswith("ok    identity: arn:aws:sts::123456789012:")
    assert any(line.startswith("ok    endpoint traffic-signs") for line in looked)
    assert run_example(stack, place, "monitor create") == [
        "churn-data-quality: created, cron(10 * * * ? *) by eventbridge."
    ]
    (listed,) = json.loads(run_example(stack, place, "monitor list")[0])
    assert (listed["endpoint"], listed["status"]) == ("churn", "ENABLED")
    ran = run_example(stack, place, "monitor run")
    assert ran[0].startswith("sagewatch-monitor-churn-")
    assert ran[1] == "Completed: Job completed successfully with no violations."
    assert ran[2].startswith("Report: s3://")
    assert run_example(stack, place, "monitor delete") == ["churn-data-quality: removed."]
    drilled = json.loads("".join(run_example(stack, place, "drill")))
    assert drilled["missing"] == ""
    kept = run_example(stack, place, "record")
    assert kept[0].endswith("events in fixtures/events.jsonl, their scene in fixtures/scene.json")
    assert (place / "fixtures" / "events.jsonl").read_text().count("\n") == int(kept[0].split()[0]) > 0
    run(stack, "replay", "--from", "10m")
    assert run_example(stack, place, "replays")[0].startswith("rehearsal.")
    planned = run_example(stack, place, "teardown")
    assert planned[:2] == [
        "Dry run, nothing was changed. Calls:",
        'sagemaker:DeleteEndpoint {"EndpointName": "traffic-signs"}',
    ]
