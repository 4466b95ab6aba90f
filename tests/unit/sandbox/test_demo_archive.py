"""What the demo leaves is replayed to what it was: with the pictures that the saliency job drew."""

from __future__ import annotations

import json

import msgspec

from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.replay.load import build_player, load_recording
from sagewatch.replay.scene import Scene
from sagewatch.sandbox.demo.archive import list_explained
from tests.unit.replay.recordings import START, write_captures

INCIDENT = "20261121T203405Z-d70a35fb2065c43a"


def test_the_report_and_each_of_its_pictures_are_there_again(tmp_path):
    for name in (
        "explain/explanations.json",
        "explain/overlays/01.png",
        "explain/means/14.png",
        "summary.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    evidence = list_explained(tmp_path, INCIDENT)
    prefix = build_explain_prefix(INCIDENT)
    assert evidence == {
        f"{prefix}explanations.json": "explain/explanations.json",
        f"{prefix}means/14.png": "explain/means/14.png",
        f"{prefix}overlays/01.png": "explain/overlays/01.png",
    }
    write_scene(tmp_path, evidence)
    player = build_player(load_recording([tmp_path], None, None))
    with player.world.objects.open_object("evidence", f"{prefix}overlays/01.png") as picture:
        assert picture.read() == b"explain/overlays/01.png"


def test_a_demo_without_explanations_keeps_none(tmp_path):
    assert list_explained(tmp_path, INCIDENT) == {}


def write_scene(folder, evidence):
    write_captures(folder / "captures", clean=10, attacked=0, after=0)
    (folder / "monitors.yml").write_text("version: 1\nendpoints: {signs: {}}\n")
    (folder / "scene.json").write_bytes(msgspec.json.encode(Scene(evidence=evidence)))
    tick = {"source": "sagewatch", "detail-type": "Tick", "time": START.isoformat(), "detail": {}}
    (folder / "events.jsonl").write_text(json.dumps(tick) + "\n")
