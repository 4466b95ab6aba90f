"""The main job, whole, on the local AWS: what the issue asks to be shown, on photographs and on drawn signs."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import pytest
from jsonschema import validate
from PIL import Image
from rich.console import Console

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.replay.load import build_player, load_recording
from sagewatch.replay.outcome import compare, encode, gather
from sagewatch.replay.recording import iterate_own
from sagewatch.sandbox.demo.figures import write_summary
from sagewatch.sandbox.demo.narrator import Narrator
from sagewatch.sandbox.demo.stage import set_up
from sagewatch.sandbox.demo.story import ENDPOINT, Plan, play
from sagewatch.sandbox.demo.summary import find_wrong, summarise
from sagewatch.sandbox.traffic import DrawnSigns, Photographs
from sagewatch.state import State

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT.parent / "shared" / "real" / "gtsrb"

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["photographs", "drawn signs"])
def played(request, tmp_path_factory):
    """The story, played once for each kind of traffic, with its stage still standing."""
    if request.param == "photographs" and not PHOTOGRAPHS.is_dir():
        pytest.skip("../shared/real/gtsrb is not here: photographs are read in place")
    traffic = Photographs(PHOTOGRAPHS) if request.param == "photographs" else DrawnSigns()
    out = tmp_path_factory.mktemp("demo")
    narrator = Narrator(Console(quiet=True))
    with set_up(ROOT, out, None, narrator.say) as stage:
        if request.param == "drawn signs":
            threading.Thread(target=echo, args=(stage,), daemon=True).start()
        told = play(stage, traffic, Plan(), narrator)
        summary = summarise(stage, told)
        write_summary(summary, out)
        yield stage, told, summary


def echo(stage) -> None:
    """While the story plays, deliver every event a second time, late and so out of order."""
    rng, waiting = random.Random(3), []
    for event in stage.recorder.follow():
        waiting.append((time.monotonic() + rng.uniform(0, 4), event))
        due = [event for when, event in waiting if when <= time.monotonic()]
        waiting = [(when, event) for when, event in waiting if when > time.monotonic()]
        send(stage, due)


def test_nothing_is_wrong(played):
    _, _, summary = played
    assert find_wrong(summary) == []


def test_at_least_500_clean_predictions_raise_nothing(played):
    _, _, summary = played
    assert summary.clean_predictions >= 900  # 400 to learn from and 500 after that
    assert summary.findings_on_clean_traffic == 0


def test_class_14_is_found_within_40_predictions_and_before_the_fixed_rule(played):
    _, _, summary = played
    assert summary.detected_class == 14
    assert 0 < summary.predictions_to_detection <= 40
    assert summary.fixed_rule["predictions"] is None or summary.fixed_rule["predictions"] >= 100


def test_each_receiver_hears_one_firing_and_one_resolved(played):
    stage, _, summary = played
    heard = sorted((alert.receiver, alert.state) for alert in summary.alerts if alert.state != "updated")
    assert heard == [
        (receiver, state)
        for receiver in ("ml-on-call/mail", "ml-on-call/slack")
        for state in ("firing", "resolved")
    ]
    assert len(stage.inbox.mails()) == 2
    assert len(stage.slack.messages()) == 1
    for alert in summary.alerts:
        text = (stage.out / alert.path).read_text()
        assert ("RESOLVED" in text) == (alert.state == "resolved")


def test_the_endpoint_ends_on_its_own_config_and_nothing_is_left(played):
    stage, _, summary = played
    sagemaker = stage.aws.client("sagemaker")
    assert summary.endpoint["final_config"] == summary.endpoint["original_config"]
    assert [row["EndpointConfigName"] for row in sagemaker.list_endpoint_configs()["EndpointConfigs"]] == [
        summary.endpoint["original_config"]
    ]
    assert len(sagemaker.list_models()["Models"]) == 1


def test_at_least_20_heat_maps_are_complete_to_1e_minus_5(played):
    stage, _, summary = played
    report = json.loads((stage.out / "explain" / "explanations.json").read_text())
    errors = [image["completeness_relative_error"] for image in report["images"]]
    assert len(errors) >= 20
    assert max(errors) <= 1e-5
    pictures = sorted((stage.out / "heatmaps").glob("*.png"))
    assert len(pictures) == summary.explained_images
    with Image.open(pictures[0]) as picture:
        assert picture.width > picture.height > 100


def test_suspicious_inputs_are_compared_with_clean_ones_of_their_class_and_every_request_is_found_again(
    played,
):
    stage, _, summary = played
    report = json.loads((stage.out / "explain" / "explanations.json").read_text())
    comparison = report["comparison"]
    assert comparison["others_are"] == "clean input of that class"
    assert min(comparison["suspicious"], comparison["others"]) >= 5
    assert report["notes"] == []
    page = Path(summary.page).read_text()
    count = len(report["images"])
    assert f"{count} of {count} found in the data capture" in page


def test_the_summary_has_the_keys_that_were_asked_for(played):
    stage, _, _ = played
    summary = json.loads((stage.out / "summary.json").read_text())
    assert {
        "incident_id",
        "detected_class",
        "predictions_to_detection",
        "capture_to_alert_seconds",
        "alerts",
        "endpoint",
        "explained_images",
        "completeness_max_relative_error",
        "page",
    } <= summary.keys()
    assert {"receiver", "state", "path"} <= summary["alerts"][0].keys()
    assert Path(summary["page"]).read_text().startswith("<!doctype html>")


def test_the_counts_of_the_most_frequent_classes_are_metrics(played):
    stage, _, _ = played
    metrics = stage.aws.client("cloudwatch").list_metrics(Namespace="Sagewatch")["Metrics"]
    classes = {
        dimension["Value"]
        for metric in metrics
        if metric["MetricName"] == "PredictedClass"
        for dimension in metric["Dimensions"]
        if dimension["Name"] == "Class"
    }
    assert "14" in classes
    assert {"Predictions", "RejectedLines", "Log10Excess"} <= {metric["MetricName"] for metric in metrics}


def test_nothing_called_out_and_nothing_listens_elsewhere(played):
    stage, _, summary = played
    assert stage.aws.outbound_attempts() == []
    assert summary.outbound_connections == 0
    assert list_foreign_listeners() == []


def list_foreign_listeners() -> list[str]:
    """Listening TCP sockets of our processes that are bound to anything but 127.0.0.1 (Linux only)."""
    mine = set()
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if b"sagewatch" not in (folder.parent / "cmdline").read_bytes() and folder.parent.name != "self":
                continue
            mine |= {str(link.readlink()) for link in folder.iterdir()}
        except OSError:
            continue
    foreign = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            address, state, inode = fields[1].split(":")[0], fields[3], fields[9]
            if state == "0A" and f"socket:[{inode}]" in mine and address != "0100007F":
                foreign.append(row)
    return foreign


def test_a_replay_of_what_it_left_reproduces_its_incident_and_sends_nothing(played):
    """Before the log is resent: the same fingerprint, the same reasons, twice the same bytes."""
    stage, told, _ = played
    recording = load_recording([stage.out], None, None)
    outcomes = []
    for _ in range(2):
        player = build_player(recording)
        player.play(recording.events)
        outcomes.append(gather(player, len(recording.events)))
    assert compare(outcomes[0], iterate_own(recording.events), recording.stories) == []
    told_of = [one.incident for one in outcomes[0].incidents if not one.incident.latest.staged]
    assert [incident.incident_id for incident in told_of] == [told.incident_id]
    ports = vars(player.world).values()
    assert not [port for port in ports if type(port).__module__.startswith("sagewatch.aws")]
    assert encode(outcomes[0]) == encode(outcomes[1])


def test_every_event_of_ours_is_valid_by_its_published_schema(played):
    stage, _, _ = played
    log = [json.loads(line) for line in (stage.out / "events.jsonl").read_text().splitlines()]
    own = [event for event in log if event["source"] == "sagewatch" and event["detail-type"] != "Tick"]
    assert {"Finding Raised", "Incident Opened", "Diagnosis Finished"} <= {e["detail-type"] for e in own}
    for event in own:
        name = f"{event['detail-type'].lower().replace(' ', '-')}.json"
        validate(event, json.loads((ROOT / "docs/reference/events" / name).read_text()))


def test_the_whole_event_log_doubled_and_shuffled_changes_nothing(played):
    stage, told, _ = played
    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    before = take_stock(stage, state, told.incident_id)
    log = [json.loads(line) for line in (stage.out / "events.jsonl").read_text().splitlines()]
    assert len(log) > 150
    events = [event for event in log for _ in range(2)]
    random.Random(7).shuffle(events)
    resend(stage, events)
    assert take_stock(stage, state, told.incident_id) == before
    assert find_wrong(summarise(stage, told)) == []


QUEUES = {
    "Finding Raised": ("IncidentQueueUrl",),
    "Finding Cleared": ("IncidentQueueUrl",),
    "Incident Opened": ("AlertQueueUrl", "DiagnosisQueueUrl"),
    "Incident Updated": ("AlertQueueUrl",),
    "Incident Resolved": ("AlertQueueUrl",),
    "Diagnosis Started": ("AlertQueueUrl",),
    "Diagnosis Finished": ("AlertQueueUrl",),
    "Diagnosis Due": ("DiagnosisQueueUrl",),
    "SageMaker Endpoint State Change": ("DiagnosisQueueUrl",),
    "SageMaker Processing Job State Change": ("DiagnosisQueueUrl",),
    "Object Created": ("CaptureQueueUrl", "DiagnosisQueueUrl"),
}


def resend(stage, events) -> None:
    """Put events onto the functions' queues again and wait until all are drained."""
    send(stage, events)
    # Not the worker's own wait: the tick's queue is never quiet for long.
    urls = [stage.outputs[name] for name in {queue for queues in QUEUES.values() for queue in queues}]
    quiet_since, deadline = None, time.monotonic() + 600
    while time.monotonic() < deadline:
        quiet_since = None if count_waiting(stage, urls) else quiet_since or time.monotonic()
        if quiet_since and time.monotonic() - quiet_since > 3:
            return
        time.sleep(0.3)
    raise AssertionError("the queues were never drained")


def count_waiting(stage, urls) -> int:
    """Messages on these queues, or being worked on."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = stage.aws.client("sqs")
    answers = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for url in urls]
    return sum(int(answer[name]) for answer in answers for name in names)


def send(stage, events) -> None:
    """Put events straight onto the functions' queues, as the rules would."""
    sqs = stage.aws.client("sqs")
    for event in events:
        for queue in QUEUES.get(event["detail-type"], ()):
            if event["detail-type"] == "Object Created":
                is_capture = event["detail"]["object"]["key"].startswith(stage.outputs["CapturePrefix"])
                if is_capture != (queue == "CaptureQueueUrl"):
                    continue
            sqs.send_message(QueueUrl=stage.outputs[queue], MessageBody=json.dumps(event))


def take_stock(stage, state, incident_id) -> dict:
    """All that a person or an operator could see."""
    sagemaker = stage.aws.client("sagemaker")
    findings = stage.recorder.heard("Finding Raised") + stage.recorder.heard("Finding Cleared")
    return {
        "mails": [path.name for path in stage.inbox.mails()],
        "slack": stage.slack.messages(),
        "versions": sorted(path.name for path in (stage.out / "slack" / "versions").iterdir()),
        "endpoint": sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"],
        "configs": [
            row["EndpointConfigName"] for row in sagemaker.list_endpoint_configs()["EndpointConfigs"]
        ],
        "jobs": [
            row["ProcessingJobName"] for row in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
        ],
        "findings": sorted({event["detail"]["finding_id"] for event in findings}),
        "incident": state.load_incident(incident_id).findings,
        "diagnosis": state.load_diagnosis(ENDPOINT),
        "told": [debt.told for debt in state.load_debts(incident_id)],
    }
