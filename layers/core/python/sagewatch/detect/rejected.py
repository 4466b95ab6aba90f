"""Captured lines cannot be read any more: an e-SR on the share of unreadable lines, file by file.

A file says how many of its m lines could not be read, not where they stood, so it is folded as one step:

    M <- (M + m) * E,    E = product of the likelihood ratios of its lines

Source: Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532. Unlike other detectors it is awake from the first
line on, with a share that a healthy endpoint never reaches: an endpoint whose answers never could be read must
not become its own baseline.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import SAMPLES_KEPT, Change, Cleared, Episode, Numbers, Raised, rate_severity
from sagewatch.detect.open_episode import CLEAN_AT_LEAST
from sagewatch.detect.rejected_state import (
    LEARN_FROM,
    SHARES,
    RejectedEpisode,
    RejectedState,
    Tally,
    count_piece,
    find_expected_share,
)
from sagewatch.detect.trace import TracePoint, append_trace, read_trace
from sagewatch.finding import Evidence, Sample, Window, build_content_key

LEAST_TRACED = 1e-3
_LARGEST = 1e300
_SUBJECT = ""  # the whole stream


class RejectedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to watch for unreadable lines.

    Attributes
    ----------
    one_false_alarm_in
        Accepted average number of lines between false alarms.
    clear_after
        Lines of clean files that end an episode.
    """

    one_false_alarm_in: int = 1_000_000
    clear_after: int = CLEAN_AT_LEAST
    staged: bool = False


class Rejected:
    """Raises an episode when more captured lines than usual cannot be read."""

    name = "rejected"
    version = "1"
    state_type = RejectedState

    def __init__(self, config: RejectedConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> RejectedState:
        """Awake, with the share of an endpoint not known yet."""
        return RejectedState()

    def adopt(self, previous: RejectedState) -> RejectedState:
        """Keep the baseline, the open episode and its number; restart the statistic."""
        return RejectedState(
            seen=previous.seen, learned=previous.learned, open=previous.open, numbers=previous.numbers
        )

    def fold(self, state: RejectedState, segment: Segment) -> tuple[RejectedState, tuple[Change, ...]]:
        """Count pieces; judge a file when its last piece has come."""
        state = count_piece(state, segment)
        if segment.part < segment.parts - 1:
            return state, ()
        file, samples = state.pending, state.pending_samples
        state = msgspec.structs.replace(state, pending=Tally(), pending_samples=(), last_line=0)
        if not file.lines:
            return state, ()
        changes: list[Change] = []
        state = self._follow(state, file, samples, segment, changes)
        state = self._bet(state, file, samples, segment)
        statistic = sum(state.values) / len(SHARES)
        state = self._trace(state, segment, statistic)
        if statistic >= self.config.one_false_alarm_in:
            return self._alarm(state, segment, statistic, changes), tuple(changes)
        if state.open is None and state.learned.lines < LEARN_FROM:
            state = msgspec.structs.replace(state, learned=state.learned.add(file))
        return state, tuple(changes)

    def close(self, state: RejectedState, now: datetime) -> tuple[RejectedState, tuple[Change, ...]]:
        """Nothing: only lines count."""
        del now
        return state, ()

    def list_open(self, state: RejectedState) -> tuple[Episode, ...]:
        """The episode that is not over."""
        return () if state.open is None else (state.open.describe(),)

    def list_trace(self, state: RejectedState) -> tuple[TracePoint, ...]:
        """log10(mean M / accepted average number of lines between false alarms), by file."""
        return read_trace(state.trace)

    def _bet(
        self, state: RejectedState, file: Tally, samples: tuple[Sample, ...], segment: Segment
    ) -> RejectedState:
        """Fold a file into M, and into the search for the onset."""
        expected = find_expected_share(state.learned)
        read = file.lines - file.rejected
        logs = [
            file.rejected * math.log((1 - share) + share / expected) + read * math.log1p(-share)
            for share in SHARES
        ]
        values = tuple(
            min(_LARGEST, math.exp(min(690.0, math.log(value + file.lines) + log)))
            for value, log in zip(state.values, logs, strict=True)
        )
        fresh = state.climb <= 0
        return msgspec.structs.replace(
            state,
            seen=state.seen + file.lines,
            values=values,
            # A CUSUM of a middling share: the change began when it last left 0.
            climb=max(0.0, (0.0 if fresh else state.climb) + logs[2]),
            since=file if fresh else state.since.add(file),
            since_at=segment.first_at if fresh else state.since_at,
            since_samples=(samples if fresh else state.since_samples + samples)[-SAMPLES_KEPT:],
        )

    def _alarm(
        self, state: RejectedState, segment: Segment, statistic: float, changes: list[Change]
    ) -> RejectedState:
        """Raise an episode, or go on with the one that is open; restart the statistic."""
        if state.open is not None:
            log10_evidence = state.open.log10_evidence + math.log10(statistic)
            opened = msgspec.structs.replace(state.open, log10_evidence=log10_evidence, clean=Tally())
            episode, numbers = opened.describe(), state.numbers
            worse = episode.severity.rank > opened.episode.severity.rank
        else:
            opened, numbers = self._open_episode(state, segment, statistic)
            episode, worse = opened.episode, True
        if worse:
            opened = msgspec.structs.replace(opened, episode=episode)
            changes.append(Raised(episode))
        return msgspec.structs.replace(
            state,
            values=(0.0,) * len(SHARES),
            climb=0.0,
            since=Tally(),
            since_samples=(),
            open=opened,
            numbers=numbers,
        )

    def _open_episode(
        self, state: RejectedState, segment: Segment, statistic: float
    ) -> tuple[RejectedEpisode, Numbers]:
        threshold = float(self.config.one_false_alarm_in)
        expected = state.learned.rejected / state.learned.lines if state.learned.lines else 0.0
        observed = state.since.rejected / state.since.lines
        excess = math.log10(statistic / threshold)
        numbers, number = state.numbers.take(_SUBJECT, state.since_at)
        episode = Episode(
            subject=_SUBJECT,
            onset_at=state.since_at,
            number=number,
            raised_at=segment.last_at,
            severity=rate_severity(observed - expected, excess),
            evidence=Evidence(statistic, threshold, excess, observed - expected, "share", observed, expected),
            window=Window(state.since_at, segment.last_at, state.since.predictions, state.since.rejected),
            source=segment.key,
            samples=state.since_samples,
        )
        opened = RejectedEpisode(
            episode=episode,
            tally=state.since,
            log10_evidence=math.log10(statistic),
            samples=state.since_samples,
            last_at=segment.last_at,
        )
        return opened, numbers

    def _follow(
        self,
        state: RejectedState,
        file: Tally,
        samples: tuple[Sample, ...],
        segment: Segment,
        changes: list[Change],
    ) -> RejectedState:
        """Carry the open episode on, or clear it."""
        if state.open is None:
            return state
        clean = state.open.clean.add(file)
        expected = find_expected_share(state.learned) * clean.lines
        if clean.rejected > expected + 3 * math.sqrt(expected) + 1:
            clean = Tally()
        opened = msgspec.structs.replace(
            state.open,
            tally=state.open.tally.add(file),
            samples=(state.open.samples + samples)[-SAMPLES_KEPT:],
            last_at=segment.last_at,
            clean=clean,
        )
        if clean.lines < self.config.clear_after:
            return msgspec.structs.replace(state, open=opened)
        changes.append(Cleared(opened.describe(), segment.last_at))
        return msgspec.structs.replace(state, open=None)

    def _trace(self, state: RejectedState, segment: Segment, statistic: float) -> RejectedState:
        excess = math.log10(max(statistic, LEAST_TRACED) / self.config.one_false_alarm_in)
        point = TracePoint(segment.last_at, state.seen, excess)
        return msgspec.structs.replace(state, trace=append_trace(state.trace, point))
