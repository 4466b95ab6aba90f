"""A stream as its detectors see it now: the checkpoint, the segments since, folded."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.fixed_share import FixedShare, FixedShareConfig
from sagewatch.detect.stream import AnyDetector, Folded, fold_stream
from sagewatch.finding import Stream
from sagewatch.monitors import Detectors
from sagewatch.world import World

LATENESS = timedelta(minutes=15)
"""How late a capture file may come and still be folded in its place (files take up to 4 minutes)."""


class View(msgspec.Struct, frozen=True):
    """A fold, and the version of the checkpoint that it started from."""

    folded: Folded
    version: int


def view_stream(stream: Stream, world: World, settle_before: datetime | None = None) -> View | None:
    """Fold the stream as far as its captures go; None where its endpoint is not watched.

    Parameters
    ----------
    settle_before
        Move the checkpoint behind segments that begin before this; None only looks.
    """
    watched = world.monitors.endpoints.get(stream.endpoint)
    if watched is None:
        return None
    checkpoint, version = world.state.load_checkpoint(stream)
    segments = world.state.load_segments(stream, checkpoint.since if checkpoint else None)
    folded = fold_stream(
        build_detectors(watched.detectors, tuple(watched.capture.classes)),
        checkpoint,
        segments,
        stream=stream,
        place=world.place,
        settle_before=settle_before,
    )
    return View(folded, version)


def build_detectors(settings: Detectors, classes: tuple[str, ...]) -> list[AnyDetector]:
    """The detectors that monitors.yml asks for."""
    detectors: list[AnyDetector] = []
    if settings.class_concentration is not None:
        concentration = settings.class_concentration
        counts = concentration.baseline.counts
        detectors.append(
            ClassConcentration(
                ClassConcentrationConfig(
                    one_false_alarm_in=concentration.one_false_alarm_in,
                    learn_from=concentration.baseline.learn_from or sum(counts.values()),
                    baseline=ClassCounts(counts=counts) if counts else None,
                    classes=classes,
                    clear_after=concentration.clear_after,
                    staged=concentration.staged,
                )
            )
        )
    if settings.fixed_share is not None:
        fixed = settings.fixed_share
        detectors.append(
            FixedShare(FixedShareConfig(threshold=fixed.threshold, per=fixed.per, staged=fixed.staged))
        )
    return detectors
