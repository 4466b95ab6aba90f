"""The captured requests that the saliency job runs through the model: suspicious ones, and clean ones to compare with."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

from sagewatch.capture import pick_lines, read_record
from sagewatch.diagnose.job import build_replay_prefix
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Finding
from sagewatch.flows.samples import Predicted, iterate_predictions
from sagewatch.observability import get_logger
from sagewatch.world import World

Chosen = tuple[Predicted, str]


def write_requests(
    incident_id: str, chosen: Sequence[Chosen], environment: Mapping[str, str], world: World
) -> int:
    """Put the chosen requests, as they were sent, where the saliency job finds them; how many there were to put."""
    lines = [json.dumps(row) for row in _read_requests(chosen, world)]
    if lines:
        bucket, prefix = world.settings.evidence_bucket, build_replay_prefix(incident_id)
        body = json.dumps(dict(environment)).encode()
        world.objects.put_object(bucket, f"{prefix}environment.json", body, "application/json")
        requests = ("\n".join(lines) + "\n").encode()
        world.objects.put_object(bucket, f"{prefix}requests.jsonl", requests, "application/x-ndjson")
    return len(lines)


def choose_requests(finding: Finding, most: int, world: World) -> list[Chosen]:
    """Which captured requests a replay runs, each with its role, ``suspicious`` or ``clean``.

    Suspicious are those that were answered with the finding's class since it began, the least confident first;
    where the finding names no class, the least confident of all.
    """
    segments = world.state.load_segments(finding.stream, None)
    during = [one for s in segments if s.last_at >= finding.window.start for one in iterate_predictions(s)]
    of_class = [one for one in during if one.label == finding.subject]
    suspicious = sorted(of_class or during, key=_rank_confidence)
    clean = choose_clean(finding, most // 3, world)
    return [*((one, "suspicious") for one in suspicious[: most - len(clean)]), *clean]


def choose_clean(finding: Finding, most: int, world: World) -> list[Chosen]:
    """Captured requests of before the finding, the latest first: of its class, for only they can be compared with.

    Where the finding names no class they are spread over all that was answered.
    """
    segments = world.state.load_segments(finding.stream, None)
    before = [
        one for s in segments[::-1] if s.last_at < finding.window.start for one in iterate_predictions(s)
    ]
    if finding.subject:
        return [(one, "clean") for one in before if one.label == finding.subject][:most]
    return [(before[n * len(before) // most], "clean") for n in range(min(most, len(before)))]


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
                    "where": f"s3://{bucket}/{key} line {number}",
                    "label": one.label,
                    "confidence": one.confidence,
                    "content_type": record.input.content_type,
                    "body": base64.b64encode(record.input.content).decode(),
                }
