"""One function's process: events in by stdin, answers out by a pipe, prints to stdout as in Lambda.

Started by `FunctionProcess` with the function's environment, in the root of its package. A line of JSON is one
invocation; the answer is one line too. What the handler raises is an answer, a crash of the process is not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What a handler gets as its second argument."""

    function_name: str
    memory_limit_in_mb: int
    invoked_function_arn: str
    aws_request_id: str
    deadline: float
    function_version: str = "$LATEST"
    log_stream_name: str = "local"

    @property
    def log_group_name(self) -> str:
        """The log group that the function would have."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the runtime ends the invocation."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def load_handler(name: str) -> Callable[[Any, LambdaContext], Any]:
    """Import what a function's `Handler` names, such as ``functions/tick/handler.handler``."""
    module, function = name.rsplit(".", 1)
    handler: Callable[[Any, LambdaContext], Any] = getattr(
        importlib.import_module(module.replace("/", ".")), function
    )
    return handler


def invoke(
    handler: Callable[[Any, LambdaContext], Any], event: Any, context: LambdaContext
) -> dict[str, Any]:
    """Call the handler and say what came of it: an answer, or the exception in Lambda's words."""
    try:
        return {"answer": handler(event, context)}
    except Exception as error:  # noqa: BLE001  Lambda reports whatever a handler raises
        return {
            "errorType": type(error).__name__,
            "errorMessage": str(error),
            "stackTrace": traceback.format_exc().splitlines(),
        }


def main(arguments: Sequence[str]) -> int:
    """Load the handler, say so, then answer until stdin closes."""
    parser = argparse.ArgumentParser(prog="sagewatch.sandbox.runtime_child")
    parser.add_argument("--handler", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--arn", required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--results", type=int, required=True, help="file descriptor of the answers' pipe")
    options = parser.parse_args(arguments)
    with os.fdopen(options.results, "w") as results:
        handler = load_handler(options.handler)
        print(json.dumps({"ready": True}), file=results, flush=True)
        for line in sys.stdin:
            invocation = json.loads(line)
            context = LambdaContext(
                function_name=options.name,
                memory_limit_in_mb=options.memory,
                invoked_function_arn=options.arn,
                aws_request_id=invocation["request_id"],
                deadline=time.monotonic() + options.timeout,
            )
            result = invoke(handler, invocation["event"], context)
            if "stackTrace" in result:
                sys.stdout.write("\n".join(result["stackTrace"]) + "\n")
            sys.stdout.flush()
            print(json.dumps(result, default=str), file=results, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
