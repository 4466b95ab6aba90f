"""A night that can be looked into: an attack that goes on, its recording, and the store that holds the incident."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import msgspec

from sagewatch.cli.store import Store
from sagewatch.replay.load import build_player, load_recording
from sagewatch.replay.recording import build_landing
from sagewatch.replay.scene import SCENE_FILE, Scene
from tests.unit.replay.recordings import MONITORS, START, write_captures

INCIDENT = "20261121T123009Z-d70a35fb2065c43a"


def write_night(folder: Path) -> None:
    """The recording in ``night/``, and two monitors files to compare."""
    (folder / "monitors.yml").write_text(MONITORS)
    (folder / "stricter.yml").write_text(
        MONITORS.replace("baseline:", "one_false_alarm_in: 100000000, baseline:")
    )
    night = folder / "night"
    write_captures(night / "captures", attacked=160, after=0)
    (night / "monitors.yml").write_text(MONITORS)
    recording = load_recording([night / "captures"], None, folder / "monitors.yml")
    tensors = [
        build_landing("evidence", f"tensors/{INCIDENT}/w/index/000000000/{n:012d}_worker_0.json", 9, START + timedelta(minutes=37, seconds=n))
        for n in range(4)
    ]  # fmt: skip
    events = sorted((*recording.events, *tensors), key=lambda event: event["time"])
    (night / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (night / "explanations.json").write_text(
        json.dumps({"images": [dict.fromkeys(("input", "overlay"), "x")] * 4})
    )
    evidence = {f"incidents/{INCIDENT}/explain/explanations.json": "explanations.json"}
    scene = Scene(hosting=recording.scene.hosting, evidence=evidence)
    (night / SCENE_FILE).write_bytes(msgspec.json.encode(scene))


def open_night(folder: Path) -> Store:
    """The stack's store as it was when the recording ended."""
    recording = load_recording([folder / "night"], None, None)
    player = build_player(recording)
    player.play(recording.events)
    world = player.world
    outputs = {"EvidenceBucket": "evidence", "CaptureBucket": "captures", "CapturePrefix": "capture",
               "StateTable": "memory", "EventBus": "memory"}  # fmt: skip
    return Store(world=world, outputs=outputs)
