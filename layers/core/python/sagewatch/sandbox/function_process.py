"""A deployed function as a process: started from its configuration, invoked, ended when it hangs."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import select
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from sagewatch.sandbox.errors import ChildFailedError
from sagewatch.sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

START_TIMEOUT_SECONDS = 60.0
# Lambda ends an invocation at its timeout; ours gets a moment more, as two cores are shared by everything.
GRACE_SECONDS = 1.0
EXIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """What the deployed configuration says of a function."""

    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float
    memory_mb: int


def parse_configuration(configuration: Mapping[str, Any]) -> DeployedFunction:
    """Read what `get_function_configuration` answers."""
    return DeployedFunction(
        name=configuration["FunctionName"],
        arn=configuration["FunctionArn"],
        handler=configuration["Handler"],
        environment=configuration.get("Environment", {}).get("Variables", {}),
        timeout_seconds=float(configuration.get("Timeout", 3)),
        memory_mb=int(configuration.get("MemorySize", 128)),
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """The handler returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, the process died, or its time ran out: Lambda deletes nothing then."""

    error_type: str
    message: str


class NoAnswer(enum.Enum):
    """Why the child said nothing."""

    ENDED = "ended"
    SILENT = "took too long"


def runtime_environment(function: DeployedFunction, code: Path) -> dict[str, str]:
    """The variables that Lambda's runtime adds to the function's own.

    Source: Lambda developer guide, "Defined runtime environment variables".
    """
    region = function.arn.split(":")[3]
    return {
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": region,
        "LAMBDA_TASK_ROOT": str(code),
        "POWERTOOLS_TRACE_DISABLED": "1",  # no X-Ray daemon here
        "TZ": ":UTC",
        **function.environment,
    }


class FunctionProcess:
    """One function, one process, one invocation at a time.

    Parameters
    ----------
    function
        The deployed configuration.
    code
        The unpacked package: the function's working directory and first place for imports.
    environment
        Where the local AWS is; added to the function's own variables.
    log
        File that gets what the function prints.
    outbound_log
        File that gets refused connections.
    on_line
        Called with each line that the function prints, in another thread.
    """

    def __init__(
        self,
        function: DeployedFunction,
        code: Path,
        *,
        environment: Mapping[str, str],
        log: Path,
        outbound_log: Path,
        on_line: Callable[[str], None],
    ) -> None:
        self.function = function
        self.restarts = -1
        self._code = code
        self._environment = environment
        self._log = log
        self._outbound_log = outbound_log
        self._on_line = on_line
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._results: IO[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until its handler is imported.

        Raises
        ------
        ChildFailedError
            The import failed or took too long.
        """
        with self._lock:
            self._start()

    def invoke(self, event: Any, request_id: str) -> Answered | Failed:
        """Run the handler on one event; restarts the process first if it is gone."""
        with self._lock:
            if self._child is None or not self._child.running:
                self._start()
            line = json.dumps({"event": event, "request_id": request_id}) + "\n"
            child = self._running_child()
            try:
                child.stdin.write(line.encode())
                child.stdin.flush()
            except BrokenPipeError:
                self._end()
                return Failed("Runtime.ExitError", "the process had ended")
            result = self._read(self.function.timeout_seconds + GRACE_SECONDS)
            if isinstance(result, NoAnswer):
                self._end()
                if result is NoAnswer.ENDED:
                    return Failed("Runtime.ExitError", f"the process ended with {child.process.returncode}")
                return Failed("Sandbox.Timedout", f"no answer within {self.function.timeout_seconds:g} s")
            if "errorType" in result:
                return Failed(result["errorType"], result["errorMessage"])
            return Answered(result["answer"])

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def kill(self) -> None:
        """End the process at once, even in the middle of an invocation."""
        if self._child is not None:
            self._child.process.kill()

    def _running_child(self) -> Child:
        if self._child is None:
            raise ChildFailedError(self.function.name, "is not running", self._log)
        return self._child

    def _start(self) -> None:
        self._end()
        read_end, write_end = os.pipe()
        self._results = os.fdopen(read_end, "rb", buffering=0)
        function = self.function
        try:
            self._child = Child(
                function.name,
                [
                    *("-m", "sagewatch.sandbox.runtime_child"),
                    *("--handler", function.handler, "--name", function.name, "--arn", function.arn),
                    *("--memory", str(function.memory_mb), "--timeout", str(function.timeout_seconds)),
                    *("--results", str(write_end)),
                ],
                environment={**runtime_environment(function, self._code), **self._environment},
                log=self._log,
                outbound_log=self._outbound_log,
                pass_fds=[write_end],
                capture_stdout=True,
                accept_stdin=True,
                directory=self._code,
            )
        finally:
            os.close(write_end)
        threading.Thread(target=self._follow, args=(self._child.stdout,), daemon=True).start()
        self.restarts += 1
        result = self._read(START_TIMEOUT_SECONDS)
        if isinstance(result, NoAnswer):
            self._end()
            raise ChildFailedError(
                f"Function {function.name}", f"{result.value} loading its handler", self._log
            )

    def _follow(self, stdout: IO[bytes]) -> None:
        with stdout, self._log.open("ab", buffering=0) as log:
            for raw in stdout:
                log.write(raw)
                self._on_line(raw.decode("utf-8", "replace"))

    def _read(self, timeout_seconds: float) -> dict[str, Any] | NoAnswer:
        """One line of JSON from the child, or why there is none."""
        results = self._results
        if results is None:
            return NoAnswer.ENDED
        received = b""
        deadline = time.monotonic() + timeout_seconds
        while not received.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([results], [], [], left)[0]:
                return NoAnswer.SILENT
            chunk = results.read(65536)
            if not chunk:
                self._await_exit()
                return NoAnswer.ENDED
            received += chunk
        answer: dict[str, Any] = json.loads(received)
        return answer

    def _await_exit(self) -> None:
        """Let a process that closed its pipe end by itself, so that its log and exit code are complete."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.process.wait(EXIT_SECONDS)

    def _end(self) -> None:
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child.stop()
            self._child = None
        if self._results is not None:
            self._results.close()
            self._results = None
