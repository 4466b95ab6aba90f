"""What the story came to: ``summary.json``, the page and pictures beside it, and a table for the eye."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.diagnose.model import Diagnosis
from sagewatch.incident.model import Entry
from sagewatch.sandbox.demo.archive import keep_archive
from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.demo.story import ENDPOINT, Told
from sagewatch.sandbox.errors import SandboxError
from sagewatch.state import State


class DemoFailedError(SandboxError):
    """The story was played and did not end as it must."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__("The demo did not end as it must: " + "; ".join(wrong) + ".")
        self.wrong = wrong


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A message as the receiver got it."""

    receiver: str
    state: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of one run, as ``summary.json`` has them."""

    incident_id: str
    detected_class: int
    clean_predictions: int
    findings_on_clean_traffic: int
    predictions_to_detection: int
    capture_to_alert_seconds: float
    alerts: list[Alert]
    endpoint: dict[str, str]
    left_behind: list[str]
    hooked_seconds: float
    explained_images: int
    completeness_max_relative_error: float | None
    fixed_rule: dict[str, Any]
    outcome: str
    page: str
    story_seconds: float
    outbound_connections: int
    dead_letters: int
    faults: list[str] = field(default_factory=list)


def summarise(stage: Stage, told: Told) -> Summary:
    """Collect the evidence into the output folder and work out the figures."""
    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    entries = state.load_entries(told.incident_id)
    diagnosis = state.load_diagnosis_of(told.incident_id)
    if diagnosis is None:
        raise DemoFailedError(["no diagnosis was made"])
    page = fetch_evidence(stage, told.incident_id)
    keep_archive(stage, ENDPOINT, told.incident_id, state)
    report = json.loads((stage.out / "explain" / "explanations.json").read_text(encoding="utf-8"))
    return Summary(
        incident_id=told.incident_id,
        detected_class=int(told.raised["subject"]),
        clean_predictions=told.sent_clean,
        findings_on_clean_traffic=told.findings_before_attack,
        predictions_to_detection=count_to_detection(stage, told),
        capture_to_alert_seconds=_measure_to_alert(stage, told, entries),
        alerts=list_alerts(stage, entries),
        endpoint={
            "original_config": diagnosis.original_config,
            "hooked_config": diagnosis.hooked_config,
            "final_config": stage.aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)[
                "EndpointConfigName"
            ],
        },
        left_behind=_find_left_behind(stage),
        hooked_seconds=_measure_hooked(diagnosis),
        explained_images=len(report["images"]),
        completeness_max_relative_error=report["completeness_max_relative_error"],
        fixed_rule=_judge_fixed_rule(stage),
        outcome=diagnosis.outcome,
        page=str(page),
        story_seconds=round(told.seconds, 1),
        outbound_connections=len(stage.aws.outbound_attempts()),
        dead_letters=count_dead_letters(stage),
    )


def find_wrong(summary: Summary) -> list[str]:
    """What is not as it must be; empty when all is well."""
    told = sorted((alert.receiver, alert.state) for alert in summary.alerts if alert.state != "updated")
    receivers = sorted({alert.receiver for alert in summary.alerts})
    wanted = sorted((receiver, state) for receiver in receivers for state in ("firing", "resolved"))
    error = summary.completeness_max_relative_error
    checks = {
        f"{summary.findings_on_clean_traffic} findings on clean traffic": not summary.findings_on_clean_traffic,
        f"class {summary.detected_class} was found, not 14": summary.detected_class == 14,  # noqa: PLR2004
        f"detection took {summary.predictions_to_detection} predictions": summary.predictions_to_detection
        <= 40,  # noqa: PLR2004
        f"receivers were told {told}": bool(receivers) and told == wanted,
        "the endpoint did not end on its own configuration": (
            summary.endpoint["final_config"] == summary.endpoint["original_config"]
        ),
        f"left behind: {summary.left_behind}": not summary.left_behind,
        f"only {summary.explained_images} heat maps": summary.explained_images >= 20,  # noqa: PLR2004
        f"completeness error {error}": error is not None and error <= 1e-5,  # noqa: PLR2004
        f"{summary.outbound_connections} connections to elsewhere": not summary.outbound_connections,
        f"{summary.dead_letters} dead letters": not summary.dead_letters,
        "an alert's message never arrived": all(alert.path for alert in summary.alerts),
        f"the diagnosis ended as {summary.outcome}": summary.outcome == "explained",
    }
    return [wrong for wrong, right in checks.items() if not right]


def build_table(summary: Summary, figures: Path, name: Callable[[str], str]) -> Table:
    """The figures for the eye.

    Parameters
    ----------
    figures
        Where they were written.
    name
        What a path is called.
    """
    table = Table(title="What happened", show_header=False, title_justify="left")
    fixed = summary.fixed_rule
    rows = {
        "Clean predictions": f"{summary.clean_predictions}, {summary.findings_on_clean_traffic} findings",
        "Predictions until detection": f"{summary.predictions_to_detection} (class {summary.detected_class})",
        "The notebook's fixed rule": fixed["words"],
        "From capture object to alert": f"{summary.capture_to_alert_seconds:.1f} s",
        "Alerts": ", ".join(f"{a.receiver} {a.state}" for a in summary.alerts if a.state != "updated"),
        "Endpoint hooked for": f"{summary.hooked_seconds:.1f} s, then back on {summary.endpoint['final_config']}",
        "Images explained": f"{summary.explained_images}, completeness error <= {summary.completeness_max_relative_error:.1e}",
        "The story took": f"{summary.story_seconds:.0f} s",
        "Incident page": name(summary.page),
        "Figures": name(str(figures)),
    }
    for label, value in rows.items():
        table.add_row(label, value)
    return table


def count_to_detection(stage: Stage, told: Told) -> int:
    """Captured predictions from the first attacked one to the one that raised the alarm, both included."""
    last = max(told.raised["samples"], key=lambda sample: (sample["key"], sample["line"]))
    s3, bucket = stage.aws.client("s3"), last["bucket"]
    prefix = f"{stage.outputs['CapturePrefix']}/{ENDPOINT}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = sorted(row["Key"] for page in pages for row in page.get("Contents", []))
    seen = 0
    for key in keys:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        if key == last["key"]:
            return seen + int(last["line"]) - told.sent_clean
        seen += body.count(b"\n")
    raise DemoFailedError([f"the capture object {last['key']} of the alarm is gone"])


def _measure_to_alert(stage: Stage, told: Told, entries: list[Entry]) -> float:
    """Seconds from the capture object that raised the alarm to the last receiver's being told."""
    source = told.raised["source"]
    landed = [
        event
        for event in stage.recorder.heard("Object Created")
        if source.endswith(event["detail"]["object"]["key"]) or event["detail"]["object"]["key"] in source
    ]
    sent = [e.at for e in entries if e.what == "alert_sent" and e.data["kind"] == "firing"]
    if not landed or not sent:
        raise DemoFailedError(["no capture object or no alert goes with the finding"])
    return round((max(sent) - _read_time(landed[0]["time"])).total_seconds(), 2)


def _read_time(value: Any) -> datetime:
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return datetime.fromisoformat(value)


def list_alerts(stage: Stage, entries: list[Entry]) -> list[Alert]:
    """Who was told what, and the file that holds the message as it arrived."""
    unread = {
        "mail": sorted((stage.out / "mail").glob("*.txt")),
        "slack": sorted((stage.out / "slack" / "versions").glob("*.json")),
    }
    alerts = []
    for entry in entries:
        if entry.what != "alert_sent":
            continue
        receiver, state = str(entry.data["receiver"]), str(entry.data["kind"])
        files = unread[receiver.rpartition("/")[2]]
        path = next((file for file in files if _says_resolved(file) == (state == "resolved")), None)
        if path is not None:
            files.remove(path)
        alerts.append(
            Alert(receiver=receiver, state=state, path=str(path.relative_to(stage.out)) if path else "")
        )
    return alerts


def _says_resolved(message: Path) -> bool:
    return "RESOLVED" in message.read_text(encoding="utf-8")


def _find_left_behind(stage: Stage) -> list[str]:
    sagemaker = stage.aws.client("sagemaker")
    configs = [row["EndpointConfigName"] for row in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    models = [row["ModelName"] for row in sagemaker.list_models()["Models"]]
    return [name for name in configs + models if name.startswith("sagewatch-")]


def _measure_hooked(diagnosis: Diagnosis) -> float:
    if diagnosis.hooked_at is None or diagnosis.restored_at is None:
        return 0.0
    return round((diagnosis.restored_at - diagnosis.hooked_at).total_seconds(), 1)


def _judge_fixed_rule(stage: Stage) -> dict[str, Any]:
    """When the notebook's rule would have spoken: it judges a whole hour at once."""
    raised = [
        event["detail"]
        for event in stage.recorder.heard("Finding Raised")
        if event["detail"]["kind"] == "fixed-share"
    ]
    if raised:
        predictions = raised[0]["window"]["predictions"]
        return {
            "raised": True,
            "predictions": predictions,
            "words": f"spoke after its whole batch of {predictions}",
        }
    return {
        "raised": False,
        "predictions": None,
        "words": "still waits for its hour to be over (the sample's job runs hourly)",
    }


def fetch_evidence(stage: Stage, incident_id: str) -> Path:
    """Copy page, pictures and manifest out of S3, each where the manifest says; the page's path.

    The page, and the heat maps, are there a second time under names that are easily found.
    """
    s3, bucket = stage.aws.client("s3"), stage.outputs["EvidenceBucket"]
    prefix = f"incidents/{incident_id}/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for row in page.get("Contents", []):
            name = row["Key"].removeprefix(prefix)
            target = stage.out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read())
    explained = stage.out / build_explain_prefix(incident_id).removeprefix(prefix)
    heatmaps = stage.out / "heatmaps"
    heatmaps.mkdir(exist_ok=True)
    for picture in sorted((explained / "heatmaps").glob("*.png")):
        shutil.copyfile(picture, heatmaps / picture.name)
    return Path(shutil.copyfile(stage.out / "index.html", stage.out / "incident.html"))


def count_dead_letters(stage: Stage) -> int:
    """Messages that some function gave up."""
    sqs = stage.aws.client("sqs")
    urls = [value for name, value in stage.outputs.items() if name.endswith("DeadLettersUrl")]
    names = ["ApproximateNumberOfMessages"]
    return sum(
        int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])
        for url in urls
    )
