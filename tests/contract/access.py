"""A world whose AWS refuses what the compiled role of a function does not allow: action and resource, call by call.

Which resource a call is on is told by the function's own environment: a queue that another function is given, or a
topic that the role does not name, is refused here as it would be there.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from typing import Any, NamedTuple

from layers.summarize_stack import list_attached
from sagewatch import ports
from sagewatch.state import State
from tests.contract.access_calls import CALLS, CAPTURED, EVIDENCE, Told, read_secret

NAMES = {"EvidenceBucket": EVIDENCE, "CaptureBucket": CAPTURED}
HERE = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}


def resolve(value):
    """A value of a template as CloudFormation writes it out, with every condition true; ``arn:ID`` is the ARN of a resource."""
    if isinstance(value, list):
        return [resolve(one) for one in value]
    if not isinstance(value, dict):
        return value
    ((name, inner),) = value.items()
    if name == "Ref":
        return HERE.get(inner) or NAMES.get(inner, inner)
    if name == "Fn::GetAtt":
        return build_arn(inner[0] if isinstance(inner, list) else inner.split(".")[0])
    if name == "Fn::If":
        return resolve(inner[1])
    if name == "Fn::Split":
        return resolve(inner[1]).split(inner[0])
    if name == "Fn::Join":
        return inner[0].join(resolve(inner[1]))
    text, given = inner if isinstance(inner, list) else (inner, {})
    known = {**HERE, **{key: resolve(one) for key, one in given.items()}}

    def fill(found):
        owner, _, attribute = found[1].partition(".")
        return (
            str(known[found[1]]) if found[1] in known else build_arn(owner) if attribute == "Arn" else owner
        )

    return re.sub(r"\$\{([^}]+)\}", fill, text)


def build_arn(logical_id):
    """The ARN of a resource of the template: a bucket's by its name, any other's by its logical id."""
    return f"arn:aws:s3:::{NAMES[logical_id]}" if logical_id in NAMES else f"arn:{logical_id}"


def list_statements(role):
    """A role's statements, conditions resolved."""
    for policy in role["Policies"]:
        for row in policy["PolicyDocument"]["Statement"]:
            yield row["Fn::If"][1] if "Fn::If" in row else row


def listed(value):
    return value if isinstance(value, list) else [value]


def allows(role, action, arn):
    """Whether a statement of the role allows the action on the resource."""
    return any(
        statement["Effect"] == "Allow"
        and action in listed(statement["Action"])
        and any(fnmatch.fnmatchcase(arn, one) for one in listed(resolve(statement["Resource"])))
        for statement in list_statements(role)
    )


class Seat(NamedTuple):
    """Where a function stands: what it is told and what it may."""

    name: str
    role: dict[str, Any]
    environment: dict[str, str]
    function: dict[str, Any]


def find_seats(template) -> dict[str, Seat]:
    """Every function of the template by its name."""
    rows = template["Resources"]
    seats = {}
    for row in (one["Properties"] for one in rows.values() if one["Type"] == "AWS::Lambda::Function"):
        id_ = row["Role"]["Fn::GetAtt"][0]
        role = rows[id_]["Properties"]
        role = {**role, "Policies": [*role["Policies"], *(one for _, one in list_attached(template, id_))]}
        told = {name: resolve(value) for name, value in row["Environment"]["Variables"].items()}
        name = row["Handler"].split("/")[1]
        seats[name] = Seat(name, role, told, row)
    return seats


class Guarded:
    """A port of the memory world in front of which the role stands."""

    def __init__(self, port, kind, seat, monitors, asked):
        self._port, self._calls, self._seat, self._monitors, self._asked = (
            port,
            CALLS[kind],
            seat,
            monitors,
            asked,
        )

    def __getattr__(self, name):
        inner = getattr(self._port, name)
        if name not in self._calls:
            return inner

        def call(*args, **named):
            for action, arn in self._calls[name](Told(self._seat.environment, self._monitors), *args):
                self._asked.append((action, arn))
                assert allows(self._seat.role, action, arn), f"{action} on {arn}: AccessDenied"
            return inner(*args, **named)

        return call


PORTS = {"objects": ports.Objects, "hosting": ports.Hosting, "jobs": ports.Jobs, "bus": ports.Bus, "mail": ports.Mail,
         "chat": ports.Chat, "hooks": ports.Hooks, "letters": ports.Letters, "wakeups": ports.Wakeups,
         "schedules": ports.Schedules, "elsewhere": ports.JobsElsewhere}  # fmt: skip


def guard(world, seat, asked):
    """The world as a function with that seat finds it; what it asks for is appended to ``asked``."""
    guarded = {
        name: Guarded(getattr(world, name), kind, seat, world.monitors, asked)
        for name, kind in PORTS.items()
        if getattr(world, name) is not None
    }
    items = Guarded(world.state.items, ports.Items, seat, world.monitors, asked)
    return dataclasses.replace(world, state=State(items), **guarded)


def guard_desk(desk, seat, asked):
    """The desk of the function with an address of its own, likewise."""

    def read(name):
        for action, arn in read_secret(name):
            asked.append((action, arn))
            assert allows(seat.role, action, arn), f"{action} on {arn}: AccessDenied"

    def get(name):
        read(name)
        return desk.get_secret(name)

    def refresh(name):
        read(name)
        return desk.refresh_secret(name)

    bus = Guarded(desk.bus, ports.Bus, seat, desk.monitors, asked)
    return dataclasses.replace(desk, bus=bus, get_secret=get, refresh_secret=refresh)
