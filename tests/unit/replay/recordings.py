"""A day's recording, made here: captures in a folder as in S3, and what a first play of them came to."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sagewatch.replay.load import load_recording
from sagewatch.replay.outcome import gather
from sagewatch.replay.scene import SCENE_FILE, Scene, Story
from tests.unit.flows.captures import PREFIX, build_line, draw_attacked, draw_clean

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONITORS = """
version: 1
endpoints:
  signs:
    detectors: {class-concentration: {baseline: {learn_from: 100}, clear_after: 60}}
    diagnosis: {mode: swap, observe: {requests: 4, at_most: 20m}}
receivers:
  ml-on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


def write_captures(
    folder: Path,
    *,
    seed: int = 1,
    clean: int = 300,
    attacked: int = 60,
    after: int = 200,
    start: datetime = START,
) -> Path:
    """Capture files of ten predictions, a minute apart."""
    rng = random.Random(seed)
    predictions = draw_clean(clean, rng) + draw_attacked(attacked, rng) + draw_clean(after, rng)
    for number in range(0, len(predictions), 10):
        at = start + timedelta(minutes=number // 10)
        lines = [
            build_line(one, at + timedelta(seconds=n), n)
            for n, one in enumerate(predictions[number : number + 10])
        ]
        name = f"{at:%M-%S}-000-00000000-0000-4000-8000-{number:012d}.jsonl"
        path = folder / PREFIX / f"{at:%Y/%m/%d/%H}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return folder


def write_archive(folder: Path) -> Path:
    """Captures, events, monitors, scene, and the story of the incident, as the demo leaves them."""
    from sagewatch.replay.load import build_player

    write_captures(folder / "captures")
    (folder / "monitors.yml").write_text(MONITORS)
    recording = load_recording([folder / "captures"], None, folder / "monitors.yml")
    player = build_player(recording)
    player.play(recording.events)
    outcome = gather(player, len(recording.events))
    lines = [json.dumps(event) for event in (*recording.events, *player.bus.events)]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    (told,) = outcome.incidents
    story = Story(incident=told.incident, entries=told.entries)
    (folder / "incident.json").write_bytes(msgspec.json.encode(story))
    scene = Scene(hosting=recording.scene.hosting, stories=("incident.json",))
    (folder / SCENE_FILE).write_bytes(msgspec.json.encode(scene))
    return folder
