"""A world in memory, and a finding to put into it. Faults are ports that raise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sagewatch.entry import handle
from sagewatch.finding import (
    DetectorRef,
    Evidence,
    Finding,
    Severity,
    Stream,
    Window,
    build_fingerprint,
)
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.memory.items import MemoryItems
from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.memory.world import (
    MemoryBus,
    MemoryChat,
    MemoryClock,
    MemoryMail,
    MemoryMetrics,
    MemoryObjects,
    MemoryWakeups,
)
from sagewatch.monitors import parse_monitors
from sagewatch.place import Place
from sagewatch.settings import Settings
from sagewatch.state import State
from sagewatch.world import World

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONITORS = """
version: 1
endpoints:
  signs:
    detectors: {class-concentration: {baseline: {learn_from: 100}, clear_after: 60}}
    diagnosis: {mode: swap, observe: {requests: 4, at_most: 20m}}
receivers:
  ml-on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {}}
"""


def build_world(monitors: str = MONITORS) -> World:
    """A world with one endpoint, `signs`, in service."""
    sagemaker = MemorySageMaker()
    sagemaker.deploy("signs", DataCaptureConfig={"EnableCapture": True})
    return World(
        state=State(MemoryItems()),
        objects=MemoryObjects(),
        bus=MemoryBus(),
        metrics=MemoryMetrics(),
        hosting=sagemaker,
        jobs=sagemaker,
        mail=MemoryMail(),
        chat=MemoryChat(),
        now=MemoryClock(NOW),
        monitors=parse_monitors(monitors, "monitors.yml"),
        settings=Settings(
            region="eu-west-1",
            state_table="state",
            event_bus="sagewatch",
            evidence_bucket="evidence",
            capture_bucket="captures",
            capture_prefix="capture",
            monitors_file="monitors.json",
            explain_image_uri="image",
            explain_role_arn="role",
        ),
        place=Place("123456789012", "eu-west-1"),
        wakeups=MemoryWakeups(),
    )


def build_finding(**changes: Any) -> Finding:
    """A class that takes over."""
    stream = Stream("signs", "AllTraffic")
    plain = Finding(
        finding_id="f1",
        fingerprint=build_fingerprint(stream, "class-concentration", "14"),
        account="123456789012",
        region="eu-west-1",
        endpoint="signs",
        variant="AllTraffic",
        kind="class-concentration",
        subject="14",
        severity=Severity.CRITICAL,
        evidence=Evidence(2e6, 1e6, 0.3, 0.7, "share", 0.72, 0.02),
        window=Window(NOW - timedelta(minutes=1), NOW, 25),
        source="capture/signs/AllTraffic/x.jsonl",
        detector=DetectorRef("class-concentration", "1", "abc"),
        raised_at=NOW,
        counts={"14": 18, "2": 7},
        expected_shares={"14": 0.02, "2": 0.06},
    )
    return msgspec.structs.replace(plain, **changes)


def build_event(finding: Finding) -> dict[str, Any]:
    """The finding as the bus delivers it."""
    return {
        "id": "e",
        "source": "sagewatch",
        "detail-type": "Finding Cleared" if finding.cleared_at else "Finding Raised",
        "time": finding.raised_at.isoformat(),
        "detail": json.loads(msgspec.json.encode(finding)),
    }


LISTENERS = {
    "Capture Rejected": (),
    "Finding Raised": (manage_incident,),
    "Finding Cleared": (manage_incident,),
    "Incident Opened": (advance_diagnosis, deliver_alert),
    "Incident Updated": (deliver_alert,),
    "Incident Resolved": (advance_diagnosis, deliver_alert),
    "Diagnosis Started": (deliver_alert,),
    "Diagnosis Finished": (deliver_alert,),
    "Diagnosis Abandoned": (deliver_alert,),
    "Diagnosis Due": (advance_diagnosis,),
    "Action Requested": (manage_incident, advance_diagnosis),
    "Alert Due": (deliver_alert,),
    "Incident Acknowledged": (deliver_alert,),
}


class Pump:
    """Carries events from the bus to the flows that serverless.yml's rules name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._done = 0

    def run(self) -> None:
        """Deliver until the bus is quiet."""
        while self._done < len(self.world.bus.events):
            event = self.world.bus.events[self._done]
            self._done += 1
            for flow in LISTENERS[event["detail-type"]]:
                handle(flow, event, self.world)


def record_and_settle(world: World, rounds: int = 6) -> None:
    """Let AWS get on: updates end, the hooked endpoint records, the saliency job leaves its report and ends."""
    objects, hosting = world.objects.bodies, world.hosting
    for round_ in range(rounds):
        for job in hosting.jobs:
            incident_id = job.removeprefix("sagewatch-explain-")
            row = {"input": "inputs/1.png", "overlay": "overlays/1.png"}
            key = f"incidents/{incident_id}/explain/explanations.json"
            objects["evidence", key] = json.dumps({"images": [row]}).encode()
        hosting.settle()
        live = hosting.endpoints["signs"]["EndpointConfigName"]
        if live.startswith("sagewatch-hooked-"):
            for n in range(4):
                prefix = f"tensors/{live.removeprefix('sagewatch-hooked-')}/w/index/000000000"
                objects["evidence", f"{prefix}/{n:012d}_worker_0.json"] = b"{}"
        advance_endpoint("signs", world)
        world.now.move(timedelta(seconds=1 + round_))
