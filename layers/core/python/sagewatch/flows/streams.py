"""A stream as its detectors see it now: the checkpoint, the segments since, folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from sagewatch import monitors
from sagewatch.capture import Segment
from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.checkpoint import Checkpoint
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.detector import AnyDetector
from sagewatch.detect.fixed_share import FixedShare, FixedShareConfig
from sagewatch.detect.no_data import NoData, NoDataConfig
from sagewatch.detect.rejected import Rejected, RejectedConfig
from sagewatch.detect.stream import StreamFold, Told, fold_stream
from sagewatch.finding import Stream
from sagewatch.monitors import Detectors
from sagewatch.world import Folds, World

C = TypeVar("C")

LATENESS = timedelta(minutes=15)
"""How late a capture file may come and still be folded in its place (files take up to 4 minutes)."""

FOLDED_AT_ONCE = 1_000_000
"""Predictions of before the last ``LATENESS`` that one look folds at most: the next goes on where they are settled."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a stream's detectors say now, and the checkpoint that is to be saved.

    Attributes
    ----------
    checkpoint
        Where the detectors stand now; None where they rest in memory.
    version
        Of the checkpoint that the fold started from.
    """

    folded: Told
    checkpoint: Checkpoint | None
    before: Checkpoint | None
    version: int

    @property
    def moved(self) -> bool:
        """Whether the checkpoint is another one now."""
        return self.checkpoint is not None and self.checkpoint != self.before


def view_stream(stream: Stream, world: World, *, settles: bool = False, behind: bool = False) -> View | None:
    """Fold the stream as far as its captures go; None where its endpoint is not watched.

    Parameters
    ----------
    settles
        Move the checkpoint behind segments of before ``LATENESS``; else only look.
    behind
        Captures wait to be counted: the latest that is counted tells the time. None where none is left to tell it.
    """
    watched = world.monitors.endpoints.get(stream.endpoint)
    if watched is None:
        return None
    if world.folds is not None:
        return _view_kept(stream, watched, world.folds, world, settles=settles)
    checkpoint, version = world.state.load_checkpoint(stream)
    segments = world.state.load_segments(stream, checkpoint.since if checkpoint else None)
    if behind and not segments:
        return None
    now, settled = read_times(segments, world.now(), rehearsal=bool(world.replay))
    first, more = take_first(segments, checkpoint.since if checkpoint else None, now - LATENESS)
    more = more or behind
    folded = fold_stream(
        build_detectors(watched.detectors, tuple(watched.capture.classes)),
        checkpoint,
        first,
        stream=stream,
        place=world.find_place(stream.endpoint),
        settle_before=settled if settles else None,
        # By the clock the stream would be silent since the last of them.
        now=first[-1].lasted_until if more else now,
        more=more,
    )
    return View(folded=folded, checkpoint=folded.checkpoint, before=checkpoint, version=version)


def _view_kept(
    stream: Stream, watched: monitors.Endpoint, folds: Folds, world: World, *, settles: bool
) -> View:
    """The same from detectors that stay at work in this process: each segment is folded once."""
    fold = folds.get(stream)
    if fold is None:
        detectors = build_detectors(watched.detectors, tuple(watched.capture.classes))
        place = world.find_place(stream.endpoint)
        fold = folds[stream] = StreamFold(detectors, None, stream=stream, place=place)
    segments = world.state.load_segments(stream, fold.since)
    now, settled = read_times(segments, world.now(), rehearsal=bool(world.replay))
    first, more = take_first(segments, fold.since, now - LATENESS)
    told = fold.take_in(
        first,
        settle_before=settled if settles else None,
        now=first[-1].lasted_until if more else now,
        more=more,
    )
    if settles:
        fold.announce(told)
    return View(folded=told, checkpoint=None, before=None, version=0)


def take_first(
    segments: Sequence[Segment], since: datetime | None, before: datetime
) -> tuple[Sequence[Segment], bool]:
    """Of those that begin before a time no more than are folded at once, or all; and whether any were left out.

    Those of one time stay together: else none of them would ever be settled, and the next look began with them again.
    """
    predictions = 0
    for number, segment in enumerate(segments):
        if segment.first_at >= before:
            break
        if predictions >= FOLDED_AT_ONCE and segment.first_at > segments[number - 1].first_at:
            return segments[:number], True
        # The one at the watermark is folded already.
        if since is None or segment.first_at > since:
            predictions += segment.predictions
    return segments, False


def is_settled(segment: Segment, world: World) -> bool:
    """Whether the stream's detectors are past the place of a segment: what comes there now is too late for them."""
    if world.folds is not None:
        fold = world.folds.get(segment.stream)
        watermark = fold.watermark if fold else None
    else:
        checkpoint, _ = world.state.load_checkpoint(segment.stream)
        watermark = checkpoint.watermark if checkpoint else None
    return watermark is not None and segment.position < watermark


def read_times(segments: Sequence[Segment], now: datetime, *, rehearsal: bool) -> tuple[datetime, datetime]:
    """What time it is to a stream's detectors, and before when its captures are settled.

    The clock settles: what begins more than ``LATENESS`` ago, whatever came since. But after an outage captures come
    that are hours old, in any order: by the clock the first of them would settle what the others belong before, and the
    stream would be silent between any two. So for ``LATENESS`` after each of those the latest capture tells the time,
    and nothing is settled from the first on that was counted meanwhile. Then the clock has its say again: what stays
    unsettled through a pause would be lost where its row expires. In a rehearsal of an archive the latest capture tells
    the time throughout.
    """
    if not segments:
        return now, _floor(now - LATENESS)
    latest = min(now, max(one.last_at for one in segments))
    if rehearsal:
        return latest, _floor(latest - LATENESS)
    since = now - LATENESS
    recent = [one for one in segments if one.counted_at is not None and one.counted_at > since]
    if not any(one.counted_at - one.last_at > LATENESS for one in recent if one.counted_at is not None):
        return now, _floor(since)
    return latest, _floor(min(latest - LATENESS, *(one.first_at for one in recent)))


def _floor(at: datetime) -> datetime:
    # By whole minutes: so the checkpoint moves, and writers cross each other, once a minute and not with every file.
    return at.replace(second=0, microsecond=0)


def build_detectors(settings: Detectors, classes: tuple[str, ...]) -> list[AnyDetector]:
    """The detectors that monitors.yml asks for.

    Parameters
    ----------
    classes
        Classes known beforehand, seen or not.
    """
    return list(_iterate_detectors(settings, classes))


def _iterate_detectors(settings: Detectors, classes: tuple[str, ...]) -> Iterator[AnyDetector]:
    if settings.class_concentration is not None:
        yield _build_class_concentration(settings.class_concentration, classes)
    if settings.fixed_share is not None:
        yield FixedShare(_adopt(FixedShareConfig, settings.fixed_share))
    if settings.confidence is not None:
        yield _build_confidence(settings.confidence)
    if settings.rejected is not None:
        yield Rejected(_adopt(RejectedConfig, settings.rejected))
    if settings.no_data is not None:
        yield NoData(_adopt(NoDataConfig, settings.no_data))


def _build_class_concentration(
    settings: monitors.ClassConcentration, classes: tuple[str, ...]
) -> ClassConcentration:
    counts = settings.baseline.counts
    config = ClassConcentrationConfig(
        one_false_alarm_in=settings.one_false_alarm_in,
        learn_from=settings.baseline.learn_from or sum(counts.values()),
        baseline=ClassCounts(counts=counts) if counts else None,
        classes=classes,
        clear_after=settings.clear_after,
        staged=settings.staged,
    )
    return ClassConcentration(config)


def _build_confidence(settings: monitors.Confidence) -> Confidence:
    config = ConfidenceConfig(
        one_false_alarm_in=settings.one_false_alarm_in,
        learn_from=settings.baseline.learn_from or 1000,
        staged=settings.staged,
    )
    return Confidence(config)


def _adopt(config: type[C], settings: msgspec.Struct) -> C:
    """A detector's configuration from settings that have the same fields."""
    return config(**{name: getattr(settings, name) for name in settings.__struct_fields__})
