"""What cannot be done is said in a sentence, with the exit code of its kind; nobody is shown a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from sagewatch.cli import cli, main
from tests.unit.cli.stores import build_store
from tests.unit.flows.worlds import build_finding

EVENT = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "time": "2026-11-21T12:00:00Z",
    "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}},
}


def answer(arguments, monkeypatch, capsys) -> tuple[int, str]:
    """The exit code of a command on a store in memory, and what it says of its failure."""
    store, _ = build_store()
    monkeypatch.setattr("sys.argv", ["sagewatch", *arguments])
    start = cli.main
    monkeypatch.setattr(cli, "main", lambda **options: start(obj=store, **options))
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("command", [["events", "list"], ["replay"]])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        (json.dumps({**EVENT, "detail": None}).encode(), "line 1, detail: must be an object"),
        (b'{"source": "\xff"}', "line 1: is no UTF-8"),
        (b"[" * 100_000, "line 1: is no JSON"),
        (json.dumps({**EVENT, "source": 7}).encode(), "line 1: is no event"),
    ],
)
def test_a_file_that_holds_no_events_is_named_with_its_line(
    command, line, told, tmp_path, monkeypatch, capsys
):
    (tmp_path / "events.jsonl").write_bytes(line + b"\n")
    code, said = answer([*command, str(tmp_path / "events.jsonl")], monkeypatch, capsys)
    assert (code, told in said) == (1, True), said


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {}}},
        {"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": None, "object": 7}},
        {"detail-type": "SageMaker Endpoint State Change", "source": "aws.sagemaker", "detail": {}},
        {"detail-type": "SageMaker Processing Job State Change", "source": "aws.sagemaker",
         "detail": {"ProcessingJobStatus": "Completed"}},
    ],
)  # fmt: skip
def test_an_event_that_lacks_what_it_must_have_does_not_end_the_replay(event, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("monitors.yml").write_text("version: 1\nendpoints: {signs: {}}\n")
    Path("events.jsonl").write_text(json.dumps({**EVENT, **event}) + "\n" + json.dumps(EVENT) + "\n")
    result = CliRunner().invoke(cli, ["replay", "events.jsonl", "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert json.loads(result.output)["events"] == 2


@pytest.mark.parametrize("odd", [{"detail": {"object": "a name"}}, {"time": None}, {"time": 7}])
def test_an_event_of_an_odd_shape_is_listed_all_the_same(odd, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps({**EVENT, **odd}) + "\n")
    result = CliRunner().invoke(cli, ["events", "list", str(path)])
    assert (result.exit_code, "Object Created" in result.output) == (0, True), result.exception


HOSTED = {"config": {"EndpointConfigName": "c"}, "model": {"ModelName": "m"}}


@pytest.mark.parametrize(
    ("scene", "event", "told"),
    [
        ({"hosting": {"signs": {**HOSTED, "model": {}}}}, EVENT, "hosting.signs: has no ModelName"),
        ({"hosting": {"signs": {**HOSTED, "config": {}}}}, EVENT, "hosting.signs: has no EndpointConfigName"),
        ({"evidence": {"k": "../monitors.yml"}}, EVENT, "../monitors.yml: must lie beside the scene"),
        ({"evidence": {"k": "gone.json"}}, EVENT, "gone.json: cannot be read"),
        ({"stories": ["../monitors.yml"]}, EVENT, "../monitors.yml: must lie beside the scene"),
        ({"captures": "../elsewhere"}, EVENT, "../elsewhere: must lie beside the scene"),
        ({"monitors": "/etc/passwd"}, EVENT, "/etc/passwd: must lie beside the scene"),
        ({}, {**EVENT, "source": "sagewatch", "detail-type": "Finding Raised", "detail": {"x": 1}},
         "Finding Raised of 2026-11-21T12:00:00Z, detail: is no finding"),
    ],
)  # fmt: skip
def test_a_recording_that_cannot_be_right_is_named_with_what_is_wrong(
    scene, event, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("monitors.yml").write_text("version: 1\nendpoints: {signs: {}}\n")
    Path("night").mkdir()
    Path("night/monitors.yml").write_text("version: 1\nendpoints: {signs: {}}\n")
    Path("night/scene.json").write_text(json.dumps(scene))
    landed = {**EVENT, "detail": {"bucket": {"name": "other"}, "object": {"key": "k"}}}
    Path("night/events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (landed, event)))
    code, said = answer(["replay", "night"], monkeypatch, capsys)
    assert (code, told in said) == (1, True), said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tail", "--once", "--every", "-1"], "--every"),
        (["silences", "add", "endpoint=x", "--for", "9999999d", "--reason", "r"], "at most 36525d"),
        (["incidents", "list", "--limit", "-1"], "--limit"),
        (["incidents", "list", "--limit", "0"], "--limit"),
        (["replay", "--from", "1h", "--to", "2h"], "--from: must be before --to"),
        (["record", "--from", "1h", "--to", "2h", "--out", "x.jsonl"], "--from: must be before --to"),
        (["record", "--from", "1h", "--out", "file/x.jsonl"], "cannot be written"),
        (["record", "--from", "0001-01-01T00:00+14:00", "--out", "x.jsonl"], "must be a time"),
        (["replay", "file", "--live"], "--live is of the stack's archive"),
        (["replay", "file", "--endpoint", "signs"], "--endpoint is of the stack's archive"),
        (["replay", "--from", "1h", "--monitors", "file", "--out", "x"], "--monitors, --out are of a replay here"),
        (["replay", "--from", "1h", "--captures", "file"], "--captures is of a replay here"),
        (["replay", "file", "--from", "1h"], "Name FILE... to play here, or"),
        (["replay"], "Name FILE... to play here, or"),
        (["incidents", "resolve", "20261121T2034", "--reason", " "], "--reason"),
        (["incidents", "silence", "20261121T2034", "--reason", ""], "--reason"),
        (["silences", "add", "endpoint=x", "--reason", ""], "--reason"),
        (["backtest", ".", "--config", "file", "--max-alerts", "-1"], "--max-alerts"),
        (["trigger", "capture", "--set", "=1"], "must be path=value"),
        (["routes", "test", "--file", "file", "severity=hot"], "names no severity; there are info, warning, critical"),
        (["routes", "test", "--file", "file", "kind=no_data"], "names no kind; there are "),
    ],
)  # fmt: skip
def test_a_wrong_command_is_exit_code_2_and_says_which_option(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    code, said = answer(arguments, monkeypatch, capsys)
    assert (code, told in said) == (2, True), said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_what_aws_or_the_disk_refuses_is_a_sentence(tmp_path, monkeypatch, capsys):
    refused = ClientError({"Error": {"Code": "NoSuchBucket", "Message": "it is not there"}}, "ListObjectsV2")
    for error, told in (
        (refused, "AWS said no: An error occurred (NoSuchBucket)"),
        (PermissionError(13, "Permission denied", "out"), "out: Permission denied"),
    ):

        def fail(error=error, **_):
            raise error

        monkeypatch.setattr(cli, "main", fail)
        monkeypatch.setattr(sys, "argv", ["sagewatch"])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 1
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("form", ["mail", "slack", "page"])
def test_a_rendered_finding_names_its_class_as_the_bundle_or_the_monitors_file_does(form, tmp_path):
    import msgspec

    (tmp_path / "findings.json").write_bytes(msgspec.json.encode([build_finding()]))
    command = ["render", str(tmp_path / "findings.json"), "--as", form]
    assert "Stop" not in CliRunner().invoke(cli, command).output
    (tmp_path / "classes.json").write_text('{"14": "Stop"}')
    assert "14 (Stop)" in CliRunner().invoke(cli, command).output
    (tmp_path / "names.csv").write_text("ClassId,SignName\n14,Halt\n")
    (tmp_path / "monitors.yml").write_text(
        "version: 1\nendpoints: {signs: {capture: {classes: names.csv}}}\n"
    )
    told = CliRunner().invoke(cli, [*command, "--monitors", str(tmp_path / "monitors.yml")]).output
    assert "14 (Halt)" in told


def test_findings_of_several_incidents_are_not_rendered_as_one(tmp_path, monkeypatch, capsys):
    import msgspec

    both = [build_finding(), msgspec.structs.replace(build_finding(), fingerprint="another")]
    (tmp_path / "findings.json").write_bytes(msgspec.json.encode(both))
    code, said = answer(["render", str(tmp_path / "findings.json")], monkeypatch, capsys)
    assert (code, "several incidents" in said) == (1, True), said


def test_a_finding_that_is_over_promises_no_diagnosis(tmp_path):
    import msgspec

    one = build_finding()
    (tmp_path / "finding.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(one, cleared_at=one.raised_at))
    )
    told = CliRunner().invoke(cli, ["render", str(tmp_path / "finding.json")]).output
    assert "RESOLVED" in told
    assert "begins within seconds" not in told


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("form", ["mail", "slack", "page"])
def test_a_finding_at_the_edge_of_time_is_rendered(year, form, tmp_path, monkeypatch, capsys):
    import msgspec

    finding = msgspec.to_builtins(build_finding())
    finding["window"] |= {"start": f"{year}T00:00:00Z", "end": f"{year}T23:59:59Z"}
    finding["raised_at"] = f"{year}T23:59:59Z"
    (tmp_path / "finding.json").write_text(json.dumps(finding))
    code, said = answer(["render", str(tmp_path / "finding.json"), "--as", form], monkeypatch, capsys)
    assert code == 0, said


def test_what_nobody_foresaw_is_called_a_defect_without_its_words(monkeypatch, capsys):
    """They may quote what was captured."""
    monkeypatch.setattr(cli, "main", lambda **_: float("ada@example.com"))
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert (left.value.code, "ada" in said.splitlines()[-1]) == (1, False)
    assert "sagewatch: Sagewatch itself failed: ValueError (<lambda>, line" in said
    assert "could not convert" not in said
