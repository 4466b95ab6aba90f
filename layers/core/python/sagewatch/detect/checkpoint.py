"""A stream's detectors at rest: their states at a watermark, packed, and what was open and told of there."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

import msgspec

from sagewatch.detect.detector import AnyDetector
from sagewatch.finding import Finding

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


def load_state(detector: AnyDetector, record: DetectorRecord | None) -> Any:
    """The detector's state; a fresh one where nothing was kept, what it learned where it was configured anew."""
    if record is None:
        return detector.start()
    try:
        state = msgspec.msgpack.decode(zlib.decompress(record.state), type=detector.state_type)
    except (ValueError, zlib.error):
        # A state of a version that had other fields: nothing of it can be kept.
        return detector.start()
    same = (record.version, record.config_hash) == (detector.version, detector.config_hash)
    return state if same else detector.adopt(state)


def save_state(detector: AnyDetector, state: Any) -> DetectorRecord:
    """The state packed, with who wrote it."""
    blob = zlib.compress(msgspec.msgpack.encode(state))
    return DetectorRecord(detector.version, detector.config_hash, blob)


def shorten(finding: Finding) -> Finding:
    """Enough of a finding to clear it."""
    return msgspec.structs.replace(finding, samples=(), counts={}, expected_shares={})
