"""Commands answer in sentences, with an exit code, with an example, and in JSON when asked."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from sagewatch.cli import cli, main
from sagewatch.cli.model_archive import build_model_archive, name_content
from sagewatch.errors import RejectedInputError
from tests.unit.replay.recordings import MONITORS, write_captures

ROOT = Path(__file__).parents[3]


def test_a_right_monitors_file_is_said_to_be_right():
    result = CliRunner().invoke(cli, ["check", str(ROOT / "monitors.yml"), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["endpoints"]


def test_a_wrong_monitors_file_is_refused_with_file_line_and_key(tmp_path, monkeypatch, capsys):
    path = tmp_path / "monitors.yml"
    path.write_text("version: 1\nendpoints:\n  signs:\n    detector: {}\n")
    monkeypatch.setattr("sys.argv", ["sagewatch", "check", str(path)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert (
        "line 4, endpoints.signs.detector: is not known here; did you mean detectors?"
        in capsys.readouterr().err
    )


def test_the_demo_away_from_the_repository_says_where_to_run_it(tmp_path, monkeypatch, capsys):
    from sagewatch.sandbox.demo.stage import RepositoryNotFoundError, set_up

    with (
        pytest.raises(RepositoryNotFoundError, match="run the demo from the repository's root"),
        set_up(tmp_path, tmp_path / "out", None, print),
    ):
        pass


def test_the_same_model_gives_the_same_archive_and_so_the_same_name():
    code, weights = ROOT / "endpoint_code", ROOT / "endpoint_code" / "weights" / "resnet18_quarter_128.pt"
    first, second = build_model_archive(code, weights), build_model_archive(code, weights)
    assert name_content(first) == name_content(second)
    with tarfile.open(fileobj=BytesIO(first)) as archive:
        names = archive.getnames()
    assert "code/inference.py" in names
    assert weights.name in names
    assert "code/train.py" not in names


def test_a_model_without_its_inference_code_is_refused_naming_the_file(tmp_path):
    with pytest.raises(RejectedInputError, match=r"inference\.py.*--code"):
        build_model_archive(tmp_path, tmp_path / "weights.pt")


def test_a_folder_of_captures_is_replayed_with_the_monitors_file_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_captures(tmp_path / "night")
    Path("night/monitors.yml").write_text(MONITORS)
    Path("monitors.yml").write_text("version: 1\nendpoints: {churn: {}}\n")
    result = CliRunner().invoke(cli, ["replay", "night"])
    assert (result.exit_code, "class-concentration" in result.output) == (0, True), result.output


def test_a_replay_of_what_nobody_watches_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_captures(tmp_path / "night")
    Path("monitors.yml").write_text("version: 1\nendpoints: {churn: {}}\n")
    monkeypatch.setattr("sys.argv", ["sagewatch", "replay", "night"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "watches churn, and captured is signs; name the right file" in capsys.readouterr().err


def test_no_event_is_said_to_be_none(tmp_path, monkeypatch):
    (tmp_path / "events.jsonl").write_text(
        '{"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-21T12:00:00Z", "detail": {}}\n'
    )
    command = ["events", "list", str(tmp_path / "events.jsonl"), "--type", "Finding Raised"]
    assert CliRunner().invoke(cli, command).output == "No event that fits; 1 without these filters.\n"
    (tmp_path / "none.jsonl").write_text("")
    assert CliRunner().invoke(cli, ["events", "list", str(tmp_path / "none.jsonl")]).output == "No event.\n"
    assert CliRunner().invoke(cli, [*command, "--json"]).output == ""


def test_a_backtest_names_the_classes_that_the_monitors_file_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_captures(tmp_path / "night")
    Path("names.csv").write_text("ClassId,SignName\n14,Stop\n")
    Path("monitors.yml").write_text(
        MONITORS.replace("  signs:\n", "  signs:\n    capture: {classes: names.csv}\n")
    )
    result = CliRunner().invoke(cli, ["backtest", "night", "--config", "monitors.yml", "--out", "page.html"])
    assert "signs class-concentration 14 (Stop): took" in result.output, result.output
    assert "class-concentration 14 (Stop)" in Path("page.html").read_text()
