"""What detectors say of episodes, as findings: how far a fold has come, and what it has found there.

A finding's id is made of its fingerprint, the UTC day of its onset and its number on that day. Not of the exact
onset: a late file may shift that by some predictions, and the same episode must keep its id, or its incident
would never see it cleared. Not of the number alone: an episode that a late file undid must not lend its id to
the next real one, which would then be taken for settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sagewatch.capture import Segment
from sagewatch.detect.checkpoint import Position
from sagewatch.detect.detector import AnyDetector, Change, Cleared, Episode, Raised
from sagewatch.finding import DetectorRef, Finding, Stream, build_content_key, build_fingerprint
from sagewatch.place import Place


class Tip:
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

    def go_on(self) -> Tip:
        """A fold that goes on from here, with nothing found yet."""
        return Tip(self.watermark, dict(self.states), dict(self.open), [])


class Teller:
    """Turns what detectors say of episodes into findings."""

    def __init__(self, detectors: Sequence[AnyDetector], stream: Stream, place: Place) -> None:
        self._detectors = detectors
        self._stream = stream
        self._place = place

    def fold(self, tip: Tip, segment: Segment) -> None:
        """Give a segment to every detector."""
        for detector in self._detectors:
            tip.states[detector.name], changes = detector.fold(tip.states[detector.name], segment)
            for change in changes:
                self._note(tip, detector, change)
        tip.watermark = segment.position

    def close(self, tip: Tip, now: datetime) -> None:
        """Ask every detector what the clock says."""
        for detector in self._detectors:
            tip.states[detector.name], changes = detector.close(tip.states[detector.name], now)
            for change in changes:
                self._note(tip, detector, change)

    def list_open(self, tip: Tip) -> tuple[Finding, ...]:
        """What is open now."""
        return tuple(
            self._build(detector, episode, None)
            for detector in self._detectors
            for episode in detector.list_open(tip.states[detector.name])
        )

    def _note(self, tip: Tip, detector: AnyDetector, change: Change) -> None:
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
