"""The notebook's rule: one class above a fixed share of a whole batch of predictions.

It is kept as it was in the hourly job: the batch is judged when it is over, and a batch of a single prediction
is judged like any other. The job's text: "Class 14 predicted more than 80 % of the time which is above the
threshold".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import Change, Cleared, Episode, Numbers, Raised, rate_severity
from sagewatch.detect.open_episode import keep_most_frequent
from sagewatch.detect.trace import TracePoint
from sagewatch.finding import Evidence, Window, build_content_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FixedShareConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to apply the rule.

    Attributes
    ----------
    threshold
        Share in (0, 1) that a class must exceed.
    per
        A batch: all predictions of so long a stretch of the clock, or so many predictions.
    staged
        Findings are recorded and not sent; on by default, since the rule says nothing that
        class-concentration does not say sooner.
    """

    threshold: float = 0.5
    per: timedelta | int = timedelta(hours=1)
    staged: bool = True


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions counted until the batch is over.

    Attributes
    ----------
    window_at
        Start of its stretch of the clock (None if batches are so many predictions, or nothing has come yet).
    key
        The capture object seen last.
    """

    window_at: datetime | None = None
    counts: dict[str, int] = {}
    total: int = 0
    rejected: int = 0
    start: datetime = _EPOCH
    end: datetime = _EPOCH
    key: str = ""


class FixedShareState(msgspec.Struct, frozen=True, kw_only=True):
    """The batch under way, the episode of the last one, if it had one."""

    batch: Batch = Batch()
    open: Episode | None = None
    numbers: Numbers = Numbers()


class ShareVerdict(msgspec.Struct, frozen=True):
    """The most frequent class of a batch, its share, and whether that is above the threshold."""

    label: str
    share: float
    exceeds: bool


def judge_counts(counts: dict[str, int], threshold: float) -> ShareVerdict | None:
    """Apply the rule to a batch.

    Parameters
    ----------
    counts
        Predictions of each class.
    threshold
        Share that a class must exceed.

    Returns
    -------
    ShareVerdict or None
        None for an empty batch. Of equally frequent classes the one named first.

    Examples
    --------
    >>> judge_counts({"9": 2, "14": 322, "13": 78}, 0.5)
    ShareVerdict(label='14', share=0.8009950248756219, exceeds=True)
    """
    total = sum(counts.values())
    if not total:
        return None
    label = max(counts, key=counts.__getitem__)
    share = counts[label] / total
    return ShareVerdict(label, share, share > threshold)


class FixedShare:
    """Raises an episode when a batch exceeds the threshold; the next batch that does not clears it."""

    name = "fixed-share"
    version = "1"
    state_type = FixedShareState

    def __init__(self, config: FixedShareConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> FixedShareState:
        """An empty batch."""
        return FixedShareState()

    def adopt(self, previous: FixedShareState) -> FixedShareState:
        """Drop the batch under way; an open episode waits for the next batch."""
        return msgspec.structs.replace(previous, batch=Batch())

    def fold(self, state: FixedShareState, segment: Segment) -> tuple[FixedShareState, tuple[Change, ...]]:
        """Count; judge whatever batch is over. A file belongs to the hour in which it begins."""
        changes: list[Change] = []
        if isinstance(self.config.per, timedelta):
            window_at = _floor(segment.first_at, self.config.per)
            if state.batch.window_at is not None and state.batch.window_at != window_at:
                state = self._judge(state, changes)
            batch = _add(state.batch, segment, 0, segment.predictions)
            return msgspec.structs.replace(
                state, batch=msgspec.structs.replace(batch, window_at=window_at)
            ), tuple(changes)
        at = 0
        while at < segment.predictions:
            stop = min(segment.predictions, at + self.config.per - state.batch.total)
            state = msgspec.structs.replace(state, batch=_add(state.batch, segment, at, stop))
            if state.batch.total >= self.config.per:
                state = self._judge(state, changes)
            at = stop
        return state, tuple(changes)

    def close(self, state: FixedShareState, now: datetime) -> tuple[FixedShareState, tuple[Change, ...]]:
        """Judge a batch whose stretch of the clock is over although no later file has come (for the tick)."""
        changes: list[Change] = []
        per, window_at = self.config.per, state.batch.window_at
        if isinstance(per, timedelta) and window_at is not None and now >= window_at + per:
            state = self._judge(state, changes)
        return state, tuple(changes)

    def list_open(self, state: FixedShareState) -> tuple[Episode, ...]:
        """The episode of the last batch, if it had one."""
        return () if state.open is None else (state.open,)

    def list_trace(self, state: FixedShareState) -> tuple[TracePoint, ...]:
        """Nothing: the rule has no statistic between batches."""
        del state
        return ()

    def _judge(self, state: FixedShareState, changes: list[Change]) -> FixedShareState:
        batch, before, numbers = state.batch, state.open, state.numbers
        verdict = judge_counts(batch.counts, self.config.threshold)
        if verdict is None:
            return FixedShareState(open=before, numbers=numbers)
        subject = verdict.label if verdict.exceeds else None
        if before is not None and before.subject != subject:
            changes.append(Cleared(before, batch.end))
            before = None
        if subject is not None and before is None:
            numbers, number = numbers.take(subject, batch.start)
            before = self._describe(batch, verdict, number)
            changes.append(Raised(before))
        return FixedShareState(open=before, numbers=numbers)

    def _describe(self, batch: Batch, verdict: ShareVerdict, number: int) -> Episode:
        effect = verdict.share - self.config.threshold
        evidence = Evidence(
            statistic=verdict.share,
            threshold=self.config.threshold,
            log10_excess=0.0,
            effect_size=effect,
            effect_unit="share",
            observed=verdict.share,
            expected=self.config.threshold,
        )
        return Episode(
            subject=verdict.label,
            onset_at=batch.start,
            number=number,
            raised_at=batch.end,
            severity=rate_severity(effect, 1.0),
            evidence=evidence,
            window=Window(batch.start, batch.end, batch.total, batch.rejected),
            source=batch.key,
            counts=keep_most_frequent(batch.counts),
        )


def _add(batch: Batch, segment: Segment, start: int, stop: int) -> Batch:
    counts = dict(batch.counts)
    for index in segment.indexes()[start:stop]:
        label = segment.labels[index]
        counts[label] = counts.get(label, 0) + 1
    return msgspec.structs.replace(
        batch,
        counts=counts,
        total=batch.total + stop - start,
        rejected=batch.rejected + (segment.rejected if start == 0 else 0),
        start=batch.start if batch.total else segment.first_at,
        end=segment.last_at,
        key=segment.key,
    )


def _floor(at: datetime, per: timedelta) -> datetime:
    return at - (at - _EPOCH) % per
