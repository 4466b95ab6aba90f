"""Rows out of every format, and what becomes of lines that hold none."""

from __future__ import annotations

import base64
import json
from concurrent.futures.process import BrokenProcessPool

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.quality import process_start, workers
from sagewatch.quality.align import Mode
from sagewatch.quality.captures import EncodingMismatchError, Window, read_time
from sagewatch.quality.dataset_format import INPUT, OUTPUT, DatasetFormat, FileKind, parse_dataset_format
from sagewatch.quality.files import NoDataError, find_files, sniff_format
from sagewatch.quality.profile import Shape
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.script import ScriptError
from sagewatch.quality.summary import build_statistics
from sagewatch.quality.workers import plan_shares, read_dataset
from tests.unit.quality.records import capture_line, write_captures
from tests.unit.quality.tables import REAL, needs_real

CAPTURE = DatasetFormat(FileKind.CAPTURE)


def read(path, **given):
    files = find_files(path)
    given.setdefault("format", sniff_format(files[0]))
    return read_dataset(files, ReadSettings(**given))


def read_lines(tmp_path, *lines, **given):
    return read(write_captures(tmp_path, lines), **{"format": CAPTURE, **given})


def shapes(readout):
    return {(shape.width, shape.outputs): table.rows for shape, table in readout.tables.by_shape.items()}


def column(readout, number):
    """The counted values of a column, whatever the table's shape."""
    table = next(iter(readout.tables.by_shape.values()))
    return list(table.columns.values())[number].categories


JSON = ("JSON", "application/json")


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("line", "first", "rows"),
    [
        (capture_line("1,2\n", "0.5\n"), {"0.5": 1}, {(3, 1): 1}),
        (capture_line("1,2\n3,4\n5,6", "0.1\n0.2\n0.3\n"), {"0.1": 1, "0.2": 1, "0.3": 1}, {(3, 1): 3}),
        (capture_line("1,2\n3,4\n5,6", "0.1,0.2,0.3"), {"0.1": 1, "0.2": 1, "0.3": 1}, {(3, 1): 3}),
        (capture_line('"a,b",2', "0.5"), {"0.5": 1}, {(3, 1): 1}),
        (capture_line("1,2", "[[14, 0.9]]", answered_as=JSON), {"14": 1}, {(4, 2): 1}),
        (capture_line(b64("1,2"), "0.5", sent_as=("BASE64", "text/csv")), {"0.5": 1}, {(3, 1): 1}),
        (capture_line("1,2", b64("[0.25]"), answered_as=("BASE64", "application/json")), {"0.25": 1}, {(3, 1): 1}),
        (capture_line(b64("\x89PNG\x00"), "[[14]]", sent_as=("BASE64", "image/png"), answered_as=JSON), {"14": 1}, {(1, 1): 1}),
        (capture_line('{"instances":[[1,2],[3,4]]}', '{"predictions":[[0.5],[0.6]]}', sent_as=JSON, answered_as=JSON), {"0.5": 1, "0.6": 1}, {(3, 1): 2}),
        (capture_line('{"a":1}\n{"a":2}', '{"s":0.5}\n{"s":0.6}\n', sent_as=("JSON", "application/jsonlines"), answered_as=("JSON", "application/jsonlines")), {"0.5": 1, "0.6": 1}, {(0, 0): 2}),
        (capture_line("1,2", None), {"1": 1}, {(2, 0): 1}),
        (capture_line(None, "0.5"), {"0.5": 1}, {(1, 1): 1}),
        (capture_line("1,2", "0.5", sent_as=("CSV", None)), {"0.5": 1}, {(3, 1): 1}),
    ],
)  # fmt: skip
def test_a_request_becomes_rows_with_the_answer_first(tmp_path, line, first, rows):
    readout = read_lines(tmp_path, line)
    assert readout.reasons == {}
    assert shapes(readout) == rows
    assert column(readout, 0) == first


def test_an_answer_with_a_null_content_type_is_an_error_response(tmp_path):
    refused = capture_line("1,2", "Internal Server Error", answered_as=("CSV", None))
    readout = read_lines(tmp_path, refused, capture_line())
    assert (readout.counts.error_responses, readout.tables.rows, readout.counts.rejected) == (1, 1, 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not_json"),
        ("[]", "not_a_capture"),
        ('{"captureData": 3}', "not_a_capture"),
        ('{"captureData": {}}', "nothing_captured"),
        (capture_line("1,2\n3,4", "0.1"), "rows_do_not_match"),
        (capture_line("*", "0.1", sent_as=("BASE64", "text/csv")), "bad_base64"),
        (capture_line("{", "0.1", sent_as=JSON), "not_json"),
        (capture_line("1", "1", sent_as=("XML", "text/xml")), "unknown_encoding"),
        (capture_line(json.dumps([1] * 10_001), "0.1", sent_as=JSON), "too_many_columns"),
        (capture_line("[" * 5000 + "]" * 5000, "0.1", sent_as=JSON), "not_json"),
    ],
)
def test_a_bad_line_is_counted_and_located_and_the_others_are_read(tmp_path, line, reason):
    readout = read_lines(tmp_path, capture_line(), line, "", capture_line())
    assert (readout.tables.rows, readout.counts.lines, readout.counts.rejected) == (2, 4, 1)
    assert [(each.line, each.reason) for each in readout.rejected] == [(2, reason)]
    assert readout.rejected[0].where.endswith(".jsonl")


def test_nothing_but_bad_lines_is_fatal_and_says_where(tmp_path):
    with pytest.raises(RejectedInputError) as caught:
        read_lines(tmp_path, "{", "nonsense")
    assert (caught.value.line, caught.value.reason) == (1, "not one line could be read (2 not_json)")


def test_compat_has_aws_limits(tmp_path):
    batched = read_lines(tmp_path, capture_line("1,2\n3,4", "0.1\n0.2"), mode=Mode.COMPAT)
    assert shapes(batched) == {(1, 0): 1}
    with pytest.raises(
        EncodingMismatchError, match="Encoding is CSV for endpointInput, but Encoding is JSON"
    ):
        read_lines(tmp_path, capture_line("1,2", "[1]", answered_as=JSON), mode=Mode.COMPAT)


def test_only_records_inside_the_window_count_its_end_excluded(tmp_path):
    times = ["2026-06-12T09:59:59Z", "2026-06-12T10:00:00Z", "2026-06-12T10:59:59Z", "2026-06-12T11:00:00Z"]
    window = Window(read_time("2026-06-12T10: 00: 00Z"), read_time("2026-06-12T11:00:00Z"))
    readout = read_lines(tmp_path, *(capture_line(at=at) for at in times), window=window)
    assert (readout.tables.rows, readout.counts.outside_window) == (2, 2)
    other = Window(read_time("2026-06-12T11:00:00Z"))
    assert read_lines(tmp_path, capture_line(at=None), window=other).counts.outside_window == 1


def test_one_side_alone_is_read_when_asked_for(tmp_path):
    only = DatasetFormat(FileKind.CAPTURE, sides=(OUTPUT,))
    assert shapes(read_lines(tmp_path, capture_line(), format=only)) == {(1, 1): 1}


def test_a_name_that_question_and_answer_share_belongs_to_the_question(tmp_path):
    line = capture_line('{"id": 7}', '{"id": 8}', sent_as=JSON, answered_as=JSON)
    table = read_lines(tmp_path, line).tables.by_shape[Shape(0)]
    assert {name: column.categories for name, column in table.columns.items()} == {
        "output.id": {"8": 1},
        "id": {"7": 1},
    }


@pytest.mark.parametrize(
    ("text", "names", "missing"),
    [
        ("a,b\n1,x\n2,\n", ["a", "b"], 1),
        ("1,x\n2,y\n", ["_c0", "_c1"], 0),
        ("\ufeffa,b\n1,x\n", ["a", "b"], 0),
        ('a,b\n1,"x\ny"\n2,""\n', ["a", "b"], 0),
        ("a,b\r\n1,x\r\n\r\n2,y\r\n", ["a", "b"], 0),
        ("a,a\n1,2\n", ["a0", "a1"], 0),
    ],
)
def test_csv_is_read_with_and_without_a_header(tmp_path, text, names, missing):
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    readout = read(path)
    table = next(iter(readout.tables.by_shape.values()))
    assert list(table.columns) == names
    assert sum(column.missing for column in table.columns.values()) == missing
    assert readout.counts.rejected == 0


def test_broken_csv_rows_are_located(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n1,2\n3\n4,5\n\xff,6\n7,8,9\n10,11\n")
    readout = read(path)
    assert readout.tables.rows == 3
    assert sorted((each.line, each.reason) for each in readout.rejected) == [
        (3, "column_count"),
        (5, "not_utf8"),
        (6, "column_count"),
    ]


def test_the_inference_id_and_time_that_batch_transform_appends_are_no_features(tmp_path):
    path = tmp_path / "part.csv.out"
    path.write_text("0.5,1,2,89180035-821a-41d9-87b2-67a22490de94,2023-01-21T01:29:04Z\n" * 3)
    assert shapes(read(path)) == {(3, 0): 3}
    lines = tmp_path / "part.jsonl"
    lines.write_text(
        '{"SageMakerInferenceId":"x","SageMakerInferenceTime":"y","a":1,"SageMakerOutput":{"s":2}}\n'
    )
    assert list(read(lines).tables.by_shape[Shape(0)].columns) == ["SageMakerOutput.s", "a"]


def test_json_lines_with_missing_names_and_a_json_document_are_read(tmp_path):
    lines = tmp_path / "data.jsonl"
    lines.write_text('{"a":1,"b":"x"}\n\n{"a":null}\n{"a":true,"b":1.0}\nnonsense\n')
    readout = read(lines)
    table = readout.tables.by_shape[Shape(0)]
    assert (table.columns["a"].categories, table.columns["a"].missing) == ({"1": 1, "true": 1}, 1)
    assert (table.columns["b"].categories, table.columns["b"].missing) == ({"x": 1, "1.0": 1}, 1)
    assert [(each.line, each.reason) for each in readout.rejected] == [(5, "not_json")]
    document = tmp_path / "data.json"
    document.write_text('[\n {"a": 1},\n {"a": 2}\n]\n')
    assert read(document).tables.rows == 2


def test_parquet_keeps_its_types_as_strings(tmp_path):
    path = tmp_path / "data.parquet"
    table = pa.table(
        {
            "i": [1, 2, None],
            "f": [1.0, float("nan"), 2.5],
            "b": [True, False, True],
            "s": pa.array(["x", "y", "x"]).dictionary_encode(),
            "l": [[1], [2], None],
        }
    )
    pq.write_table(table, path)
    statistics = build_statistics(read(path).tables.by_shape[Shape(0)])
    assert [(each.name, each.inferred_type) for each in statistics.features] == [
        ("i", "Integral"), ("f", "Fractional"), ("b", "String"), ("s", "String"), ("l", "String")
    ]  # fmt: skip
    assert statistics.features[1].common.num_missing == 1


def test_nested_records_of_parquet_have_the_dotted_names_of_json(tmp_path):
    records = [{"a": {"x": 1, "b": {"y": "u"}}}, {"a": None}, {"a": {"x": None, "b": {"y": "v"}}}]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "data.parquet")
    table = read(tmp_path / "data.parquet").tables.by_shape[Shape(0)]
    assert {name: (column.categories, column.missing) for name, column in table.columns.items()} == {
        "a.x": ({"1": 1}, 2), "a.b.y": ({"u": 1, "v": 1}, 1)
    }  # fmt: skip
    pq.write_table(pa.table({"a.x": [1], "a": [{"x": 2}]}), tmp_path / "twice.parquet")
    with pytest.raises(RejectedInputError, match="two of one name"):
        read(tmp_path / "twice.parquet")


def test_bytes_of_parquet_are_the_same_text_whatever_lies_beside_them(tmp_path):
    """Files of older writers have no text, only bytes."""
    for name, beside in (("text", b"v"), ("bytes", b"\xff")):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"a": [b"u", b"1", None, beside]}), path)
        assert {"u": 1, "1": 1}.items() <= read(path).tables.by_shape[Shape(0)].columns[
            "a"
        ].categories.items()


def test_a_manifest_stands_for_the_files_that_it_names(tmp_path):
    data = tmp_path / "sub" / "a.csv"
    data.parent.mkdir()
    data.write_text("1,2\n")
    (tmp_path / "manifest.json").write_text('[{"prefix": "s3://bucket/x"}, "/a.csv"]')
    assert find_files(tmp_path) == [data]
    data.unlink()
    with pytest.raises(RejectedInputError, match=r"'a.csv', which is not here"):
        find_files(tmp_path)


def test_no_data_is_an_error_of_its_own(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NoDataError):
            find_files(source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}', CAPTURE),
        ('{"sagemakerCaptureJson":{}}', CAPTURE),
        ('{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput"]}}', DatasetFormat(FileKind.CAPTURE, sides=(INPUT,))),
        ('{"csv":{"header":true,"output_columns_position":"START"}}', DatasetFormat(FileKind.CSV, header=True)),
        ('{"csv":{"header":"true"}}', DatasetFormat(FileKind.CSV, header=True)),
        ('{"csv":{}}', DatasetFormat(FileKind.CSV, header=False)),
        ('{"json":{"lines":true}}', DatasetFormat(FileKind.JSON_LINES)),
        ('{"json":{"line":"true"}}', DatasetFormat(FileKind.JSON_LINES)),
        ('{"json":{"lines":false}}', DatasetFormat(FileKind.JSON)),
        ('{"parquet":{}}', DatasetFormat(FileKind.PARQUET)),
    ],
)  # fmt: skip
def test_every_shape_of_dataset_format_is_accepted(text, expected):
    assert parse_dataset_format(text) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"csv": 1}', '{"avro": {}}'])
def test_another_dataset_format_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_dataset_format(text)


def script(tmp_path, body):
    path = tmp_path / "preprocessor.py"
    path.write_text(body)
    return str(path)


def test_a_preprocessor_makes_the_rows_its_keys_sorted_as_text(tmp_path):
    path = script(
        tmp_path,
        "def preprocess_handler(inference_record):\n"
        "    if inference_record.event_metadata.event_id == 'drop': return []\n"
        "    if inference_record.event_metadata.event_id == 'two': return [{'x': 1}, {'x': 2}]\n"
        "    sent = inference_record.endpoint_input.data.split(',')\n"
        "    return {i: None if v == '-1' else v for i, v in enumerate(sent)}\n",
    )
    line = capture_line(",".join(map(str, range(11))) + ",-1")
    readout = read_lines(
        tmp_path, line, capture_line(event_id="drop"), capture_line(event_id="two"), preprocessor=path
    )
    table = readout.tables.by_shape[Shape(0)]
    assert list(table.columns)[:4] == ["0", "1", "10", "11"]
    assert (table.rows, readout.counts.dropped, table.columns["11"].missing) == (3, 1, 3)


def test_a_preprocessor_may_take_a_logger_and_give_the_record_back(tmp_path):
    path = script(
        tmp_path,
        "def preprocess_handler(inference_record, logger):\n    logger.info('seen')\n    return inference_record\n",
    )
    assert shapes(read_lines(tmp_path, capture_line(), preprocessor=path)) == {(4, 1): 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def preprocess_handler(r):\n    return r.event_data.x\n", "line 2: AttributeError"),
        ("def preprocess_handler(r):\n    return 3\n", "returned int"),
        ("x = 1\n", "has no function preprocess_handler"),
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_here\n", "line 1: ModuleNotFoundError"),
    ],
)
def test_a_script_that_fails_names_its_line_and_the_record(tmp_path, body, said):
    with pytest.raises(ScriptError) as caught:
        read_lines(tmp_path, capture_line(event_id="e-7"), preprocessor=script(tmp_path, body))
    assert said in str(caught.value)
    if "preprocess_handler(r)" in body:
        assert (caught.value.line, caught.value.record_id) == (1, "e-7")


def test_a_csv_baseline_gives_the_preprocessor_raw_lines(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("1,2\n3,4\n")
    body = "def preprocess_handler(line):\n    a, b = line.split(',')\n    return {'a': a, 'b': b}\n"
    table = read(path, preprocessor=script(tmp_path, body)).tables.by_shape[Shape(0)]
    assert table.columns["b"].categories == {"2": 1, "4": 1}


def test_shares_cut_files_at_any_byte_and_lose_no_line(tmp_path):
    lines = [capture_line(f"{number},{'x' * (number % 50)}", "0.5") for number in range(500)]
    lines[400] = "nonsense"
    paths = [
        write_captures(tmp_path, lines[:300], "a.jsonl"),
        write_captures(tmp_path, lines[300:], "b.jsonl"),
    ]
    settings = ReadSettings(CAPTURE)
    whole = read_dataset(paths, settings)
    shares = plan_shares(paths, settings, 5)
    assert len(shares) == 5
    parts = [workers._read_here(share, settings, 0, None) for share in shares]
    joined = workers._join(shares, parts)
    assert joined.rejected == whole.rejected
    assert (joined.tables.rows, joined.counts) == (whole.tables.rows, whole.counts)
    ours, theirs = (each.tables.by_shape[Shape(3, 1)].columns["_c1"] for each in (joined, whole))
    assert ours.sketch.to_data() == theirs.sketch.to_data()
    assert (ours.moments.sum, ours.categories) == (theirs.moments.sum, theirs.categories)
    # Parts are added up as Spark adds up its partitions: the last bit may differ.
    assert ours.moments.std_dev == pytest.approx(theirs.moments.std_dev, rel=1e-14)


def worth_a_process(monkeypatch, size):
    monkeypatch.setattr(process_start, "SPAWN", process_start.SPAWN._replace(worth=size, head_start=0))


def test_two_processes_read_what_one_reads_and_tell_their_progress(tmp_path, monkeypatch):
    worth_a_process(monkeypatch, 1000)
    path = write_captures(tmp_path, [capture_line(f"{number},1", "0.5") for number in range(200)])
    seen = []
    settings = ReadSettings(CAPTURE)
    readout = read_dataset(
        [path], settings, workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert (readout.tables.rows, readout.counts.lines) == (200, 200)
    assert seen[-1][1] == path.stat().st_size


def test_a_failure_in_another_process_keeps_its_fields(tmp_path, monkeypatch):
    worth_a_process(monkeypatch, 1000)
    path = write_captures(tmp_path, [capture_line(event_id=f"e-{number}") for number in range(100)])
    body = "def preprocess_handler(r):\n    if r.event_metadata.event_id == 'e-70': raise ValueError('4711')\n    return r\n"
    settings = ReadSettings(CAPTURE, preprocessor=script(tmp_path, body))
    with pytest.raises(ScriptError) as caught:
        read_dataset([path], settings, workers=2)
    assert (caught.value.record_id, caught.value.cause) == ("e-70", "line 2: ValueError")
    assert (caught.value.said, "4711" in str(caught.value)) == ("4711", False)


def test_where_no_process_can_be_started_this_one_reads(tmp_path, monkeypatch):
    worth_a_process(monkeypatch, 1000)
    monkeypatch.setattr(workers, "_read_in_processes", fail_as_a_killed_pool)
    path = write_captures(tmp_path, [capture_line()] * 50)
    assert read_dataset([path], ReadSettings(CAPTURE), workers=2).tables.rows == 50


def fail_as_a_killed_pool(*_):
    raise BrokenProcessPool


@needs_real
@pytest.mark.real
@pytest.mark.parametrize("name", [path.name for path in sorted((REAL / "captures").glob("*.jsonl"))])
def test_every_real_capture_file_is_read_to_the_last_line(name):
    readout = read(REAL / "captures" / name)
    assert readout.counts.rejected == 0
    assert readout.tables.rows >= readout.counts.lines > 0


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_record_of_a_time_that_no_calendar_has_is_read_as_one_without(tmp_path, time):
    line = capture_line().replace("2026-06-12T10:33:28Z", time)
    assert time in line
    window = Window(read_time("2026-06-12T10:00:00Z"), read_time("2026-06-12T11:00:00Z"))
    assert read_lines(tmp_path, line, window=window).tables.rows == 1
