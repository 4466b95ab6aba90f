"""The captured requests that the saliency job runs through the model: suspicious ones, and clean ones to compare with."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence

from sagewatch.capture import Segment, pick_lines, read_record
from sagewatch.diagnose.job import build_replay_prefix
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Finding
from sagewatch.flows.samples import CLEAN_FROM_WITHIN, Predicted, iterate_predictions
from sagewatch.observability import get_logger
from sagewatch.spacing import spread
from sagewatch.world import World

Chosen = tuple[Predicted, str]
SUSPICIOUS, CLEAN = "suspicious", "clean"
Row = dict[str, str | float | None]


def write_requests(
    incident_id: str,
    chosen: Sequence[Chosen],
    environment: Mapping[str, str],
    allowed: Sequence[str],
    world: World,
) -> list[str]:
    """Put the chosen requests, as they were sent, where the saliency job finds them; the roles of those that were left.

    Parameters
    ----------
    environment
        The variables of the model's container. People keep passwords there, so only those go along that the
        endpoint's owner allows by name; of the others the job is told the names, to say what the model may miss.
    allowed
        Their names (``diagnosis.environment`` in monitors.yml).
    """
    rows = list(_drop_ambiguous(list(_read_requests(chosen, world))))
    if rows:
        given = {name: value for name, value in environment.items() if name in allowed}
        withheld = sorted(environment.keys() - given.keys())
        requests = "".join(json.dumps(row) + "\n" for row in rows)
        for name, body, media_type in (
            ("environment.json", json.dumps(given), "application/json"),
            ("withheld.json", json.dumps(withheld), "application/json"),
            ("requests.jsonl", requests, "application/x-ndjson"),
        ):
            key = f"{build_replay_prefix(incident_id)}{name}"
            world.objects.put_object(world.settings.evidence_bucket, key, body.encode(), media_type)
    return [str(row["role"]) for row in rows]


def choose_requests(finding: Finding, most: int, world: World) -> list[Chosen]:
    """Which captured requests a replay runs, each with its role, ``suspicious`` or ``clean``.

    Suspicious are those of since the finding began, clean those of before, both of its class where it names one
    and both drawn by one rule: two rules would find a difference where nothing changed. They are spread evenly over
    their time; for a fallen confidence over the same share of the least confident.
    """
    during, before = _list_during(finding, world), _list_before(finding, world)
    clean = min(most // 3, len(before))
    suspicious = min(most - clean, len(during))
    share = max(suspicious / max(len(during), 1), clean / max(len(before), 1))
    return [
        *((one, SUSPICIOUS) for one in _draw(finding, during, suspicious, share)),
        *((one, CLEAN) for one in _draw(finding, before, clean, share)),
    ]


def choose_clean(finding: Finding, most: int, world: World, share: float = 1.0) -> list[Chosen]:
    """Captured requests of before the finding, to compare with what the endpoint recorded.

    Parameters
    ----------
    share
        For a fallen confidence: which share of the recorded ones, the least confident, is explained. Of the clean
        ones the same share is drawn from.
    """
    return [(one, CLEAN) for one in _draw(finding, _list_before(finding, world), most, share)]


def _list_during(finding: Finding, world: World) -> list[Predicted]:
    segments = world.state.load_segments(finding.stream, None)
    return _list_answers(finding, [one for one in segments if one.last_at >= finding.window.start])


def _list_before(finding: Finding, world: World) -> list[Predicted]:
    """Of the day before the finding; where nothing was captured then, of earlier."""
    segments = world.state.load_segments(finding.stream, None)
    before = [one for one in segments if one.last_at < finding.window.start]
    since = finding.window.start - CLEAN_FROM_WITHIN
    lately = _list_answers(finding, [one for one in before if one.last_at >= since])
    return lately or _list_answers(finding, before)


def _list_answers(finding: Finding, segments: Sequence[Segment]) -> list[Predicted]:
    answers = (one for segment in segments for one in iterate_predictions(segment))
    return [one for one in answers if not finding.subject or one.label == finding.subject]


def _draw(finding: Finding, answers: Sequence[Predicted], count: int, share: float) -> list[Predicted]:
    if finding.kind == "confidence":
        ranked = sorted(answers, key=_rank_confidence)
        answers = ranked[: math.ceil(min(share, 1.0) * len(ranked))]
    return spread(answers, count)


def _rank_confidence(one: Predicted) -> float:
    return one.confidence if one.confidence is not None else 1.0


def _drop_ambiguous(rows: Sequence[Row]) -> Iterator[Row]:
    """Without the clean ones that came in the incident too: the same bytes cannot be both."""
    suspected = {row["body"] for row in rows if row["role"] == SUSPICIOUS}
    return (row for row in rows if row["role"] == SUSPICIOUS or row["body"] not in suspected)


def _read_requests(chosen: Sequence[Chosen], world: World) -> Iterator[Row]:
    """Each request's bytes and what was answered to it; each object is read once, what is gone is left out."""
    wanted: dict[tuple[str, str], dict[int, Chosen]] = {}
    for one, role in chosen:
        wanted.setdefault((one.sample.bucket, one.sample.key), {})[one.sample.line] = (one, role)
    for (bucket, key), lines in wanted.items():
        stream = world.objects.open_object(bucket, key)
        if stream is None:
            get_logger().info("sample_is_gone", key=key)
            continue
        for number, line in pick_lines(stream, lines.keys()):
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
