"""A capture file becomes a segment, once; then its stream's detectors say what they see.

The segment is written before anything else: being there means counted. Findings are published before they
are marked as told, and the checkpoint comes last, so a crash at any point repeats and never skips.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from sagewatch.capture import CaptureLocation, Readout, Segment, parse_key, read_capture
from sagewatch.detect.no_data import NoData
from sagewatch.detect.stream import Told
from sagewatch.errors import RejectedInputError
from sagewatch.events import CaptureLanded, CaptureRejected, Fact, FindingReported
from sagewatch.finding import Finding, Stream
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.follow_up import FollowUp
from sagewatch.flows.streams import LATENESS, View, is_settled, view_stream
from sagewatch.flows.uncounted import is_waiting
from sagewatch.observability import get_logger
from sagewatch.world import World

TOP_CLASSES = 5  # every set of dimensions costs money: only the most frequent classes get a metric


def ingest_capture(fact: Fact, world: World) -> FollowUp | None:
    """Count one capture object, exactly once; its stream is then to be judged, once for a batch of objects."""
    if not isinstance(fact, CaptureLanded):
        return None
    location = _locate(fact, world)
    if location is None:
        return None
    readout = _read(fact, location, world)
    if readout is None:
        return None
    # Before it counts: what comes after that a crash in between would skip, for a file that counts is done with.
    world.state.note_stream(location.stream)
    _quarantine(readout, world)
    is_new = world.state.put_segment(readout.segment, world.now())
    if is_new:
        _measure(readout.segment, world)
        _notice_late(readout.segment, world)
    get_logger().info(
        "capture_counted" if is_new else "capture_known",
        endpoint=location.stream.endpoint,
        variant=location.stream.variant,
        count=readout.segment.predictions,
        rejected_count=readout.segment.rejected,
    )
    return FollowUp(location.stream, lambda: retry_conflicts(lambda: evaluate_stream(location.stream, world)))


def evaluate_stream(stream: Stream, world: World) -> None:
    """Fold the stream, publish what is new, move the checkpoint."""
    view = view_stream(stream, world, settles=True)
    if view is None:
        return
    fresh = _list_fresh(view.folded, world)
    if any(_is_new_silence(one, view) and is_waiting(stream, one.window.start, world) for one in fresh):
        view = view_stream(stream, world, settles=True, behind=True)
        if view is None:
            return
        fresh = _list_fresh(view.folded, world)
    if fresh:
        world.bus.publish([FindingReported(finding) for finding in fresh], world.now())
        for finding in fresh:
            world.state.mark_told(finding)
            get_logger().info(
                _name(finding),
                endpoint=stream.endpoint,
                variant=stream.variant,
                fingerprint=finding.fingerprint,
                kind=finding.kind,
                decision=finding.severity.value,
            )
    _measure_evidence(stream, view, world)
    if view.checkpoint is not None and view.moved:
        world.state.save_checkpoint(stream, view.checkpoint, view.version)


def _list_fresh(told: Told, world: World) -> list[Finding]:
    """What the bus has not heard: raisings and clearings, then how far it has come with what lasts."""
    fresh = [finding for finding in told.findings if not world.state.was_told(finding)]
    grown = [one for one in told.lasting if one.tellings and not world.state.was_told(one)]
    return [*fresh, *grown]


def _is_new_silence(finding: Finding, view: View) -> bool:
    """Whether it says for the first time that nothing comes: what was told before stays told until something does."""
    known = view.before.announced if view.before else {}
    return finding.kind == NoData.name and finding.cleared_at is None and finding.finding_id not in known


def _locate(fact: CaptureLanded, world: World) -> CaptureLocation | None:
    try:
        location = parse_key(fact.key, world.settings.capture_prefix, bucket=fact.bucket, etag=fact.etag)
    except RejectedInputError as error:
        get_logger().info("event_ignored", reason=error.reason, key=fact.key)
        return None
    stream = msgspec.structs.replace(
        location.stream, endpoint=world.name_endpoint(location.stream.endpoint, fact.place)
    )
    location = msgspec.structs.replace(location, stream=stream)
    if stream.endpoint not in world.monitors.endpoints:
        get_logger().debug("event_ignored", reason="endpoint_not_watched", endpoint=stream.endpoint)
        return None
    return location


def _read(fact: CaptureLanded, location: CaptureLocation, world: World) -> Readout | None:
    stream = world.objects.open_object(fact.bucket, fact.key)
    if stream is None:
        # Its retention is over, or somebody deleted it: nothing that waiting would mend.
        get_logger().warning("capture_is_gone", key=fact.key)
        return None
    spec = world.monitors.endpoints[location.stream.endpoint].capture.spec
    return read_capture(stream, location, spec)


def _quarantine(readout: Readout, world: World) -> None:
    """Keep and tell which lines could not be read and why; never what was in them."""
    if not readout.rejected:
        return
    segment = readout.segment
    rows = [
        {"object": f"s3://{segment.bucket}/{segment.key}", "line": row.line, "reason": row.reason}
        for row in readout.rejected
    ]
    report = {"rejected": segment.rejected, "reasons": segment.rejected_reasons, "lines": rows}
    key = f"quarantine/{segment.stream.endpoint}/{segment.key.rsplit('/', 1)[-1]}.json"
    body = json.dumps(report, indent=2).encode()
    bucket = world.settings.evidence_bucket
    world.objects.put_object(bucket, key, body, "application/json")
    place = world.find_place(segment.stream.endpoint)
    told = CaptureRejected(
        account=place.account,
        region=place.region,
        endpoint=segment.stream.endpoint,
        variant=segment.stream.variant,
        source=f"s3://{segment.bucket}/{segment.key}",
        report=f"s3://{bucket}/{key}",
        predictions=segment.predictions,
        rejected=segment.rejected,
        reasons=dict(segment.rejected_reasons),
    )
    world.bus.publish([told], world.now())
    get_logger().warning("lines_rejected", key=segment.key, rejected_count=segment.rejected)


def _measure(segment: Segment, world: World) -> None:
    """Counts for CloudWatch: all predictions, and the most frequent classes (the sample's dictionary)."""
    dimensions = {"Endpoint": segment.stream.endpoint, "Variant": segment.stream.variant}
    totals = {"Predictions": segment.predictions, "RejectedLines": segment.rejected, "Errors": segment.errors}
    world.metrics.put({name: float(value) for name, value in totals.items()}, "Count", **dimensions)
    for label, count in _list_most_frequent(segment):
        world.metrics.put({"PredictedClass": float(count)}, "Count", **dimensions, Class=label)


def _notice_late(segment: Segment, world: World) -> None:
    """Say that a file came when what it belongs before was settled: it counts, and no detector will see it."""
    if segment.first_at >= world.now() - LATENESS or not is_settled(segment, world):
        return
    stream = segment.stream
    world.metrics.put({"LateCaptures": 1.0}, "Count", Endpoint=stream.endpoint, Variant=stream.variant)
    get_logger().warning(
        "capture_too_late", endpoint=stream.endpoint, variant=stream.variant, count=segment.predictions
    )


def _list_most_frequent(segment: Segment) -> Iterable[tuple[str, int]]:
    counts = segment.count_labels().items()
    return sorted(counts, key=lambda entry: (-entry[1], entry[0]))[:TOP_CLASSES]


def _name(finding: Finding) -> str:
    if finding.cleared_at is not None:
        return "finding_cleared"
    return "finding_told_on" if finding.tellings else "finding_raised"


def _measure_evidence(stream: Stream, view: View, world: World) -> None:
    """The detectors' statistics, for the dashboard: 0 is the alarm."""
    for name, point in view.folded.latest.items():
        world.metrics.put(
            {"Log10Excess": point.log10_excess},
            "None",
            Endpoint=stream.endpoint,
            Variant=stream.variant,
            Detector=name,
        )
