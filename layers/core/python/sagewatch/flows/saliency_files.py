"""What the saliency job left in the evidence bucket, held against what is known of it.

The job's role may write below any incident's ``explain/``, for a prefix of one is not known when the role is made. So a report
counts where a diagnosis was made, names no other job, and is the one that stood there when the diagnosis was told; a
picture counts where it is the one that the report lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.flows.saliency_report import read_report
from sagewatch.observability import get_logger
from sagewatch.world import World

REPORT = "explanations.json"
CHANGED = "What the saliency job reported was changed after the diagnosis was told of: it is not shown."
OTHERS = "What lies here was reported by another job than the incident's: it is not shown."


def count_explained(incident_id: str, world: World) -> int:
    """How many inputs have a heat map."""
    return len(load_report(incident_id, world).get("images", []))


def load_report(incident_id: str, world: World) -> dict[str, Any]:
    """What the saliency job says of its pictures, as far as it can be read; empty where it left nothing.

    Of one that is not the incident's own nothing is left but a note that says so.
    """
    made, body = world.state.load_diagnosis_of(incident_id), _load(incident_id, REPORT, world)
    if made is None or (body is None and not made.report_digest):
        return {}
    if made.report_digest not in {None, _digest(body)}:
        get_logger().warning("report_changed", incident_id=incident_id)
        return {"notes": [CHANGED]}
    report, left_out = read_report(body or b"")
    if report.get("job") not in {None, made.job}:
        get_logger().warning("report_of_another_job", incident_id=incident_id)
        return {"notes": [OTHERS]}
    if left_out:
        get_logger().warning("report_unreadable", incident_id=incident_id, reason=", ".join(left_out[:5]))
    return report


def digest_report(incident_id: str, world: World) -> str:
    """The SHA-256 of the report that lies there now, in hex; empty where there is none."""
    return _digest(_load(incident_id, REPORT, world))


def load_pictures(incident_id: str, report: Mapping[str, Any], world: World) -> dict[str, bytes]:
    """Every file that the saliency job wrote, by its path below the job's output; none where its report does not count."""
    if not report.keys() - {"notes"}:
        return {}
    prefix = build_explain_prefix(incident_id)
    found: dict[str, bytes] = {}
    for key in world.objects.list_objects(world.settings.evidence_bucket, prefix):
        path = key.removeprefix(prefix)
        body = _load(incident_id, path, world)
        if body is not None and (path == REPORT or is_listed(report, path, body)):
            found[path] = body
    return found


def is_listed(report: Mapping[str, Any], path: str, body: bytes) -> bool:
    """Whether a picture is the one that the report lists; reports of an older job list none."""
    files = report.get("files")
    return files is None or files.get(path) == _digest(body)


def _load(incident_id: str, path: str, world: World) -> bytes | None:
    key = f"{build_explain_prefix(incident_id)}{path}"
    stream = world.objects.open_object(world.settings.evidence_bucket, key)
    return None if stream is None else stream.read()


def _digest(body: bytes | None) -> str:
    return "" if body is None else hashlib.sha256(body).hexdigest()
