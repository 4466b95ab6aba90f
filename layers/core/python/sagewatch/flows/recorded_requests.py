"""Which captured request each recorded step was: found again by the SHA-256 of its body, and written down.

The serving toolkit gives the hook no request id, so the hook records the body's digest, and the data capture has both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from sagewatch.capture import Segment, pick_lines, read_record
from sagewatch.diagnose.model import Diagnosis
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream
from sagewatch.observability import get_logger
from sagewatch.world import World

MOST_LINES = 4000
"""Captured lines that are looked through at most: a quarter of a gigabyte of photographs."""
_AROUND = timedelta(minutes=2)  # requests under way while the endpoint moved
_LONGEST_FILE = timedelta(minutes=30)  # segments are found by their beginning

REQUESTS = "requests.json"
Links = dict[str, dict[str, str]]


def build_links_key(incident_id: str) -> str:
    """Where it is written down which captured request each recorded step was."""
    return f"incidents/{incident_id}/{REQUESTS}"


def link_requests(diagnosis: Diagnosis, report: Mapping[str, Any], world: World) -> None:
    """Find the captured request of each explained step that came live; what is not captured stays without one."""
    wanted = {
        str(row.get("request_digest", "")) for row in report.get("images", []) if not row.get("request_id")
    } - {""}
    if not wanted or diagnosis.hooked_at is None:
        return
    found = _find(wanted, _list_segments(diagnosis, world), world)
    get_logger().info("requests_linked", incident_id=diagnosis.incident_id, count=len(found))
    if found:
        body = json.dumps(found, indent=1).encode()
        key = build_links_key(diagnosis.incident_id)
        world.objects.put_object(world.settings.evidence_bucket, key, body, "application/json")


def load_request_links(incident_id: str, world: World) -> Links:
    """For each digest the capture's event id and where its line lies; empty before they were looked for."""
    stream = world.objects.open_object(world.settings.evidence_bucket, build_links_key(incident_id))
    return dict(json.loads(stream.read())) if stream else {}


def _list_segments(diagnosis: Diagnosis, world: World) -> list[Segment]:
    """What was captured while the endpoint recorded, the earliest first."""
    stream, since = Stream(diagnosis.endpoint, diagnosis.variant), diagnosis.hooked_at
    if since is None:
        return []
    until = diagnosis.restored_at or diagnosis.let_go_at or diagnosis.finished_at or world.now()
    return [
        segment
        for segment in world.state.load_segments(stream, since - _LONGEST_FILE)
        if segment.last_at >= since - _AROUND and segment.first_at <= until + _AROUND
    ]


def _find(wanted: set[str], segments: Iterable[Segment], world: World) -> Links:
    found: Links = {}
    looked = 0
    for segment in segments:
        lines = {segment.line(position) for position in range(segment.predictions)}
        looked += len(lines)
        if looked > MOST_LINES:
            get_logger().warning("requests_not_all_looked_for", count=looked)
            return found
        for digest, link in _read_digests(segment, lines, world):
            if digest in wanted:
                found.setdefault(digest, link)
        if len(found) == len(wanted):
            break
    return found


def _read_digests(segment: Segment, lines: set[int], world: World) -> Iterator[tuple[str, dict[str, str]]]:
    stream = world.objects.open_object(segment.bucket, segment.key)
    if stream is None:
        return
    for number, line in pick_lines(stream, lines).items():
        try:
            record = read_record(line, where=segment.key)
        except RejectedInputError as error:
            get_logger().info("sample_unreadable", key=segment.key, line=number, reason=error.reason)
            continue
        if record.input is not None:
            where = f"s3://{segment.bucket}/{segment.key} line {number}"
            yield hashlib.sha256(record.input.content).hexdigest(), {"id": record.event_id, "where": where}
