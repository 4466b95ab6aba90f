"""`sagewatch monitor run`: options that contradict each other are refused, and a failure is told with its cause."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.monitor import RunFailedError, read_end


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fail-on-violation",), "--fail-on-violation needs --wait"),
        (("--last", "2h", "--from", "2026-11-21T10:00:00Z"), "names a window of its own"),
        (("--last", "2h", "--to", "2026-11-21T10:00:00Z"), "names a window of its own"),
    ],
)
def test_options_that_would_silently_do_nothing_are_refused(options, said, tmp_path):
    monitors = tmp_path / "monitors.yml"
    monitors.write_text("version: 1\nendpoints:\n  churn: {quality: {every: 1h, baseline: 's3://b/base'}}\n")
    answer = CliRunner().invoke(cli, ["monitor", "run", "churn", "--monitors", str(monitors), *options])
    assert answer.exit_code
    assert said in f"{answer.output}{answer.exception}"


def test_a_failure_without_a_cause_is_told_with_what_the_container_said():
    described = {
        "ProcessingJobName": "sagewatch-monitor-churn-1",
        "ProcessingJobStatus": "Failed",
        "FailureReason": "AlgorithmError: See job logs for more information",
        "ExitMessage": "environment, THRESHOLD: 'x' is no number",
    }
    with pytest.raises(RunFailedError, match=r"THRESHOLD.*See job logs.*variable of the job's environment"):
        read_end("churn", described)
    ended = {"ProcessingJobStatus": "Completed", "ExitMessage": "Completed: well", "FailureReason": None}
    assert read_end("churn", ended) == {"status": "Completed", "message": "Completed: well"}
