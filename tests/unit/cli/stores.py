"""A stack's store in memory with one incident, and a folder with every file that an example names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sagewatch.cli.store import Store
from sagewatch.entry import handle
from sagewatch.finding import Window
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.incident.muting import build_silence
from tests.unit.flows.worlds import Pump, build_event, build_finding, build_world
from tests.unit.replay.recordings import MONITORS, write_archive, write_captures

FOUND = datetime(2026, 11, 21, 20, 34, 5, tzinfo=UTC)
INCIDENT = "20261121T203405Z-d70a35fb2065c43a"


def build_store() -> tuple[Store, object]:
    """The store, and the world that it is a view of."""
    world = build_world()
    world.now.now = FOUND
    finding = msgspec.structs.replace(
        build_finding(), raised_at=FOUND, window=Window(FOUND - timedelta(minutes=1), FOUND, 25)
    )
    handle(manage_incident, build_event(finding), world)
    Pump(world).run()
    write_page(INCIDENT, world)
    world.alerts.save_silence(
        build_silence(("endpoint=churn",), FOUND, FOUND + timedelta(days=1), by="ada", reason="retraining")
    )
    outputs = {
        "EvidenceBucket": "evidence",
        "CaptureBucket": "captures",
        "CapturePrefix": "capture",
        "StateTable": "state",
        "EventBus": "sagewatch",
    }
    store = Store(world=world, outputs=outputs)
    return store, world


def write_files(folder: Path) -> None:
    """Whatever the examples in the commands' help read."""
    (folder / "monitors.yml").write_text(MONITORS)
    rows = "".join(f"{number % 3},{20 + number % 40}\n" for number in range(200))
    (folder / "training.csv").write_text(f"label,age\n{rows}")
    (folder / "stricter.yml").write_text(
        MONITORS.replace("baseline:", "one_false_alarm_in: 100000000, baseline:")
    )
    write_archive(folder / "demo-out")
    findings = [
        told["detail"] for told in build_store()[1].bus.events if told["detail-type"] == "Finding Raised"
    ]
    (folder / "demo-out" / "findings.json").write_bytes(msgspec.json.encode(findings or [build_finding()]))
    write_captures(folder / "captures")
