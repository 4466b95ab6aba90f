"""The part of monitors.yml that says what an endpoint is watched for: its detectors, typed and read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.datapoints import Datapoints, read_m_of_n
from sagewatch.section import (
    Section,
    read_duration,
    read_optional,
    read_positive,
    read_share,
    read_switch,
    read_text,
)

LEAST_BETWEEN_FALSE_ALARMS: Final = 10
"""The evidence of a class that never comes rises to 9.9, the mean of its fixed points (``detect.mixture``)."""

MOST_BETWEEN_FALSE_ALARMS: Final = 10**15


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Where a detector's idea of normal comes from.

    Attributes
    ----------
    learn_from
        Learn from the first so many predictions; 0 where ``counts`` are given.
    counts
        Predictions by class, from a file.
    """

    learn_from: int = 1000
    counts: dict[str, int] = {}


class ClassConcentration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the e-SR detector; ``clear_after`` clean predictions end an episode (None: by its own delay)."""

    one_false_alarm_in: int = 1_000_000
    baseline: Baseline = Baseline()
    clear_after: int | None = None
    staged: bool = False


class FixedShare(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the notebook's rule: one class above ``threshold`` of a batch of predictions.

    Attributes
    ----------
    per
        The batch: a stretch of the clock, or so many predictions.
    patience
        How many batches must be bad before it is told, and good before it is over.
    clear_below
        While it is told, a batch is good only below this share.
    """

    threshold: float = 0.5
    per: timedelta | int = timedelta(hours=1)
    staged: bool = True
    patience: Datapoints = Datapoints()
    clear_below: float | None = None


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the detector of a fallen mean confidence."""

    one_false_alarm_in: int = 1_000_000
    baseline: Baseline = Baseline()
    staged: bool = False


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the detector of unreadable records."""

    one_false_alarm_in: int = 1_000_000
    staged: bool = False


class NoData(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the watch for silence; ``after`` None goes by the stream's own rhythm."""

    after: timedelta | None = None
    staged: bool = False


class Detectors(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is watched for; None is off."""

    class_concentration: ClassConcentration | None = None
    fixed_share: FixedShare | None = None
    confidence: Confidence | None = None
    rejected: Rejected | None = None
    no_data: NoData | None = None


DEFAULT_DETECTORS: Final = Detectors(
    class_concentration=ClassConcentration(), confidence=Confidence(), rejected=Rejected(), no_data=NoData()
)
"""What an endpoint is watched for that names no detectors."""


def read_detectors(section: Section | None) -> Detectors:
    """The section ``detectors`` of an endpoint; without one, the usual ones."""
    if section is None:
        return DEFAULT_DETECTORS
    section.expect("class-concentration", "fixed-share", "confidence", "rejected", "no-data")
    return Detectors(
        class_concentration=read_optional(section, "class-concentration", _read_class_concentration),
        fixed_share=read_optional(section, "fixed-share", _read_fixed_share),
        confidence=read_optional(section, "confidence", _read_confidence),
        rejected=read_optional(section, "rejected", _read_rejected),
        no_data=read_optional(section, "no-data", _read_no_data),
    )


def _read_class_concentration(section: Section) -> ClassConcentration:
    section.expect("one_false_alarm_in", "baseline", "clear_after", "staged")
    return ClassConcentration(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_false_alarms, 1_000_000),
        baseline=_read_baseline(section.section("baseline", "baseline")),
        clear_after=section.take("clear_after", read_positive, None),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_fixed_share(section: Section) -> FixedShare:
    section.expect("threshold", "per", "staged", "open_after", "clear_after", "clear_below")
    plain = FixedShare()
    threshold = section.take("threshold", read_share, 0.5)
    clear_below = section.take("clear_below", read_share, None)
    if clear_below is not None and clear_below > threshold:
        raise section.fail("clear_below", f"must not lie above threshold ({threshold:g})")
    return FixedShare(
        threshold=threshold,
        clear_below=clear_below,
        patience=read_patience(section),
        per=section.take("per", _read_batch, plain.per),
        staged=section.take("staged", read_switch, default=plain.staged),
    )


def read_patience(section: Section) -> Datapoints:
    """How many periods must be bad before it is told, and good before it is over."""
    bad, of = section.take("open_after", lambda value: read_m_of_n(read_text(value)), (1, 1))
    return Datapoints(bad=bad, of=of, good=section.take("clear_after", read_positive, 1))


def _read_confidence(section: Section) -> Confidence:
    section.expect("one_false_alarm_in", "baseline", "staged")
    baseline = section.section("baseline", "baseline")
    if baseline is not None and "file" in baseline.names():
        raise baseline.fail("file", "counts classes; mean confidence is learned from traffic")
    return Confidence(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_false_alarms, 1_000_000),
        baseline=_read_baseline(baseline),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_rejected(section: Section) -> Rejected:
    section.expect("one_false_alarm_in", "staged")
    return Rejected(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_false_alarms, 1_000_000),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_no_data(section: Section) -> NoData:
    section.expect("after", "staged")
    return NoData(
        after=section.take("after", _read_silence, None),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_baseline(section: Section | None) -> Baseline:
    if section is None:
        return Baseline()
    section.expect("learn_from", "file")
    folder = Path(section.where).parent
    none: dict[str, int] = {}
    counts = section.take("file", lambda value: _read_counts(folder / read_text(value)), none)
    baseline = Baseline(
        learn_from=section.take("learn_from", read_positive, 0 if counts else 1000), counts=counts
    )
    if counts and baseline.learn_from:
        raise section.fail("file", "and learn_from exclude each other")
    return baseline


def _read_false_alarms(value: Any) -> int:
    """Accepted predictions between false alarms, within what an e-SR detector can tell apart."""
    number = read_positive(value)
    if number < LEAST_BETWEEN_FALSE_ALARMS:
        raise ValueError(
            f"must be at least {LEAST_BETWEEN_FALSE_ALARMS}, not {number}: below that an alarm is due by the passing of time "
            "alone, whatever is predicted"
        )
    if number > MOST_BETWEEN_FALSE_ALARMS:
        raise ValueError(f"must be at most {MOST_BETWEEN_FALSE_ALARMS}: no endpoint predicts so often")
    return number


def _read_batch(value: Any) -> timedelta | int:
    if isinstance(value, str) and value.replace("_", "").isdecimal():
        return read_positive(value)
    return read_duration(value)


def _read_silence(value: Any) -> timedelta | None:
    return None if value == "auto" else read_duration(value)


def _read_counts(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(read_file(path), type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} must be a JSON object of counts by class: {error}") from None


def read_file(path: Path) -> str:
    """A text file that monitors.yml names; ``ValueError`` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
