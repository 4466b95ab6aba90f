"""What `record` keeps of a stack's archives is played by `replay` as docs/operations.md says, with nothing added."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from click.testing import CliRunner
from moto.sagemaker.models import sagemaker_backends

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.cli import cli
from sagewatch.cli.archives import Archives
from sagewatch.incident.model import OpenRecord
from sagewatch.marked import RehearsedItems
from sagewatch.replay.recording import list_landings
from sagewatch.state import State
from sagewatch.wiring import read_clock
from tests.aws_in_process import empty_aws
from tests.unit.cli.stores import INCIDENT as KEPT_INCIDENT
from tests.unit.cli.stores import build_store
from tests.unit.replay.recordings import MONITORS, write_captures

STACK = "sagewatch-dev"
BUCKET = "captures-123456789012-eu-west-1"
EVIDENCE = "evidence-123456789012"
INCIDENT = "class-concentration 14"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack's buses, archives, queue and outputs, and an attack in its archive; captures lie in `bucket`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with empty_aws():
        queue = boto3.client("sqs").create_queue(QueueName="captures")["QueueUrl"]
        boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=build_template(queue))
        landings = list_landings(write_captures(tmp_path / "bucket"), BUCKET, "capture")
        events = boto3.client("events")
        for start in range(0, len(landings), 10):
            events.put_events(Entries=[
                {"Source": one["source"], "DetailType": one["detail-type"], "Time": one["time"],
                 "Detail": json.dumps(one["detail"])}
                for one in landings[start : start + 10]
            ])  # fmt: skip
        (tmp_path / "monitors.yml").write_text(MONITORS)
        yield queue


def build_template(queue: str) -> str:
    arn = "arn:aws:events:eu-west-1:123456789012:event-bus"
    resources = {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "facts"}}}
    for name, bus, source in (("Capture", "default", "aws.s3"), ("SageMaker", "default", "aws.sagemaker"),
                              ("Fact", "facts", "sagewatch")):  # fmt: skip
        kept = {"SourceArn": f"{arn}/{bus}", "EventPattern": json.dumps({"source": [source]})}
        resources[f"{name}Archive"] = {
            "Type": "AWS::Events::Archive", "DependsOn": ["Bus"],
            "Properties": {"ArchiveName": f"{name}Archive", **kept},
        }  # fmt: skip
    outputs = {
        "EventBus": "facts", "StateTable": "state", "EvidenceBucket": EVIDENCE, "CaptureBucket": BUCKET,
        "CapturePrefix": "capture", "CaptureQueueUrl": queue,
        "AlertsTopicArn": "arn:aws:sns:eu-west-1:123456789012:alerts",
    }  # fmt: skip
    told = {name: {"Value": value} for name, value in outputs.items()}
    return json.dumps({"Resources": resources, "Outputs": told})


def run(command: str):
    return CliRunner().invoke(cli, shlex.split(command)[1:], catch_exceptions=True)


def record(*options: str):
    result = run(
        f"sagewatch record --from 2026-11-21T00:00Z --to 2099-01-01T00:00Z --out events.jsonl {' '.join(options)}"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.mark.parametrize("options", [(), ("--keep-names",)])
def test_a_recording_is_replayed_to_its_incident_by_what_the_docs_say(stack, options, tmp_path):
    spoke = "210987654321"
    ended = {"ProcessingJobStatus": "Failed", "ProcessingJobName": "x", "FailureReason": "customer ann",
             "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:{spoke}:processing-job/x"}  # fmt: skip
    boto3.client("events").put_events(Entries=[
        {"Source": "aws.sagemaker", "DetailType": "SageMaker Processing Job State Change",
         "Time": "2026-11-21T12:00:00Z", "Detail": json.dumps(ended)}
    ])  # fmt: skip
    told = record(*options)
    assert f"aws s3 sync s3://{BUCKET} captures" in told.output
    text = (tmp_path / "events.jsonl").read_text()
    assert ("123456789012" in text + (tmp_path / "scene.json").read_text()) == bool(options)
    assert (spoke in text) == bool(options)
    assert ("FailureReason" in text, "ann" in text) == (True, False)
    # The docs' `aws s3 sync`, then the docs' replay.
    assert "aws s3 sync s3://BUCKET captures" in OPERATIONS.read_text()
    (tmp_path / "bucket").rename(tmp_path / "captures")
    example = re.search(r"^ *(sagewatch replay events\.jsonl)$", OPERATIONS.read_text(), re.MULTILINE)[1]
    played = run(f"{example} --json")
    assert played.exit_code == 0, (played.output, played.exception)
    outcome = json.loads(played.output)
    assert outcome["predictions"] == 560
    assert [one["incident"]["subject"] for one in outcome["incidents"]] == ["14"]
    assert run(f"{example} --json").output == played.output


def make_state_table():
    boto3.client("dynamodb").create_table(
        TableName="state", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )  # fmt: skip


def run_job(name: str) -> None:
    """A monitoring job in SageMaker, its report in S3, and the event that tells of its end."""
    folder = "reports/signs/signs-hourly/2026/11/21/12"
    output = {"S3Uri": f"s3://{EVIDENCE}/{folder}", "LocalPath": "/x", "S3UploadMode": "EndOfJob"}
    boto3.client("sagemaker").create_processing_job(
        ProcessingJobName=name, AppSpecification={"ImageUri": "image-of-ada"},
        RoleArn="arn:aws:iam::123456789012:role/ada",
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        ProcessingOutputConfig={"Outputs": [{"OutputName": "result", "S3Output": output}]},
    )  # fmt: skip
    # moto forgets what the job was started with.
    sagemaker_backends["123456789012"]["eu-west-1"].processing_jobs[name].environment = {
        "baseline_constraints": "x", "sagemaker_endpoint_name": "signs",
        "sagemaker_monitoring_schedule_name": "signs-hourly",
    }  # fmt: skip
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=EVIDENCE, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    rows = [
        {
            "feature_name": feature,
            "constraint_check_type": "data_type_check",
            "description": f"{feature}: 79098",
        }
        for feature in ("age", "zip")
    ]
    s3.put_object(
        Bucket=EVIDENCE, Key=f"{folder}/constraint_violations.json", Body=json.dumps({"violations": rows})
    )
    detail = {
        "ProcessingJobName": name, "ProcessingJobStatus": "Completed", "ExitMessage": "79098",
        "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{name}",
    }  # fmt: skip
    boto3.client("events").put_events(
        Entries=[{"Source": "aws.sagemaker", "DetailType": "SageMaker Processing Job State Change",
                  "Time": "2026-11-21T12:30:00Z", "Detail": json.dumps(detail)}]
    )  # fmt: skip


def test_a_recorded_monitoring_job_is_judged_again_without_what_is_sensitive(stack, tmp_path):
    make_state_table()
    name = "data-quality-monitoring-202611211200-259fee1f"
    run_job(name)
    watched = MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [zip]\n")
    (tmp_path / "monitors.yml").write_text(watched)
    told = json.loads(record("--json").stdout)
    assert (told["jobs"], told["unplayed"]) == (1, {})
    kept = "".join(path.read_text() for path in (tmp_path / "jobs").rglob("*.json"))
    assert "age: 79098" in kept
    for hidden in ("zip: 79098", "ada", "123456789012"):
        assert hidden not in kept, hidden
    assert '"ExitMessage": "redacted"' in (tmp_path / "events.jsonl").read_text()
    (tmp_path / "bucket").rename(tmp_path / "captures")
    played = run("sagewatch replay events.jsonl --json")
    outcome = json.loads(played.output)
    assert (outcome["jobs"], outcome["unplayed"]) == ([name], [])
    found = {one["incident"]["kind"]: one["incident"] for one in outcome["incidents"]}
    assert found["data-quality"]["subject"] == "signs-hourly"
    assert found["data-quality"]["findings"][0]["counts"] == {"age": 1, "zip": 1}
    assert run("sagewatch replay events.jsonl --json").output == played.output
    assert "1 processing job played." in run("sagewatch replay events.jsonl").output


def test_a_job_that_is_gone_is_named_as_not_to_be_played(stack, tmp_path):
    make_state_table()
    name = "data-quality-monitoring-202611211200-259fee1f"
    run_job(name)
    del sagemaker_backends["123456789012"]["eu-west-1"].processing_jobs[name]
    assert f"{name} cannot be played: SageMaker does not know it any more." in record().output
    (tmp_path / "bucket").rename(tmp_path / "captures")
    told = run("sagewatch replay events.jsonl").output
    assert f"1 processing job not played: SageMaker does not know it any more ({name})." in told


def test_a_replay_without_the_captures_says_how_to_get_them(stack):
    record()
    result = run("sagewatch replay events.jsonl")
    assert result.exit_code == 1
    assert "aws s3 sync" in str(result.exception)


def test_events_without_their_scene_are_played_with_the_bucket_that_they_name(stack, tmp_path):
    record()
    (tmp_path / "scene.json").unlink()
    played = json.loads(run("sagewatch replay events.jsonl --captures bucket --json").output)
    assert (played["predictions"], len(played["incidents"])) == (560, 1)


def test_a_recording_never_changes_the_scene_of_another(stack, tmp_path):
    (tmp_path / "scene.json").write_text('{"capture_bucket": "of-the-demo"}')
    result = run("sagewatch record --from 1h --out events.jsonl")
    assert "folder of its own" in str(result.exception)
    assert (tmp_path / "scene.json").read_text() == '{"capture_bucket": "of-the-demo"}'


def test_a_redacted_event_is_sent_again_to_the_stack_with_its_own_bucket(stack):
    record()
    told = json.loads(run("sagewatch events resend events.jsonl 1 --live --json").output)
    assert (told["functions"], told["sent"]) == (["ingest_capture"], True)
    (message,) = boto3.client("sqs").receive_message(QueueUrl=stack)["Messages"]
    event = json.loads(message["Body"])
    assert (event["detail"]["bucket"]["name"], event["account"]) == (BUCKET, "123456789012")


def test_an_event_that_wakes_nobody_is_not_said_to_be_sent(stack, tmp_path):
    other = {"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-21T12:00:00Z",
             "detail": {"bucket": {"name": "another"}, "object": {"key": "x"}}}  # fmt: skip
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "events.jsonl").write_text(json.dumps(other) + "\n")
    result = run("sagewatch events resend other/events.jsonl 1 --live")
    assert result.exit_code == 1
    assert "nothing was sent" in str(result.exception)


def test_events_are_listed_shown_and_sent_again_from_the_archives(stack):
    window = "--from 2026-11-21T00:00Z --to 2099-01-01T00:00Z"
    lines = run(f"sagewatch events list {window} --json").stdout.splitlines()
    *listed, told = [json.loads(line) for line in lines]
    assert len(listed) == told["events"] == 56
    assert told["complete_until"]
    assert [one["time"] for one in listed] == sorted(one["time"] for one in listed)
    shown = json.loads(run(f"sagewatch events show 3 {window} --json").stdout)
    assert shown["event"]["detail"] == listed[2]["detail"]
    assert (shown["rules"], shown["functions"]) == (["CaptureRule"], ["ingest_capture"])
    assert "Wakes ingest_capture (by CaptureRule)." in run(f"sagewatch events show 3 {window}").output
    sent = json.loads(run(f"sagewatch events resend 3 {window} --live --json").stdout)
    assert sent["sent"]
    (message,) = boto3.client("sqs").receive_message(QueueUrl=stack)["Messages"]
    assert json.loads(message["Body"])["detail"] == listed[2]["detail"]
    left = boto3.client("events").list_rules(EventBusName="default")["Rules"]
    assert [rule["Name"] for rule in left if rule["Name"].startswith("record")] == []


@pytest.mark.parametrize(
    "call", ["sqs.GetQueueAttributes", "events.PutRule", "sqs.SetQueueAttributes", "events.PutTargets"]
)
def test_a_reader_of_which_a_part_cannot_be_made_leaves_nothing_behind(stack, call):
    def fail(**_):
        raise EndpointConnectionError(endpoint_url="https://nowhere")

    archives = Archives(STACK, "facts")
    service = call.partition(".")[0]
    getattr(archives, f"_{service}").meta.events.register(f"before-call.{call}", fail)
    start = datetime(2026, 11, 21, tzinfo=UTC)
    with pytest.raises(EndpointConnectionError):
        list(archives.read("CaptureArchive", "record.now.capturearchive", start, start + timedelta(days=1)))
    rules = boto3.client("events").list_rules(EventBusName="default")["Rules"]
    assert [rule["Name"] for rule in rules if rule["Name"].startswith("record")] == []
    assert boto3.client("sqs").list_queues()["QueueUrls"] == [stack]


def test_an_event_that_the_rule_hands_on_late_is_read_too(stack):
    """EventBridge calls a replay complete when the events are out; two empty answers of the queue are no end."""
    archives = Archives(STACK, "facts")
    asked = []

    def come_late(params, **_):
        asked.append(params)
        if len(asked) == 3:
            (url,) = [url for url in boto3.client("sqs").list_queues()["QueueUrls"] if "record" in url]
            boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"id": "late"}))

    archives._sqs.meta.events.register("before-call.sqs.ReceiveMessage", come_late)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    found = archives.read("FactArchive", "record.now.factarchive", start, start + timedelta(days=1))
    assert list(found) == [{"id": "late"}]


def test_a_window_that_reaches_into_the_newest_minutes_says_what_it_may_lack(stack):
    make_state_table()
    late = "may be missing: they reach an archive up to 10 minutes late"
    new, old = "--from 2026-11-21T00:00Z --to 2099-01-01T00:00Z", "--from 2020-01-01 --to 2020-01-02"
    for window, is_told in ((new, True), (old, False)):
        listed = run(f"sagewatch events list {window} --json")
        assert (late in listed.stderr, late in listed.stdout) == (is_told, False)
        *events, last = map(json.loads, listed.stdout.splitlines())
        assert [one["number"] for one in events] == list(range(1, last["events"] + 1))
        behind = read_clock() - datetime.fromisoformat(last["complete_until"])
        assert (timedelta(minutes=9) < behind < timedelta(minutes=12)) is is_told
    told = json.loads(run(f"sagewatch record {new} --out events.jsonl --json").stdout)
    behind = read_clock() - datetime.fromisoformat(told["complete_until"])
    assert timedelta(minutes=9) < behind < timedelta(minutes=12)


def test_neither_or_both_sources_of_events_are_refused(stack, tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    for command in ("list", "list events.jsonl --from 1h", "show 1", "resend events.jsonl 1 --from 1h"):
        assert run(f"sagewatch events {command}").exit_code == 2, command


def test_replays_are_listed_with_what_came_of_them_and_only_those_of_this_stack(stack):
    make_state_table()
    assert CliRunner().invoke(cli, ["replays"]).output == "No replay.\n"
    events = boto3.client("events")
    events.create_archive(
        ArchiveName="OfAnother", EventSourceArn=events.describe_event_bus(Name="facts")["Arn"]
    )
    rehearsals = [f"rehearsal.2026112{day}T120000Z" for day in (1, 2)]
    for name, archive in [(name, "CaptureArchive") for name in rehearsals] + [
        ("live.20261122T120000Z", "FactArchive"), ("rehearsal.20261122T130000Z", "OfAnother"),
        ("record.20261122T120000Z", "CaptureArchive"),
    ]:  # fmt: skip
        kept = events.describe_archive(ArchiveName=archive)
        events.start_replay(
            ReplayName=name, EventSourceArn=kept["ArchiveArn"], EventStartTime="2026-11-21T00:00:00Z",
            EventEndTime="2026-11-22T00:00:00Z", Destination={"Arn": kept["EventSourceArn"]},
        )  # fmt: skip
    world = build_store()[1]
    incident = msgspec.structs.replace(world.state.load_incident(KEPT_INCIDENT), version=0)
    rows = RehearsedItems(DynamoItems("state"), rehearsals[0], read_clock())
    State(rows).save_incident(incident, OpenRecord(fingerprint=incident.fingerprint), [])
    told = {one["replay"]: one for one in json.loads(CliRunner().invoke(cli, ["replays", "--json"]).output)}
    assert told.keys() == {*rehearsals, "live.20261122T120000Z"}
    assert told[rehearsals[0]]["incidents"] == [KEPT_INCIDENT]
    assert (told[rehearsals[1]]["incidents"], told["live.20261122T120000Z"]["incidents"]) == ([], None)
    said = CliRunner().invoke(cli, ["replays"]).output
    assert (
        f"{rehearsals[0]}  completed  2026-11-21 00:00:00 UTC to 2026-11-22 00:00:00 UTC  1 incident\n"
        in said
    )
