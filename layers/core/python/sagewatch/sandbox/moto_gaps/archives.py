"""Archives that take a pattern from a template, and replays that keep to their window and their rules."""

from __future__ import annotations

import copy
import json
import time
import uuid
from typing import Any

from moto.events.models import EventsBackend, Replay, ReplayState, events_backends


def seconds(moment: Any) -> float:
    """A moment as Unix seconds; moto holds either a datetime or a number."""
    return float(moment.timestamp()) if hasattr(moment, "timestamp") else float(moment)


def replay_events(replay: Any, archive: Any) -> None:
    """Send what was archived in [start, end) to the named rules, each with a new id and the replay's name."""
    first, last = seconds(replay.event_start_time), seconds(replay.event_end_time)
    wanted = replay.destination.get("FilterArns")
    backend = events_backends[replay.account_id][replay.region]
    rules = list(backend.describe_event_bus(replay.destination["Arn"].split("/")[-1]).rules.values())
    for event in list(archive.events):
        if not first <= seconds(event["time"]) < last:
            continue
        again = {"id": str(uuid.uuid4()), "replay-name": replay.name}  # noqa: TID251  an edge
        for rule in rules:
            if not wanted or rule.arn in wanted:
                rule.send_to_targets({**copy.deepcopy(event), **again})
    replay.state = ReplayState.COMPLETED
    replay.end_time = time.time()  # noqa: TID251  an edge


def fill() -> None:
    """Replace the two methods."""
    create = EventsBackend.create_archive

    def create_archive(
        self: Any, name: str, source_arn: str, description: str, event_pattern: Any, retention: Any
    ) -> Any:
        pattern = json.dumps(event_pattern) if isinstance(event_pattern, dict) else event_pattern
        return create(self, name, source_arn, description, pattern, retention)

    EventsBackend.create_archive = create_archive
    Replay.replay_events = replay_events
