"""No bytes whatever make the reader raise, and nothing is counted twice or lost."""

from __future__ import annotations

import io
import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.capture import CaptureSpec, decode_segment, encode_segment, read_capture, read_record
from sagewatch.errors import RejectedInputError
from tests.unit.capture.test_reader import LOCATION, capture_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = JSON | st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=3)
LINES = st.one_of(
    st.binary(max_size=40).map(lambda junk: junk.replace(b"\n", b" ") + b"\n"),
    st.just(b"\n"),
    JSON.map(lambda value: json.dumps(value).encode() + b"\n"),
    JSON.map(lambda value: json.dumps({"captureData": value}).encode() + b"\n"),
    st.builds(
        capture_line,
        ANSWERS.map(json.dumps),
        encoding=st.sampled_from(["JSON", "CSV", "BASE64", "?", None]),
        content_type=st.sampled_from(["application/json", "application/jsonlines", "text/csv", "", None]),
    ),
)
SPECS = st.sampled_from(
    [
        CaptureSpec(),
        CaptureSpec(prediction=0, confidence=1),
        CaptureSpec(prediction="a.b[0]", confidence=None),
        CaptureSpec(prediction="keys(@)", confidence="length(@)", max_labels=3),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=12), SPECS, st.integers(1, 300))
def test_every_line_is_read_or_named_and_cuts_do_not_matter(lines, spec, size):
    data = b"".join(lines)
    readout = read_capture(io.BytesIO(data), LOCATION, spec)
    segment = readout.segment
    read_lines = {segment.line(at) for at in range(segment.predictions)}
    blank = sum(not line.strip() for line in lines)
    assert readout.lines == len(lines)
    assert len(read_lines) + segment.rejected + segment.errors + blank == len(lines)
    assert read_lines.isdisjoint(each.line for each in readout.rejected)
    assert sum(segment.count_labels().values()) == segment.predictions
    assert len(segment.confidences) in {0, segment.predictions}
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    assert read_capture(chunks, LOCATION, spec) == readout
    assert tuple(map(decode_segment, encode_segment(segment))) == (segment,)


ODD_ROWS = st.lists(
    st.lists(
        st.integers() | st.sampled_from([10**18, 10**22, 10**140, True, None, 14.0, 1.5, "14", "14.0", " a ", "", "x" * 129])
        | st.floats(0, 1) | st.integers(0, 2),
        max_size=3,
    ),
    max_size=2,
)  # fmt: skip
PLAIN_ROWS = st.tuples(st.tuples(st.integers(0, 9) | st.text("ab ", max_size=2), st.floats(0, 1)))


@settings(max_examples=300, deadline=None)
@given(st.lists(PLAIN_ROWS | ODD_ROWS, max_size=8), st.integers(1, 4))
def test_the_shape_that_is_read_in_one_go_says_what_a_path_says(answers, max_labels):
    data = b"".join(capture_line(answer) for answer in answers)
    columns = CaptureSpec(max_labels=max_labels)
    # The same cells by a path that no shortcut knows.
    paths = CaptureSpec(prediction="@[*][0]", confidence="@[*][1]", max_labels=max_labels)
    assert read_capture(io.BytesIO(data), LOCATION, columns) == read_capture(
        io.BytesIO(data), LOCATION, paths
    )


@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps({"captureData": value}).encode()))
def test_a_line_is_a_record_or_rejected(line):
    with suppress(RejectedInputError):
        read_record(line)


@given(st.binary(max_size=200))
def test_a_stored_segment_is_read_or_rejected(blob):
    with suppress(RejectedInputError):
        decode_segment(blob)
