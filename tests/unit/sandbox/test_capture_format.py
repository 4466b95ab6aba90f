"""The capture line and key are SageMaker's, and its own reader can read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sagewatch.sandbox.sagemaker.capture import Payload, build_key, build_line, parse_capture_config

CONFIG = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 50,
    "DestinationS3Uri": "s3://bucket/capture/here/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}
MOMENT = datetime(2026, 6, 12, 10, 33, 28, 867_999, UTC)


def test_a_config_that_captures_nothing_has_no_settings() -> None:
    assert parse_capture_config(None) is None
    assert parse_capture_config({**CONFIG, "EnableCapture": False}) is None


@pytest.mark.parametrize(
    ("options", "modes"),
    [
        ([{"CaptureMode": "Input"}], {"INPUT"}),
        ([{"CaptureMode": "InputAndOutput"}], {"INPUT", "OUTPUT"}),
    ],
)
def test_capture_options_name_the_sides(options: list[dict[str, str]], modes: set[str]) -> None:
    settings = parse_capture_config({**CONFIG, "CaptureOptions": options})
    assert settings is not None
    assert settings.modes == modes


@pytest.mark.parametrize(
    ("content_type", "body", "encoding", "data"),
    [
        ("text/csv; charset=utf-8", b"1,2\n", "CSV", "1,2\n"),
        ("application/json", b'{"a": 1}', "JSON", '{"a": 1}'),
        ("application/x-npy", b"\x00\xff", "BASE64", "AP8="),
        ("application/json", b"\xff", "BASE64", "/w=="),
        (None, b"oops", "BASE64", "b29wcw=="),
    ],
)
def test_the_content_type_decides_the_encoding(
    content_type: str | None, body: bytes, encoding: str, data: str
) -> None:
    settings = parse_capture_config(CONFIG)
    assert settings is not None
    payload = Payload(content_type, body)
    line = build_line(settings, payload, payload, event_id=UUID(int=1), moment=MOMENT)
    side = json.loads(line)["captureData"]["endpointInput"]
    assert (side["encoding"], side["data"], side["observedContentType"]) == (encoding, data, content_type)


def test_the_key_has_hour_first_records_time_and_an_id() -> None:
    settings = parse_capture_config(CONFIG)
    assert settings is not None
    key = build_key(settings, "signs", "AllTraffic", MOMENT, UUID(int=0))
    assert key == f"capture/here/signs/AllTraffic/2026/06/12/10/33-28-867-{UUID(int=0)}.jsonl"


def test_the_lines_metadata_leaves_out_what_the_request_did_not_say() -> None:
    settings = parse_capture_config(CONFIG)
    assert settings is not None
    payload = Payload("text/csv", b"1")
    line = build_line(settings, payload, payload, event_id=UUID(int=1), moment=MOMENT)
    assert json.loads(line)["eventMetadata"] == {
        "eventId": str(UUID(int=1)),
        "inferenceTime": "2026-06-12T10:33:28Z",
    }
    assert line.endswith("\n")
