"""What could not be looked at: gone, refused, or not answered; each with its own fix, and it hides no other."""

from __future__ import annotations

from collections.abc import Iterator

from sagewatch.cli.checks import Line
from sagewatch.errors import RetryError

_SERVER_ERROR = 500
_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)


def look(what: str, lines: Iterator[Line]) -> Iterator[Line]:
    """The lines of a look, and in place of what could not be seen a line of its own."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield from lines
    except (ClientError, BotoCoreError) as error:
        yield _tell_unseen(what, error)
    except RetryError as error:
        yield Line(None, what, f"not answered ({error.reason})", "Ask again.")


def _tell_unseen(what: str, error: Exception) -> Line:
    """A refusal is a fault of ours; a failure of AWS's own (or a local AWS without the call) tells nothing."""
    answer = getattr(error, "response", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if _is_gone(answer.get("Error", {})):
        fix = "Somebody deleted it, and what follows it was not looked at: make it anew (deploy the stack or the endpoint)."
        return Line(False, what, f"gone: {error}", fix)
    if status >= _SERVER_ERROR:
        return Line(None, what, f"not answered (HTTP {status})", "Ask again; a local AWS does not know it.")
    return Line(False, what, str(error), "Give whoever runs the doctor the right that the message names.")


def _is_gone(error: dict[str, str]) -> bool:
    code, message = error.get("Code", ""), error.get("Message", "")
    # SageMaker has one code for what is not there and for what is not well formed.
    return code in _GONE or (code == "ValidationException" and message.startswith("Could not find"))
