"""Reading a capture file: order kept, every bad line counted and named, nothing ever raised."""

from __future__ import annotations

import base64
import io
import json
from datetime import UTC, datetime

import pytest

from sagewatch.capture import CaptureLocation, CaptureSpec, Readout, read_capture
from sagewatch.errors import ConfigurationError
from sagewatch.finding import Stream

KEY = "cap/signs/AllTraffic/2026/11/21/10/33-28-867-b7b86a39-1a5c-46b0-97dd-24f8da3dffc1.jsonl"
FIRST_AT = datetime(2026, 11, 21, 10, 33, 28, 867000, tzinfo=UTC)
LOCATION = CaptureLocation(
    bucket="b", key=KEY, etag="e", stream=Stream("signs", "AllTraffic"), first_at=FIRST_AT
)


def capture_line(
    answer: object,
    *,
    encoding: str = "JSON",
    content_type: str | None = "application/json",
    at: str = "2026-11-21T10:33:28Z",
    image: bytes = b"pixels",
) -> bytes:
    data = answer if isinstance(answer, str) else json.dumps(answer)
    image_side = {
        "observedContentType": "application/x-npy",
        "mode": "INPUT",
        "data": base64.b64encode(image).decode(),
        "encoding": "BASE64",
    }
    answer_side = {"observedContentType": content_type, "mode": "OUTPUT", "data": data, "encoding": encoding}
    line = {
        "captureData": {"endpointInput": image_side, "endpointOutput": answer_side},
        "eventMetadata": {"eventId": "9a", "inferenceTime": at},
        "eventVersion": "0",
    }
    return json.dumps(line).encode() + b"\n"


def read(*lines: bytes, spec: CaptureSpec | None = None) -> Readout:
    return read_capture(io.BytesIO(b"".join(lines)), LOCATION, spec or CaptureSpec())


def labels_in_order(readout: Readout) -> list[str]:
    segment = readout.segment
    return [segment.labels[index] for index in segment.indexes()]


def test_predictions_keep_the_order_of_the_file() -> None:
    readout = read(*(capture_line([[sign, 0.5]]) for sign in (14, 2, 14, 14, 7)))
    assert labels_in_order(readout) == ["14", "2", "14", "14", "7"]
    assert readout.segment.labels == ("14", "2", "7")
    assert readout.segment.lines == ()
    assert readout.lines == 5
    assert readout.segment.line(4) == 5


def test_confidences_are_kept_to_a_byte_and_absence_is_not_zero() -> None:
    segment = read(capture_line([[1, 0.25]]), capture_line([[1]]), capture_line([[1, 0]])).segment
    assert segment.confidence(0) == pytest.approx(0.25, abs=0.5 / 254)
    assert segment.confidence(1) is None
    assert segment.confidence(2) == 0.0


def test_answers_without_any_confidence_store_none() -> None:
    assert read(capture_line([[1]]), capture_line([[2]])).segment.confidences == b""


@pytest.mark.parametrize("odd", [1.5, -0.1, "high", None, True, [0.3]])
def test_a_confidence_that_is_no_share_is_none_and_the_prediction_counts(odd: object) -> None:
    readout = read(capture_line([[1, odd]]), capture_line([[1, 0.5]]))
    assert readout.segment.predictions == 2
    assert readout.segment.confidence(0) is None


def test_several_rows_of_one_request_are_several_predictions_of_one_line() -> None:
    segment = read(capture_line([[1, 0.5]]), capture_line([[2, 0.5], [3, 0.25]])).segment
    assert segment.lines == (1, 2, 2)
    assert segment.predictions == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{oops\n", "not_json"),
        (b"[1, 2]\n", "not_a_capture"),
        (b'{"groundTruthData": {"data": "0"}}\n', "not_a_capture"),
        (b'{"captureData": null}\n', "not_a_capture"),
        (b'{"captureData": {"endpointOutput": {"data": 3}}}\n', "not_a_capture"),
        (b'{"captureData": {"endpointInput": {"data": "x"}}}\n', "no_output"),
        (b"\xff\xfe\n", "not_json"),
        (b'{"captureData": {"endpointOutput": {"data": "\xff"}}}\n', "not_utf8"),
        (b'{"x": ' + b"[" * 100_000 + b"\n", "not_json"),
        (capture_line([[1]], encoding="XML"), "unknown_encoding"),
        (capture_line("{", encoding="JSON"), "output_not_json"),
        (capture_line("[" * 100_000, encoding="JSON"), "output_not_json"),
        (capture_line("no base64!", encoding="BASE64"), "bad_base64"),
        (capture_line({"other": 1}), "prediction_not_found"),
        (capture_line(""), "output_not_json"),
        (capture_line("", encoding="CSV"), "prediction_not_found"),
        (capture_line([[{"a": 1}]]), "class_not_a_scalar"),
        (capture_line([[" "]]), "class_empty"),
        (capture_line([["x" * 200]]), "class_too_long"),
        (capture_line([[10**200, 0.5]]), "class_too_long"),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_are_read(line: bytes, reason: str) -> None:
    readout = read(capture_line([[1]]), line, capture_line([[2]]))
    assert [(each.line, each.reason, each.key) for each in readout.rejected] == [(2, reason, KEY)]
    assert readout.segment.rejected == 1
    assert readout.segment.rejected_reasons == {reason: 1}
    assert labels_in_order(readout) == ["1", "2"]
    assert readout.segment.lines == (1, 3)


def test_two_records_on_one_line_are_one_bad_line() -> None:
    readout = read(capture_line([[1]]).rstrip(b"\n"), capture_line([[2]]), capture_line([[3]]))
    assert [(each.line, each.reason) for each in readout.rejected] == [(1, "not_json")]
    assert readout.segment.lines == (2,)


def test_a_null_content_type_is_an_error_response_and_not_a_rejected_line() -> None:
    readout = read(capture_line([[1]]), capture_line("oops", content_type=None))
    assert readout.segment.errors == 1
    assert readout.segment.rejected == 0
    assert readout.segment.predictions == 1


def test_blank_lines_count_as_lines_and_are_no_fault() -> None:
    readout = read(capture_line([[1]]), b"\n", b"  \r\n", capture_line([[2]]))
    assert readout.segment.lines == (1, 4)
    assert readout.segment.rejected == 0
    assert readout.lines == 4


def test_a_file_without_a_last_newline_is_read_whole() -> None:
    assert read(capture_line([[1]]), capture_line([[2]]).rstrip(b"\n")).segment.predictions == 2


def test_an_empty_file_is_an_empty_segment() -> None:
    readout = read()
    assert readout.segment.predictions == 0
    assert readout.lines == 0
    assert readout.segment.last_at == FIRST_AT


def test_a_line_beyond_the_limit_is_passed_over() -> None:
    spec = CaptureSpec(longest_line_bytes=4096)
    long = capture_line([[9]], image=b"x" * 20_000)
    readout = read(capture_line([[1]]), long, capture_line([[2]]), long.rstrip(b"\n"), spec=spec)
    assert [(each.line, each.reason) for each in readout.rejected] == [
        (2, "line_too_long"),
        (4, "line_too_long"),
    ]
    assert labels_in_order(readout) == ["1", "2"]


def test_lines_longer_than_a_block_are_read() -> None:
    long = capture_line([[9, 0.5]], image=b"x" * 900_000)
    assert labels_in_order(read(capture_line([[1]]), long, capture_line([[2]]))) == ["1", "9", "2"]


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_chunks_of_any_size_read_the_same(size: int) -> None:
    lines = [capture_line([[1, 0.5]]), b"oops\n", capture_line([[2], [3]]), b"\n", capture_line([[4]])]
    data = b"".join(lines)
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    assert read_capture(chunks, LOCATION, CaptureSpec()) == read(*lines)


def test_more_than_256_classes_take_two_bytes_each() -> None:
    segment = read(*(capture_line([[sign]]) for sign in range(300))).segment
    assert segment.width == 2
    assert list(segment.indexes()) == list(range(300))


def test_more_classes_than_allowed_are_rejected_and_known_ones_still_read() -> None:
    lines = [capture_line([[sign]]) for sign in (1, 2, 3, 1)]
    readout = read(*lines, spec=CaptureSpec(max_labels=2))
    assert readout.segment.rejected_reasons == {"too_many_classes": 1}
    assert labels_in_order(readout) == ["1", "2", "1"]


def test_rejected_lines_are_all_counted_though_few_are_named() -> None:
    readout = read(*[b"oops\n"] * 500)
    assert readout.segment.rejected == 500
    assert len(readout.rejected) == 100


@pytest.mark.parametrize(
    ("answer", "encoding", "content_type", "prediction", "expected"),
    [
        ("3,0.9\n", "CSV", "text/csv; charset=utf-8", 0, ["3"]),
        ("0.5,3\n0.25,4\n", "CSV", "text/csv", 1, ["3", "4"]),
        ("7.0", "CSV", "text/csv", "[*][0]", ["7"]),
        ('"a,b",0.5', "CSV", "text/csv", 0, ["a,b"]),
        (base64.b64encode(b"[[5, 0.5]]").decode(), "BASE64", "application/json", "[*][0]", ["5"]),
        (base64.b64encode(b"5,0.5\n").decode(), "BASE64", "text/csv", 0, ["5"]),
        (base64.b64encode(b"5,0.5\n").decode(), "BASE64", "", 0, ["5"]),
        (
            '{"predictions": [{"label": 1}, {"label": 0}]}',
            "JSON",
            "application/json",
            "predictions[*].label",
            ["1", "0"],
        ),
        ('{"label": 1}\n{"label": 2}\n', "JSON", "application/jsonlines", "label", ["1", "2"]),
        ('{"p": [[0.1, 0.9]]}', "JSON", "application/json", "length(p)", ["1"]),
        ("[[true]]", "JSON", "application/json", "[*][0]", ["true"]),
        ("[[14.0]]", "JSON", "application/json", "[*][0]", ["14"]),
    ],
)
def test_every_encoding_and_content_type(
    answer: str, encoding: str, content_type: str, prediction: str | int, expected: list[str]
) -> None:
    line = capture_line(answer, encoding=encoding, content_type=content_type)
    assert labels_in_order(read(line, spec=CaptureSpec(prediction=prediction, confidence=None))) == expected


def test_a_path_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"\[\*"):
        read(spec=CaptureSpec(prediction="[*"))


def test_the_last_time_is_the_last_records_and_never_before_the_first() -> None:
    late = read(capture_line([[1]]), capture_line([[1]], at="2026-11-21T10:34:10Z")).segment
    assert late.last_at == datetime(2026, 11, 21, 10, 34, 10, tzinfo=UTC)
    assert read(capture_line([[1]], at="2026-11-21T10:33:28Z")).segment.last_at == FIRST_AT
    assert read(capture_line([[1]], at="yesterday")).segment.last_at == FIRST_AT


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon"])
def test_a_time_that_no_calendar_has_costs_no_record(at: str) -> None:
    readout = read(capture_line([[14, 0.5]], at=at))
    assert (labels_in_order(readout), readout.segment.last_at) == (["14"], FIRST_AT)
