"""Captured inputs for the page: those that made a finding, and clean ones of before to see beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from sagewatch.capture import Segment, pick_lines, read_record
from sagewatch.errors import RejectedInputError
from sagewatch.evidence.model import SampleInput
from sagewatch.evidence.redaction import WITHHELD, redact_text
from sagewatch.evidence.sensitive_names import EVERYTHING
from sagewatch.finding import SAMPLES_ON_PAGE, Finding, Sample
from sagewatch.observability import get_logger
from sagewatch.world import World

CLEAN_SHOWN = 6
MOST_BYTES = 2_000_000
"""Pictures of one group of inputs that a page embeds at most; of the others it says how large they are."""
CLEAN_FROM_WITHIN = timedelta(days=1)  # before the finding
_TEXT_SHOWN = 400
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class Predicted(msgspec.Struct, frozen=True):
    """A capture line and what the model answered to it."""

    sample: Sample
    label: str
    confidence: float | None


def load_suspicious(finding: Finding, segments: Iterable[Segment], world: World) -> tuple[SampleInput, ...]:
    """The inputs that the finding's samples point at.

    Parameters
    ----------
    segments
        What is kept of the finding's stream.
    """
    wanted = finding.samples[:SAMPLES_ON_PAGE]
    objects = {(sample.bucket, sample.key) for sample in wanted}
    held = (one for one in segments if (one.bucket, one.key) in objects)
    answers = {one.sample: one for segment in held for one in iterate_predictions(segment)}
    chosen = [answers.get(sample, Predicted(sample, finding.subject, None)) for sample in wanted]
    return tuple(load_inputs(chosen, world, get_sensitive(finding, world)))


def load_clean(finding: Finding, segments: Sequence[Segment], world: World) -> tuple[SampleInput, ...]:
    """Inputs of just before the finding, those that were called the same first.

    Parameters
    ----------
    segments
        What is kept of the finding's stream, in order of time.
    """
    before = [one for one in reversed(segments) if one.last_at < finding.window.start]
    same = islice(_iterate_called(before, finding.subject, same=True), CLEAN_SHOWN // 2)
    others = islice(_iterate_called(before, finding.subject, same=False), CLEAN_SHOWN)
    chosen = [*same, *others][:CLEAN_SHOWN]
    return tuple(load_inputs(chosen, world, get_sensitive(finding, world)))


def _iterate_called(segments: Iterable[Segment], label: str, *, same: bool) -> Iterator[Predicted]:
    """Predictions of a class, or of all others; made one by one, for two days of a busy endpoint are millions."""
    for segment in segments:
        called = segment.labels.index(label) if label in segment.labels else -1
        for position, index in enumerate(segment.indexes()):
            if (index == called) is same:
                yield _read_prediction(segment, position, index)


def iterate_predictions(segment: Segment) -> Iterator[Predicted]:
    """Every prediction of a segment with the line that it stands in."""
    for position, index in enumerate(segment.indexes()):
        yield _read_prediction(segment, position, index)


def _read_prediction(segment: Segment, position: int, index: int) -> Predicted:
    sample = Sample(segment.bucket, segment.key, segment.line(position))
    return Predicted(sample, segment.labels[index], segment.confidence(position))


def load_inputs(
    chosen: Sequence[Predicted], world: World, sensitive: tuple[str, ...] = ()
) -> Iterator[SampleInput]:
    """The captured inputs, each object read once, with pictures of ``MOST_BYTES`` together; those that cannot be read are left out and logged."""
    wanted: dict[tuple[str, str], dict[int, Predicted]] = {}
    for one in chosen:
        wanted.setdefault((one.sample.bucket, one.sample.key), {})[one.sample.line] = one
    left = MOST_BYTES
    for (bucket, key), lines in wanted.items():
        stream = world.objects.open_object(bucket, key)
        if stream is None:
            get_logger().info("sample_is_gone", key=key)
            continue
        for number, line in pick_lines(stream, lines.keys()):
            try:
                record = read_record(line, where=key)
            except RejectedInputError as error:
                get_logger().info("sample_unreadable", key=key, line=number, reason=error.reason)
                continue
            content = record.input.content if record.input else b""
            where = f"s3://{bucket}/{key} line {number}"
            built = _build_input(content, lines[number], where, sensitive, left)
            left -= len(built.picture or b"")
            yield built


def get_sensitive(finding: Finding, world: World) -> tuple[str, ...]:
    """Fields that nobody is shown, by the endpoint's owner, now or when a page about such inputs was written.

    What was withheld once stays so when a name is taken out of monitors.yml; of an endpoint that left it
    everything is withheld, for nobody is there to say what may be shown.
    """
    return list_sensitive(finding.endpoint, finding.window.start, world)


def list_sensitive(endpoint: str, start: datetime, world: World) -> tuple[str, ...]:
    """Fields of an endpoint that nobody is shown of what happened since ``start``, as ``get_sensitive`` has it."""
    since = start - CLEAN_FROM_WITHIN
    kept = {name for name, until in world.state.load_sensitive(endpoint).items() if since <= until}
    watched = world.monitors.endpoints.get(endpoint)
    return tuple(sorted(kept.union(watched.sensitive if watched else (EVERYTHING,))))


def remember_sensitive(finding: Finding, now: datetime, world: World) -> None:
    """Keep that these fields are sensitive now, before anything is shown without them."""
    named = get_sensitive(finding, world)
    if named:
        known = world.state.load_sensitive(finding.endpoint)
        world.state.save_sensitive(finding.endpoint, known | dict.fromkeys(named, now))


def _build_input(
    content: bytes, answer: Predicted, where: str, sensitive: tuple[str, ...], left: int
) -> SampleInput:
    plain = SampleInput(label=answer.label, confidence=answer.confidence, where=where)
    for magic, media_type in _PICTURES.items():
        if content.startswith(magic):
            if sensitive:
                return msgspec.structs.replace(plain, text=WITHHELD)
            if len(content) > left:
                return msgspec.structs.replace(
                    plain, text=f"a picture of {len(content):,} bytes, not shown here"
                )
            return msgspec.structs.replace(plain, picture=content, media_type=media_type)
    try:
        # Redacted before it is cut: a cut JSON has no names.
        text = redact_text(content.decode(), sensitive)[:_TEXT_SHOWN]
    except UnicodeDecodeError:
        text = f"{len(content):,} bytes, not text"
    return msgspec.structs.replace(plain, text=text)
