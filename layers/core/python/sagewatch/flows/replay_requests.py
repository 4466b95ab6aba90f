"""The captured requests that a replay runs through the model: suspicious ones, and clean ones to compare with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

from sagewatch.capture import pick_lines, read_record
from sagewatch.diagnose.job import build_replay_prefix
from sagewatch.diagnose.model import Diagnosis
from sagewatch.errors import RefusedError, RejectedInputError
from sagewatch.finding import Finding
from sagewatch.flows.samples import Predicted, iterate_predictions
from sagewatch.observability import get_logger
from sagewatch.world import World

Chosen = tuple[Predicted, str]


def write_requests(diagnosis: Diagnosis, environment: Mapping[str, str], most: int, world: World) -> None:
    """Put the chosen requests, as they were sent, where the saliency job finds them.

    Raises
    ------
    RefusedError
        There is no captured request left to replay.
    """
    incident = world.state.load_incident(diagnosis.incident_id)
    chosen = choose_requests(incident.latest, most, world) if incident else []
    lines = [json.dumps(row) for row in _read_requests(chosen, world)]
    if not lines:
        raise RefusedError(
            "CreateProcessingJob", "NothingToReplay", "no captured request of the incident is left"
        )
    bucket, prefix = world.settings.evidence_bucket, build_replay_prefix(diagnosis.incident_id)
    body = json.dumps(dict(environment)).encode()
    world.objects.put_object(bucket, f"{prefix}environment.json", body, "application/json")
    requests = ("\n".join(lines) + "\n").encode()
    world.objects.put_object(bucket, f"{prefix}requests.jsonl", requests, "application/x-ndjson")


def choose_requests(finding: Finding, most: int, world: World) -> list[Chosen]:
    """Which captured requests to replay, each with its role, ``suspicious`` or ``clean``.

    Suspicious are those that were answered with the finding's class since it began, the least confident first;
    where the finding names no class, the least confident of all. Clean are those of before: of the same class
    first, for only they can be compared with.
    """
    segments = world.state.load_segments(finding.stream, None)
    since = finding.window.start
    before = [one for s in segments if s.last_at < since for one in iterate_predictions(s)]
    during = [one for s in segments if s.last_at >= since for one in iterate_predictions(s)]
    of_class = [one for one in during if one.label == finding.subject]
    suspicious = sorted(of_class or during, key=_rank_confidence)
    same = [one for one in before[::-1] if one.label == finding.subject]
    others = [one for one in before[::-1] if one.label != finding.subject]
    clean = [*same, *others][: most // 3]
    return [
        *((one, "suspicious") for one in suspicious[: most - len(clean)]),
        *((one, "clean") for one in clean),
    ]


def _rank_confidence(one: Predicted) -> float:
    return one.confidence if one.confidence is not None else 1.0


def _read_requests(chosen: Sequence[Chosen], world: World) -> Iterator[dict[str, str | float | None]]:
    """Each request's bytes and what was answered to it; each object is read once, what is gone is left out."""
    wanted: dict[tuple[str, str], dict[int, Chosen]] = {}
    for one, role in chosen:
        wanted.setdefault((one.sample.bucket, one.sample.key), {})[one.sample.line] = (one, role)
    for (bucket, key), lines in wanted.items():
        stream = world.objects.open_object(bucket, key)
        if stream is None:
            get_logger().info("sample_is_gone", key=key)
            continue
        for number, line in pick_lines(stream, lines.keys()).items():
            one, role = lines[number]
            try:
                record = read_record(line, where=key)
            except RejectedInputError as error:
                get_logger().info("sample_unreadable", key=key, line=number, reason=error.reason)
                continue
            if record.input is not None:
                yield {
                    "id": record.event_id or f"{key}:{number}",
                    "role": role,
                    "label": one.label,
                    "confidence": one.confidence,
                    "content_type": record.input.content_type,
                    "body": base64.b64encode(record.input.content).decode(),
                }
