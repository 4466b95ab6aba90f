"""`sagewatch explain-tensors` makes the notebook's pictures of a folder or of S3, ours or smdebug's."""

from __future__ import annotations

import json
import shlex

import boto3
import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.reference import read_example
from sagewatch.errors import RejectedInputError
from tests import endpoint_under_test
from tests.aws_in_process import empty_aws

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensors")
    endpoint_under_test.record(endpoint_under_test.load_endpoint(), folder, [14, 14, 1])
    return folder


def test_a_folder_is_explained_the_suspect_first_by_the_example_as_it_is_written(
    recording, tmp_path, monkeypatch
):
    out = tmp_path / "explained"
    (tmp_path / "tensors").symlink_to(recording)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(read_example(cli.commands["explain-tensors"]))
    assert words == ["sagewatch", "explain-tensors", "tensors", "--out", "explained", "--suspect", "14"]
    result = CliRunner().invoke(cli, words[1:])
    assert result.exit_code == 0, result.output
    assert "3 explained, 0 skipped" in result.output
    assert "2 suspicious inputs and 1 input of another class" in result.output
    assert json.loads((out / "explanations.json").read_text())["images"][0]["class"] == 14


def test_what_lies_in_s3_is_fetched(recording, tmp_path):
    with empty_aws("us-east-1"):
        boto3.client("s3").create_bucket(Bucket="evidence")
        for path in recording.rglob("*"):
            if path.is_file():
                key = f"tensors/i1/{path.relative_to(recording).as_posix()}"
                boto3.client("s3").put_object(Bucket="evidence", Key=key, Body=path.read_bytes())
        arguments = ["explain-tensors", "s3://evidence/tensors/i1", "--out", str(tmp_path), "--json"]
        result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.output)["images"]) == 3


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_place_without_a_recording_is_named(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["explain-tensors", place])
    assert isinstance(result.exception, RejectedInputError)
    assert place in str(result.exception)
