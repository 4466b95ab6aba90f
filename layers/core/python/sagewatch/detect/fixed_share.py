"""The notebook's rule: one class above a fixed share of a whole batch of predictions.

It is kept as it was in the hourly job: the batch is judged when it is over, and a batch of a single prediction
is judged like any other. The job's text: "Class 14 predicted more than 80 % of the time which is above the
threshold".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.capture import Segment
from sagewatch.datapoints import Datapoints
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
    patience
        How many batches must exceed it before that is told, and how many must not before it is over.
    clear_below
        While it is told, a batch is good only below this share (None: at the threshold or below).
    staged
        Findings are recorded and not sent; on by default, since the rule says nothing that
        class-concentration does not say sooner.
    """

    threshold: float = 0.5
    per: timedelta | int = timedelta(hours=1)
    staged: bool = True
    patience: Datapoints = Datapoints()
    clear_below: float | None = None


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
    """The batch under way, and the episode that holds, if one does.

    Attributes
    ----------
    recent
        The class that exceeded the threshold in each of the latest batches; None where none did.
    held
        For the episode that holds: whether each batch since it was raised was a bad one.
    """

    batch: Batch = Batch()
    open: Episode | None = None
    numbers: Numbers = Numbers()
    recent: tuple[str | None, ...] = ()
    held: tuple[bool, ...] = ()


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
    """Raises an episode when enough batches exceed the threshold; enough that do not clear it."""

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
        batch, patience = state.batch, self.config.patience
        verdict = judge_counts(batch.counts, self.config.threshold)
        if verdict is None:
            return msgspec.structs.replace(state, batch=Batch())
        recent = (*state.recent, verdict.label if verdict.exceeds else None)[-patience.remembered :]
        opens = verdict.exceeds and patience.opens([one == verdict.label for one in recent])
        before, held, numbers = state.open, state.held, state.numbers
        if before is not None:
            held = (*held, self._is_bad(before.subject, batch))[-patience.remembered :]
            replaced = opens and before.subject != verdict.label
            if patience.clears(held) or replaced:
                changes.append(Cleared(before, batch.end))
                before, held = None, ()
                recent = recent if replaced else ()  # it must be bad anew as often as the first time
        if opens and before is None:
            numbers, number = numbers.take(verdict.label, batch.start)
            before = self._describe(batch, verdict, number)
            changes.append(Raised(before))
        return FixedShareState(open=before, numbers=numbers, recent=recent, held=held)

    def _is_bad(self, subject: str, batch: Batch) -> bool:
        """Whether the batch is another one for the episode that holds."""
        share = batch.counts.get(subject, 0) / batch.total
        below = self.config.clear_below
        return share > self.config.threshold if below is None else share >= below

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
