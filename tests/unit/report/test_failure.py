"""Why runs fail, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagewatch.report.failure import classify_failure

REAL = Path(__file__).parents[4] / "shared" / "real"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Job inputs had no data", "no_data"),
        (
            'No S3 objects found under S3 URL "s3://b/ground_truth_data/e/AllTraffic/2024/03/18/18" given',
            "no_ground_truth",
        ),
        (
            'No S3 objects found under S3 URL "s3://b/data_capture/e/AllTraffic/2022/09/01/15" given',
            "no_data",
        ),
        ("ClientError: Access Denied (403) on s3://b", "permission"),
        ("Exception while invoking preprocessor script", "preprocess_script"),
        ("Error: Encoding mismatch: Encoding is CSV for endpointInput", "encoding"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory"),
        ("The job exceeded its MaxRuntimeInSeconds", "timeout"),
        ("AlgorithmError: something new", "unknown"),
    ],
)
def test_a_failure_has_a_cause_and_a_next_step(message, code):
    failure = classify_failure("Failed", message)
    assert failure.code == code
    assert len(failure.next_step) > 30


@pytest.mark.real
def test_no_real_failure_message_is_unknown():
    path = REAL / "events" / "api_responses" / "exit_and_failure_messages.jsonl"
    if not path.is_file():
        pytest.skip("../shared/real is not here: real messages are read in place")
    for line in path.read_text().splitlines():
        message = json.loads(line)["message"]
        if not message.startswith("Completed"):
            assert classify_failure("Failed", message).code in {"no_data", "no_ground_truth"}, message
