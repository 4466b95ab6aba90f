"""A finding about an endpoint that does not exist, sent the way of real ones: what drills and the canary put in.

Nothing here marks it: the world that it is sent into does (``rehearsal``).
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sagewatch.events import CANARY, CanaryDue, FindingReported
from sagewatch.finding import (
    DetectorRef,
    Evidence,
    Finding,
    Severity,
    Stream,
    Window,
    build_content_key,
    build_fingerprint,
)
from sagewatch.observability import get_logger
from sagewatch.place import Place
from sagewatch.world import World


def send_canary(due: CanaryDue, world: World) -> None:
    """Raise a synthetic finding and clear it: whoever is told of it hears both, and nothing stays open.

    Named by the schedule's own time: sent twice, it is the same finding.
    """
    finding = build_synthetic_finding(CANARY, due.at, world.place)
    cleared = msgspec.structs.replace(finding, cleared_at=due.at)
    world.bus.publish([FindingReported(finding), FindingReported(cleared)], world.now())
    get_logger().info("canary_sent", replay=due.name, finding_id=finding.finding_id)


def build_synthetic_finding(purpose: str, at: datetime, place: Place) -> Finding:
    """A finding that is named as what it is.

    Parameters
    ----------
    purpose
        Such as ``drill``; the endpoint is called ``sagewatch-drill``.
    """
    stream = Stream(f"sagewatch-{purpose}", purpose)
    fingerprint = build_fingerprint(stream, "no-data", purpose)
    return Finding(
        finding_id=build_content_key(fingerprint, at.isoformat()),
        fingerprint=fingerprint,
        account=place.account,
        region=place.region,
        endpoint=stream.endpoint,
        variant=stream.variant,
        kind="no-data",
        subject=purpose,
        severity=Severity.INFO,
        evidence=Evidence(0.0, 0.0, 0.0, 0.0, "seconds", 0.0, 0.0),
        window=Window(at, at, 0),
        source=f"sagewatch {purpose}",
        detector=DetectorRef(purpose, "1", purpose),
        raised_at=at,
    )
