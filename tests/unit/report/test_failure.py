"""Why runs fail, and what to do next."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from sagewatch.container import ENDED_EARLY, describe_end
from sagewatch.errors import describe_defect
from sagewatch.incident.describe_report import CAUSES
from sagewatch.report.failure import CAUSE_WORDS, CODES, classify_failure, name_cause

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
        ("AlgorithmError: , exit code: 137", "memory"),
        ("InternalServerError: We encountered an internal error. Please try again.", "aws"),
        ("CapacityError: Unable to provision requested ML compute capacity", "capacity"),
        # What our own analyzer says.
        ("/opt/ml/processing/input/endpoint: no such file or directory", "no_data"),
        ("/opt/ml/processing/input/endpoint: no data: there is no file that is not empty", "no_data"),
        ("/d: Job inputs had no data: 500 records are error responses.", "error_responses"),
        ("/d: Job inputs had no data: The preprocess script dropped 2 records.", "preprocess_script"),
        ("/d/a.jsonl, line 1: not one line could be read (24 not_json)", "parse"),
        ("/d/a.parquet, line 1: not one line could be read (1 no Parquet (no footer))", "parse"),
        ("/d/a.gz: compressed by gzip: unpack it; CSV, JSON are read, in UTF-8", "parse"),
        (
            "clean.py: line 2: ValueError: 403 Forbidden at /d/a.jsonl, line 1 (record f0)",
            "preprocess_script",
        ),
        ("clean.py: has no function preprocess_handler", "preprocess_script"),
        ("[Errno 13] Permission denied: '/opt/ml/processing/output/constraints.json'", "permission"),
        (
            "[Errno 2] No such file or directory: '/opt/ml/processing/baseline/stats/statistics.json'",
            "no_baseline",
        ),
        ("/opt/ml/c.json: no constraints (Input data was truncated)", "no_baseline"),
        (ENDED_EARLY, "memory"),
        (describe_end(-signal.SIGKILL), "memory"),
        (describe_end(0), "preprocess_script"),
        (describe_end(-signal.SIGTERM), "stopped"),
        (describe_end(-signal.SIGINT), "stopped"),
        (describe_end(-signal.SIGSEGV), "unknown"),
        ("/d/a.jsonl, line 1: not one line could be read (403 not_json)", "parse"),
        ("CannotPullContainerError: status code: 403", "permission"),
        ("HTTP 403 from s3.eu-west-1.amazonaws.com", "permission"),
        ("NameError: name 'preprocess_handler' is not defined", "preprocess_script"),
        ("s3://preprocess-bucket/postprocess/x has 0 objects: Job inputs had no data", "no_data"),
        ("s3://preprocess-bucket/x has 0 objects", "unknown"),
        ("environment, THRESHOLD: 'x' is no number", "configuration"),
        ("dataset_format, sagemakerMergeJson: none of sagemakerCaptureJson", "configuration"),
        ("/d: no partial profile of algo-2 (1 of 2 are here)", "shards_missing"),
        (describe_defect(OverflowError("ada@example.com parse preprocess")), "defect"),
        ("s.json, features[0].x.c: no statistics (it is 1e+308, not 0 to 1)", "no_baseline"),
        ("[Errno 28] No space left on device", "disk"),
        ("AlgorithmError: something new", "unknown"),
    ],
)
def test_a_failure_has_a_cause_and_a_next_step(message, code):
    for said in (message, f"AlgorithmError: {message}, exit code: 1"):
        failure = classify_failure("Failed", said)
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


@pytest.mark.parametrize("code", sorted(set(CODES) - {"stopped", "no_report", "unknown"}))
def test_the_bare_word_of_a_cause_has_the_same_cause(code):
    assert classify_failure("Failed", CAUSE_WORDS[code]).code == code
    assert name_cause("Failed", CAUSE_WORDS[code]) == CAUSE_WORDS[code]


def test_the_bare_word_of_a_message_quotes_nothing_of_it():
    assert name_cause("Failed", "AlgorithmError: cannot parse 79098 as Integral") == "malformed"
    assert name_cause("Failed", "79098") == ""
    assert name_cause("Stopped", "79098") == ""


def test_every_cause_can_be_told_in_an_alert():
    assert set(CODES) - {"unknown"} <= set(CAUSES)
