"""The error tree, split by what the caller must do: retry, reject, or refuse to start.

Every error carries fields; the message is made of them. Nobody branches on a message's text.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class SagewatchError(Exception):
    """The top of the tree: everything that Sagewatch raises on purpose."""


DEFECT = "Sagewatch itself failed"


def describe_defect(error: Exception) -> str:
    """What nobody raised on purpose: its kind and its place; its own words may quote what was captured.

    Examples
    --------
    >>> try:
    ...     float("ada@example.com")
    ... except ValueError as error:
    ...     describe_defect(error).split(" (")[0]
    'Sagewatch itself failed: ValueError'
    """
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({each.name}, line {each.lineno} of {Path(each.filename).name})" for each in frames)
    return f"{DEFECT}: {type(error).__name__}{place}. This is a defect: report it with this line."


class DefectError(SagewatchError):
    """What nobody raised on purpose, in another process: what ``describe_defect`` said of it there."""


class RetryError(SagewatchError):
    """The work could not be done now (throttled, busy, conflict): leave the message on its queue.

    Parameters
    ----------
    reason
        What stood in the way, as a reason code such as ``throttled``.
    after_seconds
        How long the other side asked us to wait, where it said so.
    perhaps_taken
        True where the request was sent and no answer said that it was not carried out.
    """

    def __init__(
        self, reason: str, *, after_seconds: float | None = None, perhaps_taken: bool = False
    ) -> None:
        super().__init__(reason if after_seconds is None else f"{reason}; retry after {after_seconds:g} s")
        self.reason = reason
        self.after_seconds = after_seconds
        self.perhaps_taken = perhaps_taken


class ConflictError(RetryError):
    """Somebody else wrote the same item first: load again, decide again."""


class DeclinedError(RetryError):
    """AWS said no to this very request, with a code that may heal: ask again, in another way where there is one.

    Parameters
    ----------
    reason
        Why, as a reason code.
    message
        AWS's own words: the code alone does not tell a busy endpoint from an alarm that is gone.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.message = message


class RefusedError(SagewatchError):
    """AWS said no, and waiting does not mend it: a right, a role or a value is wrong.

    Parameters
    ----------
    operation
        What was asked for, such as ``CreateModel``.
    code, message
        AWS's own.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message


def find_refusal(error: Exception) -> RefusedError | None:
    """What AWS said no to for good; None where the error is something else.

    Not every adapter foresees every refusal: those of AWS's library are known by their fields, whatever the service. What can
    heal is a ``RetryError`` by then (``aws.client.sorting_errors``).
    """
    if isinstance(error, RefusedError):
        return error
    operation, response = getattr(error, "operation_name", None), getattr(error, "response", None)
    if isinstance(error, SagewatchError) or operation is None or not isinstance(response, dict):
        return None
    said = response.get("Error", {})
    return RefusedError(str(operation), str(said.get("Code", "")), str(said.get("Message", "")))


class RejectedInputError(SagewatchError):
    """Input from outside that can never be worked on: count it, quarantine it, go on.

    Parameters
    ----------
    reason
        What is wrong, in words for the person who mends it.
    where
        The object, file or queue that holds it.
    line
        The line in it, counted from 1.
    key
        The field in it.
    """

    def __init__(self, reason: str, *, where: str, line: int | None = None, key: str | None = None) -> None:
        place = where + (f", line {line}" if line is not None else "") + (f", {key}" if key else "")
        super().__init__(f"{place}: {reason}")
        self.reason = reason
        self.where = where
        self.line = line
        self.key = key


class ConfigurationError(RejectedInputError):
    """A setting or monitors.yml is wrong: fail the cold start and say which key."""


class DeliveryError(SagewatchError):
    """A receiver refused a message.

    Parameters
    ----------
    receiver
        Whose channel refused.
    reason
        The channel's own code, such as ``channel_not_found``.
    recoverable
        True where trying again can help.
    after_seconds
        What its Retry-After said.
    perhaps_taken
        True where the message was sent and no answer came: the receiver may have it.
    """

    def __init__(
        self,
        receiver: str,
        reason: str,
        *,
        recoverable: bool,
        after_seconds: float | None = None,
        perhaps_taken: bool = False,
    ) -> None:
        super().__init__(f"{receiver}: {reason}")
        self.receiver = receiver
        self.reason = reason
        self.recoverable = recoverable
        self.after_seconds = after_seconds
        self.perhaps_taken = perhaps_taken
