"""Which captured request each recorded step was: found again by the SHA-256 of its body, and written down.

The serving toolkit gives the hook no request id, so the hook records the body's digest, and the data capture has both.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from sagewatch.capture import Segment, pick_lines, read_record
from sagewatch.diagnose.model import Diagnosis
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Stream
from sagewatch.observability import get_logger
from sagewatch.world import World

BLOCK_BYTES = 1 << 18
MOST_LINES = 4000
MOST_BYTES = 256_000_000
"""Captures that are looked through at most, one line in memory: some ten seconds in the function that does it."""
_AROUND = timedelta(minutes=2)  # requests under way while the endpoint moved
_LONGEST_FILE = timedelta(minutes=30)  # segments are found by their beginning

REQUESTS = "requests.json"
Link = dict[str, str]
Links = dict[str, list[Link]]


def build_links_key(incident_id: str) -> str:
    """Where it is written down which captured request each recorded step was."""
    return f"incidents/{incident_id}/{REQUESTS}"


def link_requests(diagnosis: Diagnosis, report: Mapping[str, Any], world: World) -> None:
    """Find the captured request of each explained step that came live; what is not captured stays without one."""
    wanted = Counter(
        str(row["request_digest"])
        for row in report.get("images", [])
        if row.get("request_digest") and not row.get("request_id")
    )
    if not wanted or diagnosis.hooked_at is None:
        return
    found = _find(wanted, diagnosis.hooked_at, _list_segments(diagnosis, world), world)
    get_logger().info("requests_linked", incident_id=diagnosis.incident_id, count=len(found))
    if found:
        body = json.dumps(found, indent=1).encode()
        key = build_links_key(diagnosis.incident_id)
        world.objects.put_object(world.settings.evidence_bucket, key, body, "application/json")


def load_request_links(incident_id: str, world: World) -> Links:
    """For each digest the captured requests of that body, as many as were explained: event id, and where the line lies.

    Empty before they were looked for.
    """
    stream = world.objects.open_object(world.settings.evidence_bucket, build_links_key(incident_id))
    kept = dict(json.loads(stream.read())) if stream else {}
    # An older Sagewatch kept one for each digest.
    return {digest: [links] if isinstance(links, dict) else links for digest, links in kept.items()}


def _list_segments(diagnosis: Diagnosis, world: World) -> list[Segment]:
    """What was captured while the endpoint recorded, the earliest first; then what was while it moved."""
    stream, since = Stream(diagnosis.endpoint, diagnosis.variant), diagnosis.hooked_at
    if since is None:
        return []
    until = diagnosis.restored_at or diagnosis.let_go_at or diagnosis.finished_at or world.now()
    near = [
        segment
        for segment in world.state.load_segments(stream, since - _LONGEST_FILE)
        if segment.last_at >= since - _AROUND and segment.first_at <= until + _AROUND
    ]
    return sorted(near, key=lambda one: one.last_at < since or one.first_at > until)


def _find(wanted: Counter[str], since: datetime, segments: Iterable[Segment], world: World) -> Links:
    """Of requests with the same body those that came once the endpoint recorded go before those of while it moved."""
    recording: Links = defaultdict(list)
    moving: Links = defaultdict(list)
    since = since.replace(microsecond=0)  # the capture tells whole seconds
    looked, budget = 0, _Budget(MOST_BYTES)
    for segment in segments:
        lines = {segment.line(position) for position in range(segment.predictions)}
        looked += len(lines)
        if looked > MOST_LINES or not budget.left:
            get_logger().warning("requests_not_all_looked_for", count=looked)
            break
        for digest, at, link in _read_digests(segment, lines, budget, world):
            if digest in wanted:
                (recording if at is not None and at >= since else moving)[digest].append(link)
        if all(len(recording[digest]) >= count for digest, count in wanted.items()):
            break
    found = {digest: [*recording[digest], *moving[digest]][:count] for digest, count in wanted.items()}
    return {digest: links for digest, links in found.items() if links}


class _Budget:
    """So many bytes for all files; the one that exceeds them ends there."""

    def __init__(self, count: int) -> None:
        self.left = count

    def spend_on(self, stream: BinaryIO) -> Iterator[bytes]:
        while self.left and (chunk := stream.read(min(BLOCK_BYTES, self.left))):
            self.left -= len(chunk)
            yield chunk


def _read_digests(
    segment: Segment, lines: set[int], budget: _Budget, world: World
) -> Iterator[tuple[str, datetime | None, Link]]:
    stream = world.objects.open_object(segment.bucket, segment.key)
    if stream is None:
        return
    for number, line in pick_lines(budget.spend_on(stream), lines):
        try:
            record = read_record(line, where=segment.key)
        except RejectedInputError as error:
            get_logger().info("sample_unreadable", key=segment.key, line=number, reason=error.reason)
            continue
        if record.input is not None:
            where = f"s3://{segment.bucket}/{segment.key} line {number}"
            digest = hashlib.sha256(record.input.content).hexdigest()
            yield digest, record.inferred_at, {"id": record.event_id, "where": where}
