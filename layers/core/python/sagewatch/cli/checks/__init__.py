"""What ``sagewatch doctor`` looks at, a file a subject; each check yields lines, and decides nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes
    ----------
    well
        None where it could not be seen from here.
    fix
        What to do about it; empty where it is well.
    """

    well: bool | None
    what: str
    found: str
    fix: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is examined: clients by service, the stack's outputs, its name, what it watches, the time, and its table."""

    client: Callable[..., Any]
    outputs: dict[str, str]
    stack: str
    monitors: Any
    now: datetime
    items: Any = None

    def list_resources(self, kind: str) -> dict[str, str]:
        """The stack's resources of a CloudFormation type: physical name by logical name."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.stack)
            for row in page["StackResourceSummaries"]
            if row["ResourceType"] == kind
        }
