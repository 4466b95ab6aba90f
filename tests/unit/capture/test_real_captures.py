"""Captures that SageMaker really wrote, from public repositories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagewatch.capture import CaptureSpec, read_capture, read_record
from tests.unit.capture.test_reader import LOCATION

REAL = Path(__file__).parents[4] / "shared" / "real" / "captures"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is absent"),
]
COLUMN = CaptureSpec(prediction=0, confidence=0)


@pytest.mark.parametrize(
    ("name", "spec", "predictions", "rejected"),
    [
        ("adult_json_multi_record", CaptureSpec(prediction="predictions[*].predicted_label"), 3, 0),
        ("adult_jsonlines_multi_record", CaptureSpec(prediction="predicted_label", confidence="score"), 3, 0),
        ("bank_marketing_csv_newline_output", COLUMN, 6, 0),
        ("boston_housing_csv", COLUMN, 1, 0),
        ("boston_housing_tensorflow_json", CaptureSpec(prediction="predictions[*][0]"), 7, 0),
        ("churn_csv_introduction_notebooks", COLUMN, 24, 0),
        ("churn_csv_with_inference_id", COLUMN, 9, 0),
        ("sdk_captured-data_json", CaptureSpec(prediction="predictions"), 6, 0),
        ("weather_csv_trailing_newline_input", COLUMN, 12, 0),
        ("merged_ground_truth_csv", COLUMN, 6, 0),
        ("ground_truth_bank_marketing", COLUMN, 0, 50),
    ],
)
def test_real_captures_are_read(name: str, spec: CaptureSpec, predictions: int, rejected: int) -> None:
    with (REAL / f"{name}.jsonl").open("rb") as file:
        segment = read_capture(file, LOCATION, spec).segment
    assert (segment.predictions, segment.rejected) == (predictions, rejected)


def test_churn_scores_are_confidences() -> None:
    file = REAL / "churn_csv_introduction_notebooks.jsonl"
    with file.open("rb") as stream:
        segment = read_capture(stream, LOCATION, COLUMN).segment
    scores = [
        float(json.loads(line)["captureData"]["endpointOutput"]["data"])
        for line in file.read_text().splitlines()
    ]
    read = [segment.confidence(at) for at in range(segment.predictions)]
    assert read == pytest.approx(scores, abs=0.5 / 254)


@pytest.mark.parametrize("name", ["scones_image_png_base64", "udacity_image_png_base64"])
def test_a_real_image_comes_back_as_png(name: str) -> None:
    for line in (REAL / f"{name}.jsonl").read_bytes().splitlines():
        record = read_record(line)
        assert record.input is not None
        assert record.input.content.startswith(b"\x89PNG\r\n")


def test_no_real_file_makes_the_reader_raise() -> None:
    for file in sorted(REAL.iterdir()):
        with file.open("rb") as stream:
            readout = read_capture(stream, LOCATION, CaptureSpec())
        assert readout.lines >= 1
