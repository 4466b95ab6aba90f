"""Files made to break a reader: never a traceback, never a hang, always a counted and located reason."""

from __future__ import annotations

import gzip
import io
import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagewatch.errors import RejectedInputError
from sagewatch.quality.analysis import analyze
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.files import find_files, sniff_format
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.shards import Shard, encode_shard, merge_shards
from sagewatch.quality.statistics import parse_statistics, render_statistics
from sagewatch.quality.violation_table import build_violation_table
from sagewatch.quality.violations import Violation, parse_violations
from sagewatch.quality.workers import read_dataset
from tests.unit.quality.records import capture_line

# Of CPU, and far beyond what any of these takes: it tells a hang, and not a machine that has other things to do.
SECONDS = 300
MB = 1 << 20


def parquet_bytes():
    sink = io.BytesIO()
    columns = {
        "a": [1, 2, None],
        "b": ["x", None, "é"],
        "c": [0.5, float("nan"), 1e300],
        "d": [[1], [], None],
    }
    pq.write_table(pa.table(columns), sink, row_group_size=2)
    return sink.getvalue()


PARQUET = parquet_bytes()
GOOD = capture_line().encode()
HOSTILE = {
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep below a capture": capture_line("[" * 20_000, sent_as=("JSON", "application/json")).encode(),
    "a number of a million digits": b'{"a": ' + b"9" * 1_000_000 + b"}",
    "a cell of a million digits": b"a,b\n" + b"9" * 1_000_000 + b",1\n",
    "an exponent beyond all": b'{"a": 1e999999999}\n{"a": -1e999999999}\n',
    "a line of ten megabytes": GOOD + b"\n" + b"x" * (10 * MB) + b"\n" + GOOD + b"\n",
    "a capture of ten megabytes": capture_line("1," * (5 * MB)).encode(),
    "a million columns": b"1," * 1_000_000 + b"1\n",
    "a million keys": json.dumps({f"k{at}": 1 for at in range(200_000)}).encode(),
    "names of every line its own": b"\n".join(json.dumps({f"k{at}": 1}).encode() for at in range(20_000)),
    "widths of every line its own": b"\n".join(
        capture_line(",".join("1" * at)).encode() for at in range(1, 400)
    ),
    "no JSON but Python's": b'{"a": NaN, "b": Infinity, "c": -Infinity}\n' * 3,
    "not UTF-8": b"\xff\xfe\x00x\n" + GOOD + b"\n",
    "half a surrogate pair": capture_line("\ud800,1").encode() + b"\n",
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbfa,b\r\n1,2\r\n",
    "a byte order mark before a capture": b"\xef\xbb\xbf" + GOOD + b"\n",
    "CRLF": GOOD + b"\r\n" + GOOD + b"\r\n",
    "carriage returns alone": b"a,b\r1,2\r3,4",
    "NULs": b"\x00" * 10_000,
    "NULs in cells": b"a,b\n1,\x002\n",
    "a quote that nobody closes": b'a,b\n1,"2\n' + b"3,4\n" * 100_000,
    "quotes alone": b'"' * 100_000,
    "line breaks alone": b"\n" * 100_000,
    "nothing": b"",
    "one byte": b"{",
    "gzip": gzip.compress(GOOD * 100),
    "gzip in half": gzip.compress(GOOD * 100)[:50],
    "a gzip bomb": gzip.compress(b"0" * (64 * MB)),
    "base64 of nothing": capture_line("====", sent_as=("BASE64", "text/csv")).encode(),
    "Parquet": PARQUET,
    "Parquet in half": PARQUET[: len(PARQUET) // 2],
    "Parquet's first word": b"PAR1",
    "Parquet's first and last word": b"PAR1PAR1",
    "Parquet with a wrong footer": PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1",
    "null and lists for sides": b'{"captureData":{"endpointInput":[],"endpointOutput":null}}\n',
    "captures of captures": capture_line(capture_line(), capture_line()).encode(),
    "a manifest of itself": b'[{"prefix": "s3://b/"}, "data"]',
    "a manifest of what is elsewhere": b'[{"prefix": "s3://b/"}, "../../../etc/passwd"]',
    "a manifest of numbers": b'[{"prefix": 3}, 4, null]',
}
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
KINDS = [None, *(kind for kind in FileKind if kind is not FileKind.PARTIAL)]


def look_at(path, kind):
    """Everything that the job does with a file, as far as it goes."""
    files = find_files(path.parent)
    form = sniff_format(files[0]) if kind is None else DatasetFormat(kind)
    readout = read_dataset(files, ReadSettings(form))
    analysis = analyze(readout)
    assert parse_statistics(render_statistics(analysis.statistics)) == analysis.statistics
    return readout


def check(path, kind):
    start = time.process_time()
    try:
        readout = look_at(path, kind)
    except RejectedInputError as error:
        assert error.where  # noqa: PT017 - raising is allowed, not demanded
        assert error.reason  # noqa: PT017
    else:
        assert readout.counts.rejected == sum(readout.reasons.values())
        assert bool(readout.counts.rejected) == bool(readout.rejected)
        assert all(each.line >= 1 and each.where == str(path) and each.reason for each in readout.rejected)
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_with_its_place(tmp_path, name, kind):
    path = tmp_path / "data"
    path.write_bytes(HOSTILE[name])
    check(path, kind)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(KINDS))
def test_files_with_broken_bytes_are_read_or_refused(tmp_path_factory, data, kind):
    """Good files of every kind, a few of their bytes turned, lost or doubled."""
    good = data.draw(
        st.sampled_from(
            [
                PARQUET,
                (GOOD + b"\n") * 3,
                b"a,b\n1,2\n3,4\n",
                b'{"a":1}\n{"a":2}\n',
                b'[{"a":1},{"a":2}]',
                b'"a","b"\n"1\n2",3\n',
            ]
        )
    )
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1)) if content else 0
        change = data.draw(st.sampled_from(["turn", "cut", "drop", "double"]))
        if change == "turn" and content:
            content[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del content[at:]
        elif change == "drop":
            del content[at : at + 1]
        else:
            content[at:at] = content[at : at + 8]
    path = tmp_path_factory.mktemp("broken") / "data"
    path.write_bytes(bytes(content))
    check(path, kind)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 300))
def test_a_partial_profile_of_any_bytes_is_refused(tmp_path_factory, content, cut):
    path = tmp_path_factory.mktemp("partial") / "algo-1.sagewatch-profile"
    for broken in (
        content,
        encode_shard(Shard("algo-1", ("algo-1",), content)),
        encode_shard(Shard("a", ("a",), b""))[:cut],
    ):
        path.write_bytes(broken)
        with pytest.raises(RejectedInputError) as caught:
            merge_shards([path])
        assert caught.value.where


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.from_regex(r"distance: [0-9.e+-]{1,9} exceeds threshold: [0-9.e+-]{1,9}"),
    st.text(max_size=9),
)
def test_any_sentence_makes_a_row_of_the_table(description, check_type):
    violation = Violation(feature_name="f", constraint_check_type=check_type, description=description)
    (row,) = build_violation_table(parse_statistics(b"{}"), [violation])
    assert row.findings


@pytest.mark.parametrize("name", [name for name in HOSTILE if "million" in name or "deep" in name])
def test_hostile_json_is_no_report(name):
    for parse in (parse_violations, parse_statistics):
        try:
            parse(HOSTILE[name], "s3://b/k")
        except RejectedInputError as error:
            assert error.where == "s3://b/k"  # noqa: PT017 - raising is allowed, not demanded
