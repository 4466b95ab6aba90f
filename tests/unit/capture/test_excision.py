"""Cutting large payloads out of lines changes nothing that is read of them."""

from __future__ import annotations

import json

import pytest

from tests.unit.capture.test_reader import capture_line, labels_in_order, read

LONG = "x" * 9000


def with_input(data: str, **line_fields: object) -> bytes:
    line = json.loads(capture_line([[7, 0.5]]))
    line["captureData"]["endpointInput"]["data"] = data
    return json.dumps({**line, **line_fields}, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "payload",
    [
        LONG,
        LONG + '"',
        LONG + "\\",
        '"' + LONG,
        f'{LONG}"endpointOutput":{{"data":"[[9]]"}}',
        LONG + "é",
        LONG + "\n",
    ],
)
def test_whatever_the_payload_holds_the_answer_is_read(payload: str) -> None:
    line = with_input(payload)
    readout = read(line, capture_line([[1, 0.5]], image=LONG.encode()), line)
    assert labels_in_order(readout) == ["7", "1", "7"]
    assert readout.segment.rejected == 0


def test_lines_that_are_broken_behind_a_long_payload_are_rejected() -> None:
    good = with_input(LONG)
    cut_off = good[:-40] + b"\n"
    unclosed = good[:5000] + b"\n"
    readout = read(good, cut_off, good, unclosed, good)
    assert [(each.line, each.reason) for each in readout.rejected] == [(2, "not_json"), (4, "not_json")]
    assert readout.segment.lines == (1, 3, 5)


@pytest.mark.parametrize("sides", [["endpointOutput"], ["endpointOutput", "endpointInput"]])
def test_a_long_answer_is_not_cut(sides: list[str]) -> None:
    answer = json.dumps([[14, 0.5, *range(5000)]])
    data = {"endpointOutput": answer, "endpointInput": "1,2"}
    line = {"captureData": {side: {"data": data[side], "encoding": "JSON"} for side in sides}}
    text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    assert labels_in_order(read(text, text)) == ["14", "14"]
