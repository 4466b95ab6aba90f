"""The calls that a command makes to AWS: written down, and, for a dry run, not made.

It listens inside boto3, so what is told is what the SDK really asks for. In a dry run reading calls go out as ever;
a changing call is written down and answered here, and what it would have made is described as if it were there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import click
import msgspec

from sagewatch.cli.terminal import say_lines

_READS = ("Describe", "Get", "List", "Head", "Search")
_KEPT = "sagewatch_parameters"


class Call(msgspec.Struct, frozen=True):
    """One changing call: service and operation as AWS spells them, and the request."""

    service: str
    operation: str
    parameters: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.service}:{self.operation} {json.dumps(self.parameters, default=str)}"


class CallLog:
    """The changing calls of every client that a session makes from now on.

    Parameters
    ----------
    session
        Of boto3, before its first client.
    dry
        Whether changing calls are answered here instead of by AWS.
    """

    def __init__(self, session: Any, *, dry: bool = False) -> None:
        self.calls: list[Call] = []
        self.dry = dry
        session.events.register("before-parameter-build", self._keep_parameters)
        session.events.register("before-call", self._answer)

    def tell(self) -> str:
        """One line a call."""
        return "\n".join(str(call) for call in self.calls) or "Nothing to do."

    def _keep_parameters(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        # A token that botocore draws anew for each call is no part of what was asked for.
        context[_KEPT] = {
            name: value for name, value in params.items() if name not in model.idempotent_members
        }

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        service = str(model.service_model.signing_name or model.service_model.service_name)
        parameters = {name: _shorten(value) for name, value in context.get(_KEPT, {}).items()}
        call = Call(service, str(model.name), parameters)
        if call.operation.startswith(_READS):
            return self._describe(call, model) if self.dry else None
        self.calls.append(call)
        return (_http(200), _fill(model.output_shape, {})) if self.dry else None

    def _describe(self, asked: Call, model: Any) -> Any:
        """What a dry run would have made or removed; None for what only AWS knows."""
        kind = asked.operation.removeprefix("Describe").removeprefix("Get")
        for call in reversed(self.calls):
            about = {name: call.parameters.get(name) for name in asked.parameters}
            if call.service != asked.service or about != asked.parameters:
                continue
            if call.operation == f"Delete{kind}":
                return _http(400), {"Error": {"Code": "ValidationException", "Message": "is gone"}}
            if call.operation in {f"Create{kind}", f"Update{kind}"}:
                return _http(200), _fill(model.output_shape, call.parameters)
        return None


def _shorten(value: Any) -> Any:
    """A body in a word; everything else as it is."""
    if isinstance(value, bytes | bytearray):
        return f"({len(value)} bytes)"
    if isinstance(value, io.IOBase):  # what botocore makes of bytes
        here = value.tell()
        size = value.seek(0, io.SEEK_END) - here
        value.seek(here)
        return f"({size} bytes)"
    return value


def _http(status: int) -> SimpleNamespace:
    return SimpleNamespace(status_code=status)


def _fill(shape: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """An answer of the operation's shape: what was asked for, and something for what is always answered."""
    if shape is None:
        return {}
    members = shape.members
    answer = {name: value for name, value in given.items() if name in members}
    for name in shape.required_members:
        if name not in answer:
            answer[name] = _EMPTY.get(members[name].type_name, "dry-run")
    if "EndpointStatus" in members:
        answer["EndpointStatus"] = "InService"
    return answer


_EMPTY: dict[str, Any] = {
    "timestamp": datetime(1970, 1, 1, tzinfo=UTC), "list": [], "map": {}, "structure": {}, "integer": 0, "boolean": False,
}  # fmt: skip


def show_dry_run(log: CallLog, *, as_json: bool) -> None:
    """Print what a dry run would have asked of AWS."""
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(call) for call in log.calls], default=str))
        return
    say_lines(f"Dry run, nothing was changed. Calls:\n{log.tell()}")
