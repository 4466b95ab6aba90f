"""The files of the monitoring report that made a finding, as they may be shown and kept."""

from __future__ import annotations

import json
from typing import Any

from sagewatch.errors import RejectedInputError
from sagewatch.evidence.model import BrokenConstraint
from sagewatch.evidence.report_redaction import redact_report
from sagewatch.finding import Finding
from sagewatch.flows.samples import get_sensitive
from sagewatch.observability import get_logger
from sagewatch.quality.documents import CONSTRAINTS, STATISTICS
from sagewatch.quality.violations import FILE_NAMES, parse_violations
from sagewatch.world import World

KEPT_AT_MOST = 8 * 2**20
"""Bytes of one file; a report of 2,000 features has 5 MB."""
UNDERSTOOD = {STATISTICS, CONSTRAINTS, *FILE_NAMES}
"""Files of which it is known where the names of fields stand."""
_WITHHELD = "Withheld: the endpoint's owner calls this field, or one that it could be, sensitive."


def load_report_files(finding: Finding, world: World) -> dict[str, bytes]:
    """The JSON files of the report by name, sensitive fields taken out; none where another detector found it.

    What cannot be looked into is left out, and the log says so: it could hold what must not be shown.
    """
    bucket, _, prefix = finding.source.removeprefix("s3://").partition("/")
    ours = {world.settings.evidence_bucket, world.settings.capture_bucket}
    if not finding.source.startswith("s3://") or bucket not in ours:
        return {}
    sensitive = get_sensitive(finding, world)
    folder = f"{prefix.rstrip('/')}/"
    files: dict[str, bytes] = {}
    for one in world.objects.describe_objects(bucket, folder):
        name = one.key.removeprefix(folder)
        if "/" in name or not name.endswith(".json"):
            continue
        if sensitive and name not in UNDERSTOOD:
            get_logger().info("report_file_withheld", key=one.key)
            continue
        document = _read(bucket, one.key, world) if one.size_bytes <= KEPT_AT_MOST else None
        if document is None:
            get_logger().info("report_file_left_out", key=one.key, count=one.size_bytes)
            continue
        files[name] = json.dumps(redact_report(document, sensitive), indent=2, ensure_ascii=False).encode()
    return files


def list_broken(files: dict[str, bytes], finding: Finding) -> tuple[BrokenConstraint, ...]:
    """The rows of the report, in its order."""
    for name in FILE_NAMES:
        if name not in files:
            continue
        try:
            rows = parse_violations(files[name], f"{finding.source}/{name}").violations
        except RejectedInputError as error:
            get_logger().info("report_unreadable", reason=error.reason, key=error.where)
            return ()
        return tuple(
            BrokenConstraint(
                subject=row.subject, check=row.constraint_check_type, description=row.description or _WITHHELD
            )
            for row in rows
        )
    return ()


def _read(bucket: str, key: str, world: World) -> Any:
    stream = world.objects.open_object(bucket, key)
    try:
        return json.loads(stream.read()) if stream else None
    except (ValueError, RecursionError):
        return None
