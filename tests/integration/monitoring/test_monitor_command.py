"""`sagewatch monitor` against the local AWS: again is always the same, and both kinds of schedules work."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from sagemaker.core.utils.utils import SingletonMeta

from sagewatch.aws.client import build_client
from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.cli import cli
from sagewatch.cli.aws_calls import CallLog
from sagewatch.cli.monitor import RunFailedError
from sagewatch.cli.ownership import OWNED_TAG
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
  passing: {{quality: {{baseline: "s3://monitored/baseline", {more}}}}}
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
    row, _ = monitor("list")
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
        assert port.list_monitoring_schedules("nobody") == []
    memory.statuses = {ENDPOINT: {schedule: "Scheduled"}}
    (known,) = memory.list_monitoring_schedules(ENDPOINT)
    until(
        lambda: [known.items() <= row.items() for row in real.list_monitoring_schedules(ENDPOINT)] == [True]
    )


class Crash(BaseException):
    """The machine went away, after AWS did what it was asked."""


class Interrupted:
    """Runs `monitor` and `teardown`, counts what they change, and dies after so many changes when told to."""

    def __init__(
        self, monitored: Monitored, monitor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.aws, self.monitor = monitored.aws, monitor
        self.die_after = 0
        self.log: CallLog
        register = CallLog.__init__
        bench = self

        def listen(log: CallLog, session: Any, *, dry: bool = False) -> None:
            register(log, session, dry=dry)
            bench.log = log
            session.events.register("after-call", lambda **_: bench.fall())

        monkeypatch.setattr(CallLog, "__init__", listen)

    def fall(self) -> None:
        if self.die_after and len(self.log.calls) >= self.die_after:
            raise Crash

    def dies(self, after: int, *words: str, **how: str) -> None:
        """The command, cut off after so many changes."""
        self.die_after = after
        try:
            with pytest.raises(Crash):
                self.monitor(*words, **how)
        finally:
            self.die_after = 0

    def calls(self) -> list[str]:
        return [f"{call.service}:{call.operation}" for call in self.log.calls]

    def stands(self) -> set[str]:
        """The kinds of schedules that the endpoint has."""
        group = self.aws.client("scheduler").list_schedules(GroupName="small-monitors")["Schedules"]
        own = self.aws.client("sagemaker").list_monitoring_schedules()["MonitoringScheduleSummaries"]
        named = {
            "eventbridge": {one["Name"] for one in group},
            "model-monitor": {one["MonitoringScheduleName"] for one in own},
        }
        return {kind for kind, names in named.items() if f"{ENDPOINT}-data-quality" in names}


@pytest.fixture
def interrupted(
    monitored: Monitored, monitor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Interrupted:
    return Interrupted(monitored, monitor, monkeypatch)


OWN, SAGEMAKERS = "every: 6h", "every: 6h, scheduler: model-monitor"
CHANGES: list[tuple[str, tuple[str, ...], str, list[str], set[str]]] = [
    ("", ("create",), OWN, ["scheduler:CreateSchedule"], {"eventbridge"}),
    ("", ("create",), SAGEMAKERS, ["sagemaker:CreateMonitoringSchedule"], {"model-monitor"}),
    ("every: 1h", ("create",), OWN, ["scheduler:UpdateSchedule"], {"eventbridge"}),
    (OWN, ("create",), SAGEMAKERS, ["sagemaker:CreateMonitoringSchedule", "scheduler:DeleteSchedule"], {"model-monitor"}),
    (SAGEMAKERS, ("create",), OWN, ["scheduler:CreateSchedule", "sagemaker:DeleteMonitoringSchedule"], {"eventbridge"}),
    (OWN, ("delete",), OWN, ["scheduler:DeleteSchedule"], set()),
    (SAGEMAKERS, ("delete",), OWN, ["sagemaker:DeleteMonitoringSchedule"], set()),
]  # fmt: skip


@pytest.mark.parametrize(("before", "words", "wish", "calls", "after"), CHANGES)
def test_a_dry_run_tells_exactly_the_calls_that_are_made_then_and_makes_none(
    interrupted: Interrupted, before: str, words: tuple[str, ...], wish: str, calls: list[str], after: set[str]
) -> None:  # fmt: skip
    if before:
        interrupted.monitor("create", ENDPOINT, more=before)
    stood = interrupted.stands()
    told = interrupted.monitor(*words, ENDPOINT, "--dry-run", more=wish)
    assert [f"{call['service']}:{call['operation']}" for call in told] == calls
    assert interrupted.stands() == stood
    interrupted.monitor(*words, ENDPOINT, more=wish)
    really = [(call.operation, call.parameters) for call in interrupted.log.calls]
    assert [(call["operation"], call["parameters"]) for call in told] == really
    assert interrupted.stands() == after
    assert interrupted.monitor(*words, ENDPOINT, "--dry-run", more=wish) == []


@pytest.mark.parametrize(("before", "words", "wish", "calls", "after"), CHANGES)
def test_what_dies_after_any_call_is_finished_by_the_next_run(
    interrupted: Interrupted, before: str, words: tuple[str, ...], wish: str, calls: list[str], after: set[str]
) -> None:  # fmt: skip
    for died_after in range(1, len(calls) + 1):
        interrupted.monitor("delete", ENDPOINT)
        if before:
            interrupted.monitor("create", ENDPOINT, more=before)
        interrupted.dies(died_after, *words, ENDPOINT, more=wish)
        assert interrupted.calls() == calls[:died_after]
        # Never without a schedule on the way from one kind to the other: a window missed is data not looked at.
        assert interrupted.stands() or not after
        interrupted.monitor(*words, ENDPOINT, more=wish)
        assert interrupted.calls() == calls[died_after:]
        assert interrupted.stands() == after


@pytest.mark.parametrize("kind", [OWN, SAGEMAKERS])
def test_a_teardown_takes_the_schedule_of_either_kind_first_and_dies_nowhere_for_good(
    interrupted: Interrupted, kind: str
) -> None:
    schedule = {OWN: "scheduler:DeleteSchedule", SAGEMAKERS: "sagemaker:DeleteMonitoringSchedule"}[kind]
    sagemaker = interrupted.aws.client("sagemaker")
    name = "passing"
    described = sagemaker.describe_endpoint_config(EndpointConfigName=ENDPOINT)
    words = ["teardown", name, "--stack", STACK, "--poll", "1", "--json"]
    for died_after in (1, 2):
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=described["ProductionVariants"],
            DataCaptureConfig={key: value for key, value in described["DataCaptureConfig"].items() if value},
        )
        tag = {"Key": OWNED_TAG, "Value": name}
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=[tag])
        until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
        interrupted.monitor("create", name, more=kind)
        told = CliRunner().invoke(cli, [*words, "--dry-run"])
        SingletonMeta._instances.clear()
        calls = [f"{call['service']}:{call['operation']}" for call in json.loads(told.output)]
        assert calls == [schedule, "sagemaker:DeleteEndpoint"]
        interrupted.die_after = died_after
        with pytest.raises(Crash):
            CliRunner().invoke(cli, [*words, "--yes"])
        interrupted.die_after = 0
        SingletonMeta._instances.clear()
        finished = CliRunner().invoke(cli, [*words, "--yes"])
        SingletonMeta._instances.clear()
        assert finished.exit_code == 0, finished.exception
        assert interrupted.calls() == calls[died_after:]
        assert interrupted.monitor("delete", name)["removed"] == []
        assert not sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
