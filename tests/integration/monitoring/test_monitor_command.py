"""`sagewatch monitor` against the local AWS: again is always the same, and both kinds of schedules work."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sagewatch.aws.client import build_client
from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.cli import cli
from sagewatch.cli.monitor import RunFailedError
from sagewatch.memory.schedules import MemorySchedules
from tests.integration.monitoring.conftest import BUCKET, ENDPOINT, IMAGE, ROLE, Monitored, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STACK = "small"
MONITORS = """
version: 1
endpoints:
  churn: {{quality: {{baseline: "s3://monitored/baseline", {more}}}}}
  plain: {{}}
"""


@pytest.fixture(scope="module", autouse=True)
def stack(monitored: Monitored) -> None:
    """What `monitor` asks of a deployed stack: its outputs, a queue and a group."""
    values = {
        "EvidenceBucket": BUCKET,
        "MonitorImageUri": IMAGE,
        "MonitorInstanceType": "ml.m5.large",
        "SageMakerRoleArn": ROLE,
        "MonitorScheduleRoleArn": ROLE,
    }
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "monitor"}},
            "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "small-monitors"}},
        },
        "Outputs": {
            **{name: {"Value": value} for name, value in values.items()},
            "MonitorQueueArn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
            "MonitorScheduleGroup": {"Value": {"Ref": "Group"}},
        },
    }
    monitored.aws.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))


@pytest.fixture
def monitor(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Runs `sagewatch monitor WORDS --json` and reads its answer; `more` goes into monitors.yml."""
    for name, value in monitored.aws.environment.items():
        monkeypatch.setenv(name, value)
    build_client.cache_clear()

    def run(*words: str, more: str = "every: 1h") -> Any:
        path = tmp_path / "monitors.yml"
        path.write_text(MONITORS.format(more=more))
        options = [] if words[0] == "delete" else ["--monitors", str(path)]
        done = CliRunner().invoke(cli, ["monitor", *words, "--stack", STACK, "--json", *options])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        run.exit_code = done.exit_code  # type: ignore[attr-defined]
        return json.loads(done.output)

    yield run
    run("delete", ENDPOINT)
    build_client.cache_clear()


def test_create_list_and_delete_are_the_same_again(monitored: Monitored, monitor: Callable[..., Any]) -> None:
    made = monitor("create", ENDPOINT)
    assert (made["change"], made["expression"]) == ("created", "cron(10 * * * ? *)")
    assert monitor("create", ENDPOINT)["change"] == "unchanged"
    assert monitor("create", ENDPOINT, more="every: 6h")["change"] == "updated"
    schedule = monitored.aws.client("scheduler").get_schedule(
        GroupName="small-monitors", Name="churn-data-quality"
    )
    assert schedule["ScheduleExpression"] == "cron(10 0/6 * * ? *)"
    assert json.loads(schedule["Target"]["Input"])["detail"] == {"endpoint": ENDPOINT}
    (row,) = monitor("list")
    assert (row["endpoint"], row["status"]) == (ENDPOINT, "ENABLED")
    assert monitor("delete", ENDPOINT)["removed"] == ["eventbridge"]
    assert monitor("delete", ENDPOINT)["removed"] == []
    assert monitor("list")[0]["status"] == "missing"


def test_an_endpoint_that_moves_to_model_monitor_keeps_one_schedule(
    monitored: Monitored, monitor: Callable[..., Any]
) -> None:
    monitor("create", ENDPOINT)
    made = monitor("create", ENDPOINT, more="every: 6h, scheduler: model-monitor")
    assert (made["change"], made["removed"]) == ("created", ["eventbridge"])
    assert monitor("create", ENDPOINT, more="every: 6h, scheduler: model-monitor")["change"] == "unchanged"
    monitored.ask(2)
    monitored.aws.sagemaker.monitoring.fire("churn-data-quality")
    ended = until(
        lambda: (
            found
            if (found := monitor("list", more="every: 6h, scheduler: model-monitor")[0])["last_run"]["status"]
            == "Completed"
            else None
        )
    )
    assert ended["status"] == "Scheduled"
    job = monitored.end(ended["last_run"]["job"])
    assert job["AppSpecification"]["ImageUri"] == IMAGE
    assert job["Environment"]["SAGEWATCH_MODE"] == "exact"
    assert job["Environment"]["publish_cloudwatch_metrics"] == "Enabled"


def test_run_looks_at_the_window_once_and_again_when_told(
    monitored: Monitored, monitor: Callable[..., Any]
) -> None:
    monitored.ask(4)
    monitored.aws.sagemaker.captures.flush()
    now = datetime.fromtimestamp(int(time.time()) + 1, UTC)  # noqa: TID251  an edge
    window = [
        "--from",
        f"{now - timedelta(minutes=9):%Y-%m-%dT%H:%M:%SZ}",
        "--to",
        f"{now:%Y-%m-%dT%H:%M:%SZ}",
    ]
    answers = [
        monitor("run", ENDPOINT, *window, "--wait", "--poll", "0.1", *more) for more in ([], [], ["--again"])
    ]
    assert answers[0]["message"] == "Completed: Job completed successfully with no violations."
    assert answers[0]["job"] == answers[1]["job"] != answers[2]["job"]
    assert monitored.read_json(f"{answers[0]['report']}/statistics.json")["dataset"]["item_count"] >= 4
    assert monitor("list")[0]["last_run"]["job"] == answers[2]["job"]


@pytest.mark.parametrize(
    ("endpoint", "window", "reason"),
    [
        (
            ENDPOINT,
            ["--from", "2020-01-01T00:00:00Z", "--to", "2020-01-01T01:00:00Z"],
            "no_data.*DescribeEndpoint",
        ),
        (ENDPOINT, ["--last", "soon"], "--last: must be a duration"),
        (
            ENDPOINT,
            ["--from", "2020-01-02T00:00:00Z", "--to", "2020-01-01T01:00:00Z"],
            "must lie before --to",
        ),
        ("plain", [], r"endpoints\.plain: has no `quality:`"),
    ],
)
def test_a_run_that_cannot_be_says_why_and_what_to_do(
    monitor: Callable[..., Any], endpoint: str, window: list[str], reason: str
) -> None:
    with pytest.raises(Exception, match=reason) as told:
        monitor("run", endpoint, *window)
    assert type(told.value).__module__.startswith("sagewatch.")
    assert isinstance(told.value, RunFailedError) == reason.startswith("no_data")


def test_the_port_says_the_same_of_memory_and_of_sagemaker(monitored: Monitored, make_schedule: Any) -> None:
    began = datetime.fromtimestamp(time.time() - 1, UTC)  # noqa: TID251  an edge
    schedule = make_schedule("quiet")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    monitored.aws.sagemaker.monitoring.fire(schedule, start=long_ago, end=long_ago + timedelta(hours=1))
    real = SageMakerSchedules(monitored.sagemaker)
    rows = real.list_monitoring_executions(ENDPOINT, began)
    assert [(row["MonitoringScheduleName"], row["FailureReason"]) for row in rows] == [
        (schedule, "Job inputs had no data")
    ]
    memory = MemorySchedules()
    memory.executions = rows
    later = datetime.fromtimestamp(time.time() + 60, UTC)  # noqa: TID251  an edge
    for port in (real, memory):
        assert len(port.list_monitoring_executions(ENDPOINT, began)) == 1
        assert port.list_monitoring_executions(ENDPOINT, later) == []
        assert port.list_monitoring_executions("nobody", began) == []
        assert port.list_monitoring_schedules("nobody") == {}
    until(lambda: real.list_monitoring_schedules(ENDPOINT) == {schedule: "Scheduled"})
