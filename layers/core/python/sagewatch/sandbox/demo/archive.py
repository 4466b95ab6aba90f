"""What the demo keeps so that it can be replayed: captures, monitors, the endpoint as it was, the incident."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.replay.scene import SCENE_FILE, HostedEndpoint, Scene, Story
from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.moto_server import ACCOUNT_ID
from sagewatch.state import State

CAPTURES = "captures"
STORY_FILE = "incident.json"
_EXPLAIN = "explain"


def keep_archive(stage: Stage, endpoint: str, incident_id: str, state: State) -> Path:
    """Write the scene and everything that it names beside ``events.jsonl``; the scene's path."""
    _keep_captures(stage)
    for name in ("monitors.yml", "signnames.csv"):
        shutil.copy(stage.out / ".sandbox" / name, stage.out / name)
    incident = state.load_incident(incident_id)
    stories: tuple[str, ...] = ()
    if incident is not None:
        story = Story(incident=incident, entries=tuple(state.load_entries(incident_id)))
        (stage.out / STORY_FILE).write_bytes(_format(story))
        stories = (STORY_FILE,)
    scene = Scene(
        account=ACCOUNT_ID,
        region=stage.aws.region,
        capture_bucket=stage.outputs["CaptureBucket"],
        capture_prefix=stage.outputs["CapturePrefix"],
        evidence_bucket=stage.outputs["EvidenceBucket"],
        captures=CAPTURES,
        hosting={endpoint: _describe(stage, endpoint)},
        evidence=list_explained(stage.out, incident_id),
        stories=stories,
    )
    path = stage.out / SCENE_FILE
    path.write_bytes(_format(scene))
    return path


def list_explained(folder: Path, incident_id: str) -> dict[str, str]:
    """What the saliency job left: the key of each object, and its file below the folder.

    Pictures, too: they are told of only where they are those that the report lists by their digests.
    """
    prefix, explain = build_explain_prefix(incident_id), folder / _EXPLAIN
    files = sorted(path for path in explain.rglob("*") if path.is_file())
    return {
        f"{prefix}{path.relative_to(explain).as_posix()}": path.relative_to(folder).as_posix()
        for path in files
    }


def _keep_captures(stage: Stage) -> None:
    s3, bucket = stage.aws.client("s3"), stage.outputs["CaptureBucket"]
    shutil.rmtree(stage.out / CAPTURES, ignore_errors=True)
    prefix = f"{stage.outputs['CapturePrefix']}/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for row in page.get("Contents", []):
            target = stage.out / CAPTURES / row["Key"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read())


def _describe(stage: Stage, endpoint: str) -> HostedEndpoint:
    """The endpoint's own configuration; the demo ends on the one that it began with."""
    sagemaker = stage.aws.client("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    config: dict[str, Any] = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    model: dict[str, Any] = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    return HostedEndpoint(config=_plain(config), model=_plain(model))


def _plain(described: dict[str, Any]) -> dict[str, Any]:
    described.pop("ResponseMetadata", None)
    return dict(msgspec.json.decode(msgspec.json.encode(described, enc_hook=str)))


def _format(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
