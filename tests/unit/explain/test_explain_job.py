"""The saliency job as the platform runs it: a process, directories, a message, an exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "layers" / "core" / "python"
NAMES = "ClassId,SignName\n14,Stop\n1,Speed limit (30km/h)\n"


@pytest.fixture
def container(recording, tmp_path):
    """A container's file system with the recording mounted."""
    (tmp_path / "opt/ml/processing/input").mkdir(parents=True)
    shutil.copytree(recording, tmp_path / "opt/ml/processing/input/tensors")
    return tmp_path


def run(root, **environment):
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}  # noqa: TID251
    done = subprocess.run(
        [sys.executable, str(ROOT / "monitor_image" / "explain.py")],
        env={**inherited, "PYTHONPATH": str(PACKAGE), "CONTAINER_ROOT": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    message = (root / "opt/ml/output/message").read_bytes()
    assert len(message) <= 1024
    return done.returncode, message.decode()


def configure(root, output="/opt/ml/processing/output", environment=None):
    path = root / "opt/ml/config/processingjobconfig.json"
    path.parent.mkdir(parents=True)
    output_config = {"Outputs": [{"OutputName": "x", "S3Output": {"LocalPath": output}}], "KmsKeyId": None}
    path.write_text(json.dumps({"Environment": environment, "ProcessingOutputConfig": output_config}))


def test_every_recorded_image_is_explained_with_its_pictures(container):
    (container / "opt/ml/processing/input/classes").mkdir()
    (container / "opt/ml/processing/input/classes/signnames.csv").write_text(NAMES)
    code, message = run(container, SUSPECT_CLASS="14", MAX_IMAGES="12")
    assert (code, message) == (0, "Completed: 5 images explained, 0 skipped, 0 incomplete.")
    output = container / "opt/ml/processing/output"
    report = json.loads((output / "explanations.json").read_text())
    assert report["schema"] == 1
    assert report["skipped"] == []
    assert report["completeness_max_relative_error"] <= 1e-5
    assert [image["class"] for image in report["images"][:2]] == [14, 14]
    assert {image["class_name"] for image in report["images"]} >= {"Stop", "class 12"}
    for number, image in enumerate(report["images"], 1):
        name = f"{number:02d}_{image['worker']}_{image['step']}_class{image['class']}.png"
        assert image["heatmap"] == f"heatmaps/{name}"
        assert image["completeness_ok"]
        assert 0 <= image["outside_roi_share"] <= 1
        for room in ("heatmap", "input", "overlay"):
            with Image.open(output / image[room]) as picture:
                picture.verify()


def test_output_path_and_environment_come_from_the_platforms_file(container):
    configure(container, output="/opt/ml/processing/outputs", environment={"MAX_IMAGES": "2"})
    assert run(container)[0] == 0
    report = json.loads((container / "opt/ml/processing/outputs/explanations.json").read_text())
    assert len(report["images"]) == 2


def test_the_process_environment_goes_before_the_file(container):
    configure(container, environment={"MAX_IMAGES": "2"})
    run(container, MAX_IMAGES="1")
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    assert len(report["images"]) == 1


def test_a_file_full_of_nulls_means_defaults(container):
    path = container / "opt/ml/config/processingjobconfig.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"Environment": null, "ProcessingOutputConfig": {"Outputs": null, "KmsKeyId": null}}')
    assert run(container)[0] == 0


def test_a_subject_that_is_no_class_explains_every_class(container):
    assert run(container, SUSPECT_CLASS="brightness")[1].startswith("Completed: 5 images")


def test_a_class_may_be_named_instead_of_numbered(container):
    (container / "opt/ml/processing/input/classes").mkdir()
    (container / "opt/ml/processing/input/classes/signnames.csv").write_text(NAMES)
    assert run(container, SUSPECT_CLASS="Stop", SUSPECT_KIND="class-concentration")[0] == 0
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    assert {image["class"] for image in report["images"] if image["role"] == "suspicious"} == {14}


def test_of_a_fallen_confidence_the_least_confident_are_explained(container):
    assert run(container, SUSPECT_CLASS="", SUSPECT_KIND="confidence", MAX_IMAGES="3")[0] == 0
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    shown = [image["probability"] for image in report["images"]]
    assert (len(shown), shown) == (3, sorted(shown))
    assert {image["role"] for image in report["images"]} == {"suspicious"}


def test_of_a_fallen_confidence_a_share_of_the_recorded_is_drawn_from(container):
    for share, count in (("0.4", 2), ("1", 3)):
        environment = {"SUSPECT_KIND": "confidence", "MAX_IMAGES": "3", "SUSPECT_SHARE": share}
        assert run(container, SUSPECT_CLASS="", **environment)[0] == 0
        report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
        assert len(report["images"]) == count
    assert run(container, SUSPECT_KIND="confidence", SUSPECT_SHARE="all")[0] == 1


def test_the_region_of_interest_is_the_owners_and_stands_in_the_report(container):
    assert run(container, SUSPECT_CLASS="14", REGION="0,0,1,1")[0] == 0
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    assert report["region"] == {"left": 0, "top": 0, "right": 1, "bottom": 1}
    assert {image["outside_roi_share"] for image in report["images"]} == {0}
    assert report["comparison"]["verdict"] == "other_classes"
    for name in ("suspicious", "others", "difference"):
        with Image.open(container / "opt/ml/processing/output" / report["means"][name]) as picture:
            picture.verify()


@pytest.mark.parametrize(("region", "past"), [("0.1,0.1,0.9,0.9", False), ("0,0,0.25,0.25", True)])
def test_who_looks_past_the_region_more_than_by_chance_is_warned_of(container, region, past):
    """The signs stand in the middle; most look past a region in a corner."""
    assert run(container, SUSPECT_CLASS="14", REGION=region)[0] == 0
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    assert any(image["looks_past_region"] for image in report["images"]) is past
    for image in report["images"]:
        beyond = image["outside_roi_share"] > image["even_outside_share"]
        assert image["looks_past_region"] is beyond


def test_a_broken_step_is_listed_and_the_others_are_explained(container):
    victim = next(container.rglob("000000000002_worker_0.tfevents"))
    victim.write_bytes(victim.read_bytes()[:999])
    code, message = run(container)
    assert (code, message) == (0, "Completed: 4 images explained, 1 skipped, 0 incomplete.")
    report = json.loads((container / "opt/ml/processing/output/explanations.json").read_text())
    assert "step 2" in report["skipped"][0]["file"]
    assert "byte" in report["skipped"][0]["reason"]


def test_no_tensors_fails_and_says_where_they_were_looked_for(tmp_path):
    code, message = run(tmp_path)
    assert code == 1
    assert message.startswith("no tensors found under ")
    assert message.endswith("opt/ml/processing/input/tensors")


def test_tensors_of_which_none_can_be_explained_fail_with_the_first_reason(container):
    for path in container.rglob("*.tfevents"):
        path.write_bytes(b"")
    code, message = run(container)
    assert code == 1
    assert message.startswith("none of 5 recorded steps can be explained: ")


@pytest.mark.parametrize(
    ("key", "value"), [("MAX_IMAGES", "many"), ("MAX_IMAGES", "0"), ("REGION", "the middle")]
)
def test_a_setting_that_is_none_fails_and_is_named(container, key, value):
    code, message = run(container, **{key: value})
    assert code == 1
    assert key in message


def test_a_platform_file_that_is_no_json_fails_and_is_named(container):
    path = container / "opt/ml/config/processingjobconfig.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    code, message = run(container)
    assert code == 1
    assert "processingjobconfig.json" in message


def test_an_output_that_cannot_be_written_fails_with_the_cause(container):
    (container / "opt/ml/processing/output").write_text("in the way")
    code, message = run(container)
    assert code == 1
    assert "opt/ml/processing/output" in message
