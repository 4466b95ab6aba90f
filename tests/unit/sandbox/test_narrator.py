"""What the demo says of the events on the bus, which come at least once."""

from __future__ import annotations

import io

from rich.console import Console

from sagewatch.sandbox.demo.narrator import Narrator


def tell(*events):
    said = io.StringIO()
    Narrator(Console(file=said, width=200)).tell_all(
        {"detail-type": kind, "detail": detail} for kind, detail in events
    )
    return [line.split("s  ", 1)[1] for line in said.getvalue().splitlines()]


def test_what_comes_twice_is_told_once():
    one, other = ({"incident_id": name, "severity": "warning"} for name in ("a", "b"))
    opened, resolved = ("Incident Opened", one), ("Incident Resolved", one)
    assert tell(opened, opened, resolved, opened, resolved, ("Incident Opened", other)) == [
        "incident a opened (warning)",
        "incident a resolved by the evidence",
        "incident b opened (warning)",
    ]


def test_a_state_that_comes_again_is_told_again():
    moving = ("SageMaker Endpoint State Change", {"EndpointStatus": "UPDATING", "EndpointConfigName": "c"})
    assert tell(moving, moving) == ["endpoint updating on c"] * 2
