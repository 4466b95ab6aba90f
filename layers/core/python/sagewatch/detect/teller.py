"""What detectors say of episodes, as findings: how far a fold has come, and what it has found there.

A finding's id is made of its fingerprint, the UTC day of its onset and its number on that day. Not of the exact
onset: a late file may shift that by some predictions, and the same episode must keep its id, or its incident
would never see it cleared. Not of the number alone: an episode that a late file undid must not lend its id to
the next real one, which would then be taken for settled. And of the change of monitors.yml since which the detector
judges: what a change ended as no longer judged is told anew where the next one has it judged again. What was open for
good, and had been told of, keeps its id through every change (``Teller.list_older``).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

from sagewatch.capture import Segment
from sagewatch.detect.checkpoint import DetectorRecord, Position, name_episode
from sagewatch.detect.detector import AnyDetector, Change, Cleared, Episode, Raised
from sagewatch.finding import DetectorRef, Finding, Stream, build_content_key, build_fingerprint
from sagewatch.place import Place


class Tip:
    """How far a fold has come."""

    def __init__(
        self,
        watermark: Position | None,
        states: dict[str, Any],
        older: dict[str, dict[str, int]],
        open_findings: dict[str, Finding],
        findings: list[Finding],
    ) -> None:
        self.watermark = watermark
        self.states = states
        self.older = older
        self.open = open_findings
        self.findings = findings

    def go_on(self) -> Tip:
        """A fold that goes on from here, with nothing found yet."""
        return Tip(self.watermark, dict(self.states), dict(self.older), dict(self.open), [])


class Teller:
    """Turns what detectors say of episodes into findings."""

    def __init__(
        self, detectors: Sequence[AnyDetector], stream: Stream, place: Place, begun: Mapping[str, int]
    ) -> None:
        self._detectors = detectors
        self._begun = begun
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

    def list_older(
        self, detector: AnyDetector, record: DetectorRecord | None, state: Any, announced: Container[str]
    ) -> dict[str, int]:
        """The open episodes that began before the detector did, and by which change each goes on being told.

        Where the detector was set anew, those that are open for good and that the world knows to be open. No other: what
        was raised since is told as no longer judged, what was cleared since is known as over. By its old id neither
        would be told again.
        """
        if record is None:
            return {}
        known = {
            name_episode(one): (record.older.get(name_episode(one), record.begun), one)
            for one in detector.list_open(state)
        }
        begun = self._begun[detector.name]
        return {
            name: since
            for name, (since, one) in known.items()
            if since != begun
            and (record.is_of(detector) or self._identify(detector, one, since) in announced)
        }

    def list_open(self, tip: Tip) -> tuple[Finding, ...]:
        """What is open now."""
        return tuple(
            self._build(tip, detector, episode, None)
            for detector in self._detectors
            for episode in detector.list_open(tip.states[detector.name])
        )

    def _note(self, tip: Tip, detector: AnyDetector, change: Change) -> None:
        cleared_at = change.at if isinstance(change, Cleared) else None
        finding = self._build(tip, detector, change.episode, cleared_at)
        tip.findings.append(finding)
        if isinstance(change, Raised):
            tip.open[finding.finding_id] = finding
        else:
            tip.open.pop(finding.finding_id, None)
            ended = name_episode(change.episode)
            older = tip.older[detector.name]
            tip.older[detector.name] = {name: since for name, since in older.items() if name != ended}

    def _build(
        self, tip: Tip, detector: AnyDetector, episode: Episode, cleared_at: datetime | None
    ) -> Finding:
        since = tip.older[detector.name].get(name_episode(episode), self._begun[detector.name])
        return Finding(
            finding_id=self._identify(detector, episode, since),
            fingerprint=build_fingerprint(self._stream, detector.name, episode.subject),
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

    def _identify(self, detector: AnyDetector, episode: Episode, since: int) -> str:
        """The id of an episode that is judged since that change."""
        fingerprint = build_fingerprint(self._stream, detector.name, episode.subject)
        day = episode.onset_at.date().isoformat()
        return build_content_key(
            fingerprint, day, str(episode.number), *([f"change {since}"] if since else [])
        )
