"""The features that moved, from the report that made a finding and the baseline that it was compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sagewatch.errors import RejectedInputError
from sagewatch.evidence.report_redaction import redact_report
from sagewatch.finding import Finding
from sagewatch.flows.samples import get_sensitive
from sagewatch.observability import get_logger
from sagewatch.quality.moved import Moved, rank_features
from sagewatch.quality.statistics import parse_statistics
from sagewatch.world import World

STATISTICS = "statistics.json"


def load_moved(finding: Finding, report: Mapping[str, bytes], world: World) -> tuple[Moved, ...]:
    """Every feature with a distribution on both sides, the farthest first; none without a report or a baseline.

    Parameters
    ----------
    report
        The report's files, sensitive fields taken out.
    """
    baseline = _load_baseline(finding, world) if STATISTICS in report else None
    if baseline is None:
        return ()
    try:
        current = parse_statistics(report[STATISTICS], f"{finding.source}/{STATISTICS}")
        return tuple(rank_features(current, parse_statistics(baseline, "the baseline's statistics.json")))
    except RejectedInputError as error:
        get_logger().info("statistics_unreadable", where=error.where, reason=error.reason)
        return ()


def _load_baseline(finding: Finding, world: World) -> bytes | None:
    """The endpoint's baseline (monitors.yml, ``quality``), redacted as the report is."""
    watched = world.monitors.endpoints.get(finding.endpoint)
    if watched is None or watched.quality is None:
        return None
    bucket, _, prefix = watched.quality.baseline.removeprefix("s3://").partition("/")
    key = f"{prefix.rstrip('/')}/{STATISTICS}" if prefix else STATISTICS
    if bucket not in {world.settings.evidence_bucket, world.settings.capture_bucket}:
        return None
    stream = world.objects.open_object(bucket, key)
    try:
        known = json.loads(stream.read()) if stream else None
    except (ValueError, RecursionError):
        return None
    return None if known is None else json.dumps(redact_report(known, get_sensitive(finding, world))).encode()
