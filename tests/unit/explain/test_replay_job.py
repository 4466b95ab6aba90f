"""`mode: replay`: captured requests run through the model's own code inside the job, and are explained with their roles."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import statistics

import numpy as np
import pytest

from sagewatch.cli.model_archive import build_model_archive
from sagewatch.explain import names
from sagewatch.explain.trial import TrialReader, find_steps
from tests.endpoint_under_test import ENDPOINT_CODE, WEIGHTS, encode_npy
from tests.unit.explain.test_explain_job import run

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")


def prepare(root, rows, archive):
    inputs = root / "opt/ml/processing/input"
    (inputs / "model").mkdir(parents=True)
    (inputs / "requests").mkdir()
    (inputs / "model" / "model.tar.gz").write_bytes(archive)
    lines = [
        {**row, "content_type": "application/x-npy", "body": base64.b64encode(row["body"]).decode()}
        for row in rows
    ]
    (inputs / "requests" / "requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (inputs / "requests" / "environment.json").write_text('{"SOME_SETTING": "1"}')


@pytest.fixture(scope="module")
def archive():
    return build_model_archive(ENDPOINT_CODE, WEIGHTS)


def draw(class_id, seed):
    from sagewatch.sandbox.signs import draw_sign

    return encode_npy(draw_sign(class_id, np.random.default_rng(seed)))


def test_captured_requests_are_explained_with_their_ids_and_roles_and_compared(tmp_path, archive):
    rows = [
        {"id": f"event-{n}", "role": "suspicious" if n < 3 else "clean", "body": draw(14, n)}
        for n in range(6)
    ] + [{"id": "broken", "role": "suspicious", "body": b"no picture"}]
    prepare(tmp_path, rows, archive)
    code, message = run(tmp_path, SUSPECT_CLASS="14")
    assert (code, message) == (0, "Completed: 6 images explained, 0 skipped, 0 incomplete.")
    output = tmp_path / "opt/ml/processing/output"
    report = json.loads((output / "explanations.json").read_text())
    assert [(image["request_id"], image["role"], image["class"]) for image in report["images"]] == [
        (f"event-{n}", "suspicious" if n < 3 else "clean", 14) for n in range(6)
    ]
    assert report["images"][0]["request_digest"] == hashlib.sha256(rows[0]["body"]).hexdigest()
    comparison = report["comparison"]
    assert (comparison["suspicious"], comparison["others"]) == (3, 3)
    assert comparison["others_are"] == "clean input of that class"
    assert "of 3 suspicious inputs and 3 clean inputs of that class" in comparison["sentence"]
    assert report["added_milliseconds"] is None, "nobody waited for what the job ran"
    assert (output / "means" / "suspicious.png").exists()


def test_the_same_bytes_before_and_in_the_incident_are_suspicious(tmp_path, archive):
    """Evidence of an older Sagewatch may name them twice."""
    twice = draw(14, 1)
    rows = [{"id": f"event-{role}", "role": role, "body": twice} for role in ("suspicious", "clean")]
    prepare(tmp_path, rows, archive)
    assert run(tmp_path, SUSPECT_CLASS="14")[0] == 0
    report = json.loads((tmp_path / "opt/ml/processing/output/explanations.json").read_text())
    assert {(image["role"], image["request_id"]) for image in report["images"]} == {
        ("suspicious", "event-suspicious")
    }


def test_clean_requests_are_run_beside_what_the_endpoint_recorded(tmp_path, archive, recording):
    """The same picture may have come in clean traffic and now: what was recorded live stays suspicious."""
    shutil.copytree(recording, tmp_path / "opt/ml/processing/input/tensors")
    prepare(
        tmp_path, [{"id": f"clean-{n}", "role": "clean", "body": draw(14, 40 + n)} for n in range(6)], archive
    )
    assert run(tmp_path, SUSPECT_CLASS="14")[0] == 0
    report = json.loads((tmp_path / "opt/ml/processing/output/explanations.json").read_text())
    roles = [(image["role"], image["request_id"]) for image in report["images"]]
    assert roles[:2] == [("suspicious", "")] * 2
    assert roles[-6:] == [("clean", f"clean-{n}") for n in range(6)]
    assert {role for role, _ in roles[2:-6]} == {"other"}
    comparison = report["comparison"]
    assert (comparison["suspicious"], comparison["others"], comparison["verdict"]) == (2, 6, "too_few")
    assert report["notes"] == []
    # Of the endpoint alone: six of eleven pictures were made on the job's instance.
    steps = find_steps(recording)
    seconds = [TrialReader(steps).read(step).tensors[names.SECONDS] for step in steps]
    assert report["added_milliseconds"] == pytest.approx(
        statistics.median(1e3 * float(both[1] - both[0]) for both in seconds)
    )


def test_a_model_that_cannot_be_run_is_noted_and_what_was_recorded_is_explained(tmp_path, recording):
    shutil.copytree(recording, tmp_path / "opt/ml/processing/input/tensors")
    prepare(tmp_path, [{"id": "clean", "role": "clean", "body": draw(14, 1)}], b"no archive")
    assert run(tmp_path, SUSPECT_CLASS="14")[1].startswith("Completed: 5 images explained")
    report = json.loads((tmp_path / "opt/ml/processing/output/explanations.json").read_text())
    (note,) = report["notes"]
    assert note.startswith("Clean inputs could not be run through the model to compare with: ")
    assert report["comparison"]["verdict"] == "other_classes"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda inputs: (inputs / "model/model.tar.gz").write_bytes(b"no archive"), "is no model archive"),
        (lambda inputs: (inputs / "requests/requests.jsonl").write_text("{}\n"), "is no request"),
        (lambda inputs: (inputs / "model/model.tar.gz").unlink(), "the model cannot be replayed"),
    ],
)
def test_what_cannot_be_replayed_ends_the_job_with_a_sentence(tmp_path, archive, spoil, said):
    prepare(tmp_path, [{"id": "a", "role": "clean", "body": draw(14, 1)}], archive)
    spoil(tmp_path / "opt/ml/processing/input")
    code, message = run(tmp_path)
    assert code == 1
    assert said in message
