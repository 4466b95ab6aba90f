"""What the saliency job left in the evidence bucket, held against what is known of it.

The job's role may write below any incident's ``explain/``, for a prefix of one is not known when the role is made. So a report
counts where a diagnosis was made, names no other job, and is the one that stood there when the diagnosis was told; a
picture counts where it is the one that the report lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec

from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.evidence.bundle import BundledFile, describe_file
from sagewatch.flows.saliency_report import read_report
from sagewatch.observability import get_logger
from sagewatch.world import World

REPORT = "explanations.json"
FULL = "full/"
MOST_PAIRS = 100
MOST_BYTES = 6_000_000
"""What a page embeds of a diagnosis at most; the rest stays in the bucket, and the page says so. No file is read beyond it."""
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


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """What the saliency job drew, as far as its report counts.

    Attributes
    ----------
    shown
        The report and the pictures that a page embeds, by path below the job's output; each is the one in the report.
    kept
        The other files, as the report lists them.
    wrong
        How many are not, or no longer, as the report lists them.
    """

    shown: Mapping[str, bytes] = {}
    kept: tuple[BundledFile, ...] = ()
    wrong: int = 0


def load_pictures(incident_id: str, report: Mapping[str, Any], world: World) -> Pictures:
    """The pictures that a page embeds, one at a time, and the list of the others; none where the report does not count."""
    if not report.keys() - {"notes"}:
        return Pictures()
    prefix = build_explain_prefix(incident_id)
    found = world.objects.describe_objects(world.settings.evidence_bucket, prefix)
    sizes = {one.key.removeprefix(prefix): one.size_bytes for one in found}
    wanted = choose_pictures(report, sizes)
    shown: dict[str, bytes] = {}
    kept: list[BundledFile] = []
    listed, wrong = report.get("files"), 0
    for path, size in sizes.items():
        digest = "" if listed is None else listed.get(path, "")
        if path in wanted or listed is None or path == REPORT:
            # One in the page is held against the report; of a report that lists none each file speaks for itself.
            body = _load(incident_id, path, world)
            if body is None or (path != REPORT and not is_listed(report, path, body)):
                wrong += digest != ""
                continue
            if path in wanted or path == REPORT:
                shown[path] = body
                continue
            digest = _digest(body)
        if digest:
            kept.append(describe_file(path, size, digest))
    gone = (listed or {}).keys() - sizes.keys()
    return Pictures(shown=shown, kept=tuple(kept), wrong=wrong + len(gone))


def choose_pictures(report: Mapping[str, Any], sizes: Mapping[str, int]) -> set[str]:
    """Paths of the pictures that a page embeds: the means, then pairs of each role in turn, as many as its limits allow."""
    chosen = {path for path in report.get("means", {}).values() if path in sizes}
    left = MOST_BYTES - sum(sizes[path] for path in chosen)
    if left < 0:
        return set()
    roles: dict[str, list[tuple[str, str]]] = {}
    for row in report.get("images", []):
        if row["input"] in sizes and row["overlay"] in sizes:
            roles.setdefault(row.get("role", ""), []).append((row["input"], row["overlay"]))
    pairs = [pair for turn in zip_longest(*roles.values()) for pair in turn if pair is not None]
    for pair in pairs[:MOST_PAIRS]:
        size = sum(sizes[path] for path in {*pair} - chosen)
        if size <= left:
            chosen |= {*pair}
            left -= size
    return chosen


def is_listed(report: Mapping[str, Any], path: str, body: bytes) -> bool:
    """Whether a picture is the one that the report lists; reports of an older job list none."""
    files = report.get("files")
    return files is None or files.get(path) == _digest(body)


def _load(incident_id: str, path: str, world: World) -> bytes | None:
    key = f"{build_explain_prefix(incident_id)}{path}"
    stream = world.objects.open_object(world.settings.evidence_bucket, key)
    body = b"" if stream is None else stream.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        get_logger().warning("explanation_too_large", incident_id=incident_id, key=key)
    return None if stream is None or len(body) > MOST_BYTES else body


def _digest(body: bytes | None) -> str:
    return "" if body is None else hashlib.sha256(body).hexdigest()
