"""All detectors of one stream over its segments: from a checkpoint to findings raised and cleared.

Files arrive late, twice and in any order. So the checkpoint stands still some minutes behind, the segments since
then are kept, and each time a file arrives they are all folded again, in the order of their times. What was
announced and is no longer found (a late file explained it away) is cleared.

A finding's id is made of its fingerprint, the UTC day of its onset and its number on that day. Not of the exact
onset: a late file may shift that by some predictions, and the same episode must keep its id, or its incident
would never see it cleared. Not of the number alone: an episode that a late file undid must not lend its id to
the next real one, which would then be taken for settled.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import Change, Cleared, Detector, Episode, Raised
from sagewatch.detect.trace import TracePoint, read_last
from sagewatch.finding import DetectorRef, Finding, Stream, build_content_key, build_fingerprint
from sagewatch.place import Place

Position = tuple[datetime, str, int]


class DetectorRecord(msgspec.Struct, frozen=True):
    """A detector's state at rest, and who wrote it."""

    version: str
    config_hash: str
    state: bytes


class Checkpoint(msgspec.Struct, frozen=True):
    """Where a stream's detectors stand.

    Attributes
    ----------
    watermark
        Position of the last segment that is folded for good.
    detectors
        Their states there, by name.
    open
        Findings that are open there, by id.
    announced
        Findings that were open at the end of the last fold, by id: the world has been told of them.
    """

    watermark: Position | None = None
    detectors: dict[str, DetectorRecord] = {}
    open: dict[str, Finding] = {}
    announced: dict[str, Finding] = {}

    @property
    def since(self) -> datetime | None:
        """Segments that begin before this are folded for good."""
        return self.watermark[0] if self.watermark else None


AnyDetector = Detector[Any]


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
    _end: _Tip = field(compare=False, repr=False)

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
    """
    fold = StreamFold(detectors, checkpoint, stream=stream, place=place, remembers=False)
    told = fold.take_in(segments, settle_before=settle_before, now=now)
    fold.announce(told)
    return Folded(
        findings=told.findings,
        open=told.open,
        late=told.late,
        _detectors=detectors,
        _end=told._end,  # noqa: SLF001 (its own)
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
        self._teller = _Teller(detectors, stream, place)
        self._remembers = remembers
        self._announced = base.announced
        states = {each.name: _load_state(each, base.detectors.get(each.name)) for each in detectors}
        self._settled = _Tip(base.watermark, states, {}, [])
        # A detector that is gone, or started anew, knows nothing of what was open: then it vanishes.
        self._settled.open = {
            f.finding_id: base.open.get(f.finding_id, f) for f in self._teller.list_open(self._settled)
        }
        self._steps: list[tuple[tuple[str, str, str, int], _Tip]] = []

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
    ) -> Told:
        """Fold what is new among the segments since the watermark; parameters as in ``fold_stream``."""
        order, late = _sort_segments(segments, self._settled.watermark)
        known = self._find_known(order)
        del self._steps[known:]
        settling = sum(settle_before is not None and one.first_at < settle_before for one in order)
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
                self._steps.append((segment.identity, tip))
        end = tip.go_on()
        if now is not None:
            self._teller.close(end, now)
        findings += end.findings
        gone = _clear_vanished(self._announced, findings, end.open, order[-1].last_at if order else now)
        return Told(
            findings=(*findings, *gone),
            open=self._teller.list_open(end),
            late=late,
            _detectors=self._detectors,
            _end=end,
        )

    def announce(self, told: Told) -> None:
        """Remember what the world has been told is open: should it vanish, it must be cleared."""
        self._announced = {name: _shorten(finding) for name, finding in told._end.open.items()}  # noqa: SLF001

    def rest(self) -> Checkpoint:
        """The checkpoint to go on from."""
        settled = self._settled
        return Checkpoint(
            settled.watermark,
            {each.name: _save_state(each, settled.states[each.name]) for each in self._detectors},
            {name: _shorten(finding) for name, finding in settled.open.items()},
            self._announced,
        )

    def _find_known(self, order: Sequence[Segment]) -> int:
        """How many of the segments are folded already, in just this order."""
        known = 0
        for segment, (identity, _) in zip(order, self._steps, strict=False):
            if segment.identity != identity:
                break
            known += 1
        return known


class _Tip:
    """How far a fold has come."""

    def __init__(
        self,
        watermark: Position | None,
        states: dict[str, Any],
        open_findings: dict[str, Finding],
        findings: list[Finding],
    ) -> None:
        self.watermark = watermark
        self.states = states
        self.open = open_findings
        self.findings = findings

    def go_on(self) -> _Tip:
        """A fold that goes on from here, with nothing found yet."""
        return _Tip(self.watermark, dict(self.states), dict(self.open), [])


class _Teller:
    """Turns what detectors say of episodes into findings."""

    def __init__(self, detectors: Sequence[AnyDetector], stream: Stream, place: Place) -> None:
        self._detectors = detectors
        self._stream = stream
        self._place = place

    def fold(self, tip: _Tip, segment: Segment) -> None:
        """Give a segment to every detector."""
        for detector in self._detectors:
            tip.states[detector.name], changes = detector.fold(tip.states[detector.name], segment)
            for change in changes:
                self._note(tip, detector, change)
        tip.watermark = segment.position

    def close(self, tip: _Tip, now: datetime) -> None:
        """Ask every detector what the clock says."""
        for detector in self._detectors:
            tip.states[detector.name], changes = detector.close(tip.states[detector.name], now)
            for change in changes:
                self._note(tip, detector, change)

    def list_open(self, tip: _Tip) -> tuple[Finding, ...]:
        """What is open now."""
        return tuple(
            self._build(detector, episode, None)
            for detector in self._detectors
            for episode in detector.list_open(tip.states[detector.name])
        )

    def _note(self, tip: _Tip, detector: AnyDetector, change: Change) -> None:
        finding = self._build(detector, change.episode, change.at if isinstance(change, Cleared) else None)
        tip.findings.append(finding)
        if isinstance(change, Raised):
            tip.open[finding.finding_id] = finding
        else:
            tip.open.pop(finding.finding_id, None)

    def _build(self, detector: AnyDetector, episode: Episode, cleared_at: datetime | None) -> Finding:
        fingerprint = build_fingerprint(self._stream, detector.name, episode.subject)
        day = episode.onset_at.date().isoformat()
        return Finding(
            finding_id=build_content_key(fingerprint, day, str(episode.number)),
            fingerprint=fingerprint,
            account=self._place.account,
            region=self._place.region,
            endpoint=self._stream.endpoint,
            variant=self._stream.variant,
            kind=detector.name,
            subject=episode.subject,
            severity=episode.severity,
            evidence=episode.evidence,
            window=episode.window,
            source=episode.source,
            detector=DetectorRef(detector.name, detector.version, detector.config_hash),
            raised_at=episode.raised_at,
            samples=episode.samples,
            staged=detector.staged,
            cleared_at=cleared_at,
            counts=episode.counts,
            expected_shares=episode.expected_shares,
        )


def _sort_segments(
    segments: Iterable[Segment], watermark: Position | None
) -> tuple[list[Segment], tuple[Segment, ...]]:
    """Segments after the watermark in order, each once; and those before it."""
    distinct = {segment.identity: segment for segment in segments}
    order = sorted(distinct.values(), key=lambda segment: (segment.position, segment.identity))
    if watermark is None:
        return order, ()
    # The one at the watermark itself is asked for again by whoever loads by time: it is known, not late.
    late = tuple(segment for segment in order if segment.position < watermark)
    return [segment for segment in order if segment.position > watermark], late


def _clear_vanished(
    announced: dict[str, Finding], found: Iterable[Finding], open_: dict[str, Finding], at: datetime | None
) -> list[Finding]:
    """Clearings of findings that the world was told of and that no fold finds any more."""
    told = {finding.finding_id for finding in found} | open_.keys()
    return [
        msgspec.structs.replace(finding, cleared_at=max(at or finding.window.end, finding.window.end))
        for name, finding in announced.items()
        if name not in told
    ]


def _load_state(detector: AnyDetector, record: DetectorRecord | None) -> Any:
    if record is None:
        return detector.start()
    try:
        state = msgspec.msgpack.decode(zlib.decompress(record.state), type=detector.state_type)
    except (ValueError, zlib.error):
        # A state of a version that had other fields: nothing of it can be kept.
        return detector.start()
    same = (record.version, record.config_hash) == (detector.version, detector.config_hash)
    return state if same else detector.adopt(state)


def _save_state(detector: AnyDetector, state: Any) -> DetectorRecord:
    blob = zlib.compress(msgspec.msgpack.encode(state))
    return DetectorRecord(detector.version, detector.config_hash, blob)


def _shorten(finding: Finding) -> Finding:
    """Enough of a finding to clear it."""
    return msgspec.structs.replace(finding, samples=(), counts={}, expected_shares={})
