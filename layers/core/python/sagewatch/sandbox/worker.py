"""The Lambda service of the local AWS: polls the deployed queues, runs the deployed functions, fires schedules.

Everything is read from the deployment: handler, environment and timeout from the function, batch size and window
from its event source mapping. As in AWS, a message is deleted only when its function answered and did not name it
in `batchItemFailures`; unlike AWS, a message that stays comes back after `retry_seconds`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from sagewatch.sandbox.embedded_metrics import parse_embedded_metrics
from sagewatch.sandbox.errors import NotSupportedLocallyError
from sagewatch.sandbox.function_process import Answered, Failed, FunctionProcess, parse_configuration
from sagewatch.sandbox.queue_poller import POLL_SECONDS, QueuePoller, WorkerSettings
from sagewatch.sandbox.schedules import Schedule, build_input, parse_schedule
from sagewatch.sandbox.source_queue import parse_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LOG = logging.getLogger(__name__)


class Clients(Protocol):
    """Where the worker gets its AWS clients."""

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS."""


class Worker:
    """All functions of a deployment, running.

    Parameters
    ----------
    clients
        Makes clients of the local AWS.
    code
        Function name -> directory of its unpacked package.
    environment
        Where the local AWS is, for the functions.
    logs
        Directory: one file a function.
    outbound_log
        File that gets refused connections.
    settings
        Its pace.
    """

    def __init__(
        self,
        clients: Clients,
        code: Mapping[str, Path],
        *,
        environment: Mapping[str, str],
        logs: Path,
        outbound_log: Path,
        settings: WorkerSettings | None = None,
    ) -> None:
        self.settings = settings or WorkerSettings()
        self.invocations = 0
        self._clients = clients
        self._code = code
        self._environment = environment
        self._logs = logs
        self._outbound_log = outbound_log
        self._sqs = clients.client("sqs")
        self._cloudwatch = clients.client("cloudwatch")
        self._functions: dict[str, FunctionProcess] = {}
        self._schedules: dict[str, Schedule] = {}
        self._queues: list[str] = []
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._count = threading.Lock()

    def start(self) -> None:
        """Start every function, then poll and fire.

        Raises
        ------
        ChildFailedError
            A handler could not be imported.
        NotSupportedLocallyError
            A mapping or schedule asks for what is not done here.
        """
        self._functions = {function.function.name: function for function in self._load_functions()}
        self._start_processes()
        mappings = self._clients.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        for mapping in [parse_mapping(item) for item in mappings if item["State"] == "Enabled"]:
            poller = QueuePoller(self._sqs, mapping, self.invoke, self._stop, self.settings)
            self._queues.append(poller.url)
            self._run(f"poll-{mapping.queue_arn}", poller.run)
        for schedule in self._load_schedules():
            self._schedules[schedule.name] = schedule
            if schedule.enabled and schedule.interval_seconds is not None:
                self._run(f"schedule-{schedule.name}", self._repeat, schedule)

    def invoke(self, function_name: str, event: Any) -> Answered | Failed:
        """Invoke one function by hand, as `aws lambda invoke` does."""
        with self._count:
            self.invocations += 1
        request_id = str(uuid.uuid4())  # noqa: TID251  an edge
        outcome = self._functions[function_name].invoke(event, request_id)
        if isinstance(outcome, Failed):
            LOG.warning(
                "invocation_failed function=%s %s: %s", function_name, outcome.error_type, outcome.message
            )
        return outcome

    def fire(self, schedule_name: str, at: datetime | None = None) -> None:
        """Fire one schedule now, as if it were ``at``; one that was made since the start too."""
        if schedule_name not in self._schedules:
            self._schedules |= {schedule.name: schedule for schedule in self._load_schedules()}
        schedule = self._schedules[schedule_name]
        moment = at or datetime.now(tz=UTC)  # noqa: TID251  an edge
        body = build_input(schedule, moment, uuid.uuid4())  # noqa: TID251
        service = schedule.target_arn.split(":")[2]
        if service == "sqs":
            self._sqs.send_message(QueueUrl=self._queue_url(schedule.target_arn), MessageBody=body)
        elif service == "lambda":
            self.invoke(schedule.target_arn.split(":function:")[1].split(":")[0], json.loads(body))
        else:
            raise NotSupportedLocallyError(f"a target in {service}", f"schedule {schedule.name}")

    def function(self, name: str) -> FunctionProcess:
        """One running function, for tests that break it."""
        return self._functions[name]

    def wait_until_idle(self, timeout_seconds: float = 60.0, *, quiet_seconds: float = 0.5) -> bool:
        """Wait until every polled queue has been empty, in flight included, for `quiet_seconds`.

        Schedules fire on, so a deployment with a fast schedule is idle only between two firings.
        """
        deadline = time.monotonic() + timeout_seconds
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            if self.waiting_messages():
                quiet_since = None
            else:
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since >= quiet_seconds:
                    return True
            time.sleep(0.1)
        return False

    def waiting_messages(self) -> int:
        """How many messages are on the polled queues or being worked on."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answers = [
            self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            for url in self._queues
        ]
        return sum(int(answer[name]) for answer in answers for name in names)

    def stop(self) -> None:
        """End all functions. Doing it twice does nothing."""
        self._stop.set()
        for function in self._functions.values():
            function.kill()
        for thread in self._threads:
            thread.join(POLL_SECONDS + 5)
        for function in self._functions.values():
            function.stop()
        self._threads.clear()

    def _load_functions(self) -> list[FunctionProcess]:
        pages = self._clients.client("lambda").get_paginator("list_functions").paginate()
        configurations = [
            item for page in pages for item in page["Functions"] if item["FunctionName"] in self._code
        ]
        return [
            FunctionProcess(
                parse_configuration(configuration),
                self._code[configuration["FunctionName"]],
                environment=self._environment,
                log=self._logs / f"function-{configuration['FunctionName']}.log",
                outbound_log=self._outbound_log,
                on_line=self._put_metrics,
            )
            for configuration in configurations
        ]

    def _start_processes(self) -> None:
        failures: list[Exception] = []

        def start(function: FunctionProcess) -> None:
            try:
                function.start()
            except Exception as error:  # noqa: BLE001  raised again below, in the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=start, args=(item,)) for item in self._functions.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            self.stop()
            raise failures[0]

    def _load_schedules(self) -> list[Schedule]:
        scheduler = self._clients.client("scheduler")
        pages = scheduler.get_paginator("list_schedules").paginate()
        return [
            parse_schedule(scheduler.get_schedule(Name=item["Name"], GroupName=item["GroupName"]))
            for page in pages
            for item in page["Schedules"]
        ]

    def _queue_url(self, arn: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=arn.rsplit(":", maxsplit=1)[-1])["QueueUrl"])

    def _run(self, name: str, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _repeat(self, schedule: Schedule) -> None:
        interval = (schedule.interval_seconds or 0.0) / self.settings.speed_up
        while not self._stop.wait(interval):
            self.fire(schedule.name)

    def _put_metrics(self, line: str) -> None:
        for namespace, entries in parse_embedded_metrics(line).items():
            self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=entries)
