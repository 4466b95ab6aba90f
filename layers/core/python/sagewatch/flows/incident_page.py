"""The incident page, the bundle beside it and the index of all: gathered from the table and from S3, written to S3."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sagewatch.alert.content import Links
from sagewatch.capture import Segment
from sagewatch.diagnose.model import Diagnosis
from sagewatch.evidence.bundle import (
    MANIFEST,
    build_manifest,
    encode_manifest,
    find_media_type,
    read_incident_version,
)
from sagewatch.evidence.captures import count_captures
from sagewatch.evidence.index_page import build_index
from sagewatch.evidence.model import (
    Captured,
    Dossier,
    EndpointConfigs,
    IndexRow,
    PageLink,
    Told,
    TracePoint,
)
from sagewatch.evidence.page import build_page, build_placeholder
from sagewatch.evidence.timeline import find_stretch
from sagewatch.finding import Finding
from sagewatch.flows.evidence import (
    CONFIGS,
    INDEX_KEY,
    build_links,
    build_object_url,
    build_page_key,
    encode_class_names,
    get_class_names,
    load_configs,
    load_file,
)
from sagewatch.flows.explanations import read_explained, read_looked
from sagewatch.flows.feature_extremes import load_extremes
from sagewatch.flows.moved_features import load_moved
from sagewatch.flows.page_turns import leave_open, write_in_turn
from sagewatch.flows.recorded_requests import REQUESTS, load_request_links
from sagewatch.flows.report_files import list_broken, load_report_files
from sagewatch.flows.saliency_files import FULL, Pictures, load_pictures, load_report
from sagewatch.flows.samples import get_sensitive, load_clean, load_suspicious, remember_sensitive
from sagewatch.flows.streams import view_stream
from sagewatch.incident.model import Entry, Incident
from sagewatch.incident.page_turn import is_left_open
from sagewatch.state.streams import SEGMENT_KEPT
from sagewatch.world import World

INDEX = "index"
"""The index among the pages that are written in turn."""
SHOWN_BEFORE = 0.2
"""Traffic of before the incident on its page, as a share of the incident's length."""


def owe_page(incident_id: str, world: World) -> None:
    """Write down, before anybody is told where the page is, that it is to be written: the tick has it made up for.

    In the table, not in S3: nobody is kept waiting for S3.
    """
    leave_open(incident_id, world)


def hold_page(incident_id: str, world: World) -> None:
    """Put a placeholder where the page is going to be, so that a link to it opens something at once."""
    bucket = world.settings.evidence_bucket
    if world.objects.open_object(bucket, build_page_key(incident_id)) is not None:
        return
    body = build_placeholder(incident_id)
    # The page itself may have been written this very moment: it stays.
    world.objects.create_object(bucket, build_page_key(incident_id), body, "text/html; charset=utf-8")


def owes_page(incident: Incident, world: World) -> bool:
    """Whether the page is a placeholder still, shows an older state, or was left half written by whoever was at it.

    The manifest comes last. One that an older version wrote does not say which state it is of.
    """
    bucket, objects = world.settings.evidence_bucket, world.objects
    if is_left_open(world.state.load_turn(incident.incident_id), world.now()):
        return True
    if objects.open_object(bucket, build_page_key(incident.incident_id)) is None:
        return False
    manifest = load_file(incident.incident_id, MANIFEST, world)
    return not manifest or 0 < read_incident_version(manifest[MANIFEST]) < incident.version


def write_page(incident_id: str, world: World) -> None:
    """Write the incident's page, the manifest of all that is kept about it and the index, whoever else does."""

    def read_version() -> int:
        incident = world.state.load_incident(incident_id)
        return incident.version if incident else 0

    def write() -> None:
        incident = world.state.load_incident(incident_id)
        if incident is not None:
            _write_bundle(incident, world)
            # Within the page's turn: who is cut short here leaves it open, and the tick has both written again.
            write_in_turn(INDEX, lambda: _write_index(world), lambda: 0, world)

    if read_version():
        write_in_turn(incident_id, write, read_version, world)


def _write_bundle(incident: Incident, world: World) -> None:
    incident_id, now = incident.incident_id, world.now()
    remember_sensitive(incident.latest, now, world)
    # A picture of an input names none of its fields, and a digest of a small one can be guessed.
    withheld = bool(get_sensitive(incident.latest, world))
    saliency = load_report(incident_id, world)
    pictures = Pictures() if withheld else load_pictures(incident_id, saliency, world)
    requests = {} if withheld else load_file(incident_id, REQUESTS, world)
    report = load_report_files(incident.latest, world)
    dossier = _gather(incident, saliency, pictures, report, now, world)
    written = {
        "index.html": build_page(dossier),
        "findings.json": json.dumps([_as_json(finding) for finding in incident.findings], indent=2).encode(),
        "captures.jsonl": _encode_records(dossier),
        **encode_class_names(dossier.class_names),
        **{f"report/{name}": body for name, body in report.items()},
        **_list_tensors(incident_id, world),
    }
    for name, body in written.items():
        _put(incident_id, name, body, world)
    files = written | {f"explain/{name}": body for name, body in pictures.shown.items()}
    files |= load_file(incident_id, CONFIGS, world) | requests
    kept = [msgspec.structs.replace(one, path=f"explain/{one.path}") for one in pictures.kept]
    manifest = build_manifest(incident_id, now, files, kept, incident.version)
    _put(incident_id, MANIFEST, encode_manifest(manifest), world)


def _put(incident_id: str, name: str, body: bytes, world: World) -> None:
    key = f"incidents/{incident_id}/{name}"
    world.objects.put_object(world.settings.evidence_bucket, key, body, find_media_type(name))


def _list_tensors(incident_id: str, world: World) -> dict[str, bytes]:
    """What the hook recorded, listed and not copied: megabytes an input, kept for days and not for ever."""
    diagnosis = world.state.load_diagnosis_of(incident_id)
    prefix = diagnosis.tensors_prefix if diagnosis else ""
    found = world.objects.describe_objects(world.settings.evidence_bucket, prefix) if prefix else []
    if not found:
        return {}
    listing = {
        "prefix": f"s3://{world.settings.evidence_bucket}/{prefix}",
        "total_bytes": sum(one.size_bytes for one in found),
        "objects": msgspec.to_builtins(found),
    }
    return {"tensors.json": json.dumps(listing, indent=2).encode()}


def _write_index(world: World) -> None:
    """Write the list of all incidents beside their pages."""
    found, unreadable = world.state.read_incidents()
    rows = [IndexRow(**{name: getattr(one, name) for name in IndexRow.__struct_fields__}) for one in found]
    body = build_index(
        rows,
        world.now(),
        lambda incident_id: build_object_url(build_page_key(incident_id), world),
        world.replay,
        unreadable,
    )
    world.objects.put_object(world.settings.evidence_bucket, INDEX_KEY, body, "text/html; charset=utf-8")


def _gather(
    incident: Incident,
    report: Mapping[str, Any],
    pictures: Pictures,
    report_files: dict[str, bytes],
    now: datetime,
    world: World,
) -> Dossier:
    diagnosis = world.state.load_diagnosis_of(incident.incident_id)
    links = build_links(incident, now, world)
    entries = world.state.load_entries(incident.incident_id)
    moved = load_moved(incident.latest, report_files, world)
    segments = world.state.load_segments(incident.latest.stream, None)
    return Dossier(
        incident=incident,
        made_at=now,
        entries=tuple(entries),
        captured=_count_captures(incident, entries, segments, now, world),
        trace=_load_trace(incident.latest, world),
        class_names=get_class_names(incident.endpoint, world),
        samples=load_suspicious(incident.latest, segments, world)
        or load_extremes(incident.latest, moved, report_files, world),
        clean_samples=load_clean(incident.latest, segments, world),
        explained=tuple(
            read_explained(
                report,
                pictures.shown,
                load_request_links(incident.incident_id, world),
                {one.path for one in pictures.kept},
            )
        ),
        looked=read_looked(report, pictures.shown),
        explain_notes=tuple(
            _list_notes(report, pictures, withheld=bool(get_sensitive(incident.latest, world)))
        ),
        explain_failures=tuple(f"{row['file']}: {row['reason']}" for row in report.get("skipped", [])),
        configs=_load_configs(incident, diagnosis, world),
        told=tuple(_list_told(entries)),
        links=tuple(_list_page_links(links, build_object_url(INDEX_KEY, world))),
        runbook=f"{links.runbooks}/{incident.kind}.md" if links.runbooks else None,
        moved=moved,
        violations=list_broken(report_files, incident.latest),
        replay=world.replay,
    )


def _count_captures(
    incident: Incident, entries: Iterable[Entry], segments: Iterable[Segment], now: datetime, world: World
) -> Captured | None:
    """The captures of the incident's time, and of a while before it to compare with."""
    begun, end = find_stretch(incident, entries, now)
    start = begun - (end - begun) * SHOWN_BEFORE
    # What a rehearsal counts is as old as its archive, and was written just now.
    kept_from = start if world.replay else now - SEGMENT_KEPT
    if end <= kept_from:
        return None
    captured = count_captures(segments, max(start, kept_from), end, incident.subject)
    return captured and msgspec.structs.replace(captured, whole=start >= kept_from)


def _list_notes(report: Mapping[str, Any], pictures: Pictures, *, withheld: bool) -> Iterator[str]:
    """What the saliency job noted, unless inputs are withheld: a note may hold what the owner's code said of one."""
    notes = report.get("notes", [])
    if withheld and notes:
        yield "What the saliency job noted is withheld: the endpoint has sensitive fields. It is in explanations.json."
    elif not withheld:
        yield from map(str, notes)
    if pictures.wrong:
        yield f"{pictures.wrong} pictures are not, or no longer, as the saliency job listed them: they are not shown."
    if any(one.path.startswith(FULL) for one in pictures.kept):
        yield "Pictures that are larger than shown here lie in explain/full/ beside this page, as the model saw them."
    if report.get("images") and withheld:
        yield "Heat maps are withheld: the endpoint has sensitive fields, and a picture of an input names none."


def _encode_records(dossier: Dossier) -> bytes:
    """The capture records that made the finding, as the page shows them: redacted, pictures as base64."""
    rows = [
        {
            "where": one.where,
            "class": one.label,
            "confidence": one.confidence,
            "media_type": one.media_type if one.picture else "text/plain",
            "input": base64.b64encode(one.picture).decode() if one.picture else one.text,
        }
        for one in dossier.samples
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _load_trace(finding: Finding, world: World) -> tuple[TracePoint, ...]:
    view = view_stream(finding.stream, world)
    if view is None:
        return ()
    trace = view.folded.traces.get(finding.kind, ())
    return tuple(TracePoint(point.at, point.log10_excess) for point in trace)


def _load_configs(incident: Incident, diagnosis: Diagnosis | None, world: World) -> EndpointConfigs:
    if diagnosis is None:
        return EndpointConfigs()
    kept = load_configs(incident.incident_id, world)
    final = {"EndpointConfigName": diagnosis.original_config} if diagnosis.restored_at else None
    return EndpointConfigs(original=kept.get("original"), hooked=kept.get("hooked"), final=final)


def _list_told(entries: Iterable[Entry]) -> Iterator[Told]:
    for entry in entries:
        if entry.what == "alert_sent":
            receiver, _, channel = str(entry.data["receiver"]).rpartition("/")
            yield Told(entry.at, receiver, channel, str(entry.data["kind"]), entry.reason)


def _list_page_links(links: Links, index: str) -> Iterator[PageLink]:
    for label, url, note in (
        ("This page in the S3 console", links.page, "works after sign-in"),
        ("All incidents", index, "in the S3 console, works after sign-in"),
        ("Dashboard", links.dashboard, ""),
        ("Metrics", links.metrics, "CloudWatch, namespace Sagewatch"),
    ):
        if url is not None:
            yield PageLink(label, url, note)


def _as_json(finding: Finding) -> Any:
    return msgspec.to_builtins(finding)
