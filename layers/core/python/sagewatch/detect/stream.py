"""All detectors of one stream over its segments: from a checkpoint to findings raised and cleared.

Files arrive late, twice and in any order. So the checkpoint stands still some minutes behind, the segments since
then are kept, and each time a file arrives they are all folded again, in the order of their times. What was
announced and is no longer found (a late file explained it away) is cleared.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from operator import attrgetter

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.checkpoint import (
    Checkpoint,
    Position,
    count_changes,
    find_beginning,
    load_state,
    save_state,
    shorten,
)
from sagewatch.detect.detector import AnyDetector
from sagewatch.detect.teller import Teller, Tip
from sagewatch.detect.trace import TracePoint, read_last
from sagewatch.finding import DetectorRef, Finding, Stream
from sagewatch.place import Place


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a fold has to say.

    Attributes
    ----------
    findings
        Raised and cleared since the old checkpoint, in order; most have been published by earlier folds.
    open
        Findings that are open now, with all evidence so far.
    late
        Segments from before the old checkpoint: too late to count.
    """

    findings: tuple[Finding, ...]
    open: tuple[Finding, ...]
    late: tuple[Segment, ...]
    _detectors: Sequence[AnyDetector] = field(compare=False, repr=False)
    _end: Tip = field(compare=False, repr=False)
    _ahead: dict[str, Finding] = field(compare=False, repr=False)

    @property
    def lasting(self) -> tuple[Finding, ...]:
        """Findings that are open now with all evidence so far, each as severe as it was last raised.

        Between two alarms a detector's effect may touch the next severity by chance; that alone is no news.
        """
        raised = self._end.open
        return tuple(
            msgspec.structs.replace(one, severity=raised[one.finding_id].severity)
            for one in self.open
            if one.finding_id in raised
        )

    @property
    def traces(self) -> dict[str, tuple[TracePoint, ...]]:
        """By detector: how its statistic went."""
        return {each.name: each.list_trace(self._end.states[each.name]) for each in self._detectors}

    @property
    def latest(self) -> dict[str, TracePoint]:
        """By detector that has a trace: where its statistic stands."""
        points = {each.name: read_last(self._end.states[each.name]) for each in self._detectors}
        return {name: point for name, point in points.items() if point is not None}


@dataclass(frozen=True, kw_only=True)
class Folded(Told):
    """What a fold from a checkpoint has to say, and the checkpoint to keep after the findings are published."""

    checkpoint: Checkpoint


def fold_stream(
    detectors: Sequence[AnyDetector],
    checkpoint: Checkpoint | None,
    segments: Iterable[Segment],
    *,
    stream: Stream,
    place: Place,
    settle_before: datetime | None = None,
    now: datetime | None = None,
    more: bool = False,
) -> Folded:
    """Fold a stream's segments from its checkpoint on.

    Parameters
    ----------
    detectors
        Configured; one whose configuration or version changed starts anew and keeps what it learned.
    checkpoint
        None at the very start.
    segments
        Those since the checkpoint, in any order; the same one twice counts once.
    settle_before
        Segments that begin before this will not be folded again: the new checkpoint stands behind them.
        None leaves the checkpoint where it was.
    now
        Let the clock speak too: hours that are over, silence. None asks for captures only.
    more
        Later segments were left out: what was found in them is not gone.
    """
    fold = StreamFold(detectors, checkpoint, stream=stream, place=place, remembers=False)
    told = fold.take_in(segments, settle_before=settle_before, now=now, more=more)
    fold.announce(told)
    return Folded(
        findings=told.findings,
        open=told.open,
        late=told.late,
        _detectors=detectors,
        _end=told._end,  # noqa: SLF001 (its own)
        _ahead=told._ahead,  # noqa: SLF001
        checkpoint=fold.rest(),
    )


class StreamFold:
    """A stream's detectors at work, from a checkpoint on.

    Parameters
    ----------
    remembers
        Keep the states after each segment that is not settled: the next call folds only what is new, or
        what comes after a late file. Costs some 20 KB a segment, so it is for replays, not for Lambda.
    """

    def __init__(
        self,
        detectors: Sequence[AnyDetector],
        checkpoint: Checkpoint | None,
        *,
        stream: Stream,
        place: Place,
        remembers: bool = True,
    ) -> None:
        base = checkpoint or Checkpoint()
        self._detectors = detectors
        self._remembers = remembers
        self._announced = base.announced
        states = {each.name: load_state(each, base.detectors.get(each.name)) for each in detectors}
        self._changes = count_changes(detectors, checkpoint)
        self._begun = {
            each.name: find_beginning(each, base.detectors.get(each.name), self._changes)
            for each in detectors
        }
        self._teller = Teller(detectors, stream, place, self._begun)
        older = {
            each.name: self._teller.list_older(
                each, base.detectors.get(each.name), states[each.name], base.announced
            )
            for each in detectors
        }
        self._settled = Tip(base.watermark, states, older, {}, [])
        # A detector that is gone, or started anew, knows nothing of what was open: then it vanishes.
        self._settled.open = {
            f.finding_id: base.open.get(f.finding_id, f) for f in self._teller.list_open(self._settled)
        }
        self._steps: list[tuple[Segment, Tip]] = []
        self._newcomers = [each for each in detectors if base.watermark and each.name not in base.detectors]

    @property
    def watermark(self) -> Position | None:
        """Position of the last segment that is folded for good."""
        return self._settled.watermark

    @property
    def since(self) -> datetime | None:
        """Segments that begin before this are folded for good."""
        return self._settled.watermark[0] if self._settled.watermark else None

    def take_in(
        self,
        segments: Iterable[Segment],
        *,
        settle_before: datetime | None = None,
        now: datetime | None = None,
        more: bool = False,
    ) -> Told:
        """Fold what is new among the segments since the watermark; parameters as in ``fold_stream``."""
        given = list(segments)
        self._let_newcomers_begin(given)
        order, late, known = self._place(given)
        del self._steps[known:]
        settling = bisect_left(order, settle_before, key=_get_begin) if settle_before is not None else 0
        findings = [finding for _, tip in self._steps for finding in tip.findings]
        if settled := min(settling, known):
            self._settled = self._steps[settled - 1][1]
            del self._steps[:settled]
        tip = self._steps[-1][1] if self._steps else self._settled
        for number, segment in enumerate(order[known:], known):
            tip = tip.go_on()
            self._teller.fold(tip, segment)
            findings += tip.findings
            if number < settling:
                self._settled = tip
            elif self._remembers:
                self._steps.append((segment, tip))
        end = tip.go_on()
        if now is not None:
            self._teller.close(end, now)
        findings += end.findings
        at = order[-1].last_at if order else now
        ahead = {
            name: one
            for name, one in self._announced.items()
            if more and at is not None and one.raised_at > at and name not in end.open
        }
        gone = self._clear_vanished(findings, end.open | ahead, at)
        return Told(
            findings=(*findings, *gone),
            open=self._teller.list_open(end),
            late=late,
            _detectors=self._detectors,
            _end=end,
            _ahead=ahead,
        )

    def announce(self, told: Told) -> None:
        """Remember what the world has been told is open: should it vanish, it must be cleared."""
        open_ = told._ahead | told._end.open  # noqa: SLF001 (its own)
        self._announced = {name: shorten(finding) for name, finding in open_.items()}

    def rest(self) -> Checkpoint:
        """The checkpoint to go on from."""
        settled = self._settled
        return Checkpoint(
            settled.watermark,
            {
                each.name: save_state(
                    each, settled.states[each.name], self._begun[each.name], settled.older[each.name]
                )
                for each in self._detectors
            },
            {name: shorten(finding) for name, finding in settled.open.items()},
            self._announced,
            self._changes,
        )

    def _let_newcomers_begin(self, given: Sequence[Segment]) -> None:
        """A detector that is new to a stream begins with the last segment that is known: a silence may be older than it."""
        newcomers, self._newcomers = self._newcomers, []
        known = [one for one in given if newcomers and one.position == self._settled.watermark]
        for each in newcomers if known else ():
            state, changes = each.fold(self._settled.states[each.name], known[0])
            if not changes:  # what lies behind is nobody's to tell
                self._settled.states[each.name] = state

    def _clear_vanished(
        self, found: Iterable[Finding], open_: dict[str, Finding], at: datetime | None
    ) -> list[Finding]:
        """Clearings of findings that the world was told of and that no fold finds any more.

        By a detector that is as it was then, the evidence is gone: a late file explained it, captures came again. By
        one that is gone, or was set anew, nothing is known of it.
        """
        told = {finding.finding_id for finding in found} | open_.keys()
        judges = {DetectorRef(each.name, each.version, each.config_hash) for each in self._detectors}
        return [
            msgspec.structs.replace(
                finding,
                cleared_at=max(at or finding.window.end, finding.window.end),
                no_longer_judged=finding.detector not in judges,
            )
            for name, finding in self._announced.items()
            if name not in told
        ]

    def _place(self, given: list[Segment]) -> tuple[list[Segment], tuple[Segment, ...], int]:
        """The segments after the watermark in order, those before it, and how many of the first are folded."""
        new = given[1:]
        # At most of the ticks nothing has come: the one at the watermark and, as they are, those after it.
        if (
            len(new) == len(self._steps)
            and given
            and given[0].position == self._settled.watermark
            and all(one is folded for one, (folded, _) in zip(new, self._steps, strict=True))
        ):
            return new, (), len(new)
        order, late = _sort_segments(given, self._settled.watermark)
        return order, late, self._find_known(order)

    def _find_known(self, order: Sequence[Segment]) -> int:
        """How many of the segments are folded already, in just this order."""
        known = 0
        for segment, (folded, _) in zip(order, self._steps, strict=False):
            if segment is not folded and segment.identity != folded.identity:
                break
            known += 1
        return known


_get_begin = attrgetter("first_at")


def _sort_segments(
    segments: Iterable[Segment], watermark: Position | None
) -> tuple[list[Segment], tuple[Segment, ...]]:
    """Segments after the watermark in order, each once; and those before it."""
    order = list(segments)
    places = [segment.position for segment in order]
    # Mostly they come in order, for that is how they are kept.
    if not all(before < after for before, after in pairwise(places)):
        distinct = {segment.identity: segment for segment in order}
        order = sorted(distinct.values(), key=lambda segment: (segment.position, segment.identity))
        places = [segment.position for segment in order]
    if watermark is None:
        return order, ()
    # The one at the watermark itself is asked for again by whoever loads by time: it is known, not late.
    return order[bisect_right(places, watermark) :], tuple(order[: bisect_left(places, watermark)])
