"""What holds for all tests."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, settings

from sagewatch.sandbox.guard.sitecustomize import LISTENING, forbidden_host

# How fast examples are drawn and run is the machine's matter: beside other work a machine of two cores is slow.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


def refuse_other_machines(event: str, arguments: tuple[object, ...]) -> None:
    """Fail what would leave this machine: without a network it would fail in one way, and with one in another.

    No ``OSError``, which the product takes for an outage, and no ``Exception``, which an edge may log and go on from.
    """
    if not event.startswith("socket.") or event == LISTENING:
        return
    host = forbidden_host(event, arguments)
    if host is not None:
        pytest.fail(f"a test called {host} ({event}); what answers a test is on this machine")


sys.addaudithook(refuse_other_machines)
