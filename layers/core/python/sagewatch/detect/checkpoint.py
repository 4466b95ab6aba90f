"""A stream's detectors at rest: their states at a watermark, packed, and what was open and told of there."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from sagewatch.detect.detector import AnyDetector, Episode
from sagewatch.finding import Finding

Position = tuple[datetime, str, int]


class DetectorRecord(msgspec.Struct, frozen=True):
    """A detector's state at rest, and who wrote it.

    Attributes
    ----------
    begun
        At which change of the stream's detectors it began, set as it is; 0 where it has been so from the start.
    older
        At which change it had begun by which an open episode was raised that it took over, by the episode's name.
    """

    version: str
    config_hash: str
    state: bytes
    begun: int = 0
    older: dict[str, int] = {}

    def is_of(self, detector: AnyDetector) -> bool:
        """Whether the detector, set as it is now, wrote it."""
        return (self.version, self.config_hash) == (detector.version, detector.config_hash)


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
    changes
        How often other detectors were asked for, or the same ones set otherwise.
    """

    watermark: Position | None = None
    detectors: dict[str, DetectorRecord] = {}
    open: dict[str, Finding] = {}
    announced: dict[str, Finding] = {}
    changes: int = 0

    @property
    def since(self) -> datetime | None:
        """Segments that begin before this are folded for good."""
        return self.watermark[0] if self.watermark else None


def load_state(detector: AnyDetector, record: DetectorRecord | None) -> Any:
    """The detector's state; a fresh one where nothing was kept, what it learned where it was configured anew."""
    if record is None:
        return detector.start()
    try:
        state = msgspec.msgpack.decode(zlib.decompress(record.state), type=detector.state_type)
    except (ValueError, zlib.error):
        # A state of a version that had other fields: nothing of it can be kept.
        return detector.start()
    return state if record.is_of(detector) else detector.adopt(state)


def count_changes(detectors: Sequence[AnyDetector], checkpoint: Checkpoint | None) -> int:
    """How often a stream's detectors have been changed, with these."""
    if checkpoint is None:
        return 0
    records = checkpoint.detectors
    same = records.keys() == {each.name for each in detectors} and all(
        records[each.name].is_of(each) for each in detectors
    )
    return checkpoint.changes + (not same)


def find_beginning(detector: AnyDetector, record: DetectorRecord | None, changes: int) -> int:
    """At which change the detector began: now, where it was set anew."""
    return record.begun if record is not None and record.is_of(detector) else changes


def name_episode(episode: Episode) -> str:
    """What tells an episode from the detector's others; a late file may shift its onset, but hardly its day."""
    return f"{episode.onset_at.date().isoformat()} {episode.number} {episode.subject}"


def save_state(detector: AnyDetector, state: Any, begun: int, older: dict[str, int]) -> DetectorRecord:
    """The state packed, with who wrote it."""
    blob = zlib.compress(msgspec.msgpack.encode(state))
    return DetectorRecord(detector.version, detector.config_hash, blob, begun, older)


def shorten(finding: Finding) -> Finding:
    """Enough of a finding to clear it."""
    return msgspec.structs.replace(finding, samples=(), counts={}, expected_shares={})
