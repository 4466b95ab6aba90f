"""No captures any more: judged by the clock, against the stream's own rhythm.

The rhythm is the longest pause of each of the last days, so a stream that rests every night is not taken for
dead. A pause of twice the longest one is too long. Such a pause is an outage until a second day has one: only what
comes again is rhythm, else one bad night would excuse the next.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.detector import Change, Episode, Raised
from sagewatch.detect.trace import TracePoint
from sagewatch.finding import Evidence, Severity, Window, build_content_key

DAYS_KEPT = 8
"""A week and a day: last Sunday says what this Sunday may be like."""

OUTAGES_KEPT = timedelta(days=15)
"""Two weeks and a day: what comes each weekend comes twice in it."""

TIMES_LONGEST = 2.0
LEAST_SILENCE = timedelta(minutes=15)
"""SageMaker may take minutes to write a file; nothing shorter is called silence."""

UNKNOWN_SILENCE = timedelta(hours=1)
"""Allowed at the least while less than a day is known."""

_SUBJECT = ""  # the whole stream


class Rhythm(msgspec.Struct, frozen=True):
    """When captures came.

    Attributes
    ----------
    first_at, last_at
        Of all captures; None before the first.
    longest
        Longest pause, in seconds, by the UTC day on which it ended; the last ``DAYS_KEPT`` of them. Without outages.
    outages
        The longest pause that was too long when it ended, by day, for ``OUTAGES_KEPT``.
    files, total_seconds
        Captures seen, and the pauses between them together: their mean is what is usual.
    """

    first_at: datetime | None = None
    last_at: datetime | None = None
    longest: dict[str, float] = {}
    files: int = 0
    total_seconds: float = 0.0
    outages: dict[str, float] = {}

    def observe(self, first_at: datetime, last_at: datetime) -> Rhythm:
        """The rhythm after one more capture file."""
        if self.last_at is None or self.first_at is None:
            return Rhythm(first_at, last_at, {}, 1, 0.0)
        pause = max(0.0, (first_at - self.last_at).total_seconds())
        day = first_at.date().isoformat()
        usual, outages = self.longest, self.outages
        # Nearly every pause is shorter than the day's longest, and then nothing is to be noted.
        if pause > usual.get(day, -1.0):
            is_outage = pause > self.find_allowed().total_seconds()
            usual = dict(sorted(_note(usual, day, 0.0 if is_outage else pause).items())[-DAYS_KEPT:])
            outages = _note(outages, day, pause) if is_outage else outages
        if outages:
            since = (first_at - OUTAGES_KEPT).date().isoformat()
            outages = {when: seconds for when, seconds in outages.items() if when >= since}
        return Rhythm(
            self.first_at,
            max(last_at, self.last_at),
            usual,
            self.files + 1,
            self.total_seconds + pause,
            outages,
        )

    def find_allowed(self) -> timedelta:
        """The longest silence that this rhythm explains."""
        # The second longest outage: so long a pause was seen on two days.
        again = sorted(self.outages.values())[-2:-1]
        longest = timedelta(seconds=TIMES_LONGEST * max([*self.longest.values(), *again], default=0.0))
        known = self.last_at - self.first_at if self.last_at and self.first_at else timedelta(0)
        return max(longest, LEAST_SILENCE if known >= timedelta(days=1) else UNKNOWN_SILENCE)


def _note(pauses: dict[str, float], day: str, pause: float) -> dict[str, float]:
    return {**pauses, day: max(pause, pauses.get(day, 0.0))}


class Silence(msgspec.Struct, frozen=True):
    """How long nothing has come, how long that may last, and how long a pause usually is, in seconds."""

    seconds: float
    allowed_seconds: float
    usual_seconds: float


def judge_silence(rhythm: Rhythm, now: datetime, after: timedelta | None = None) -> Silence | None:
    """Whether captures are overdue.

    Parameters
    ----------
    rhythm
        When captures came so far.
    now
        The time, UTC.
    after
        Silence that is too long; None derives it from the rhythm.

    Returns
    -------
    Silence or None
        None while nothing is overdue, and where nothing ever came.
    """
    if rhythm.last_at is None:
        return None
    silent = now - rhythm.last_at
    allowed = rhythm.find_allowed() if after is None else after
    if silent <= allowed:
        return None
    usual = rhythm.total_seconds / (rhythm.files - 1) if rhythm.files > 1 else 0.0
    return Silence(silent.total_seconds(), allowed.total_seconds(), usual)


class NoDataConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to watch for silence: ``after`` so long, or by the stream's own rhythm where it is None."""

    after: timedelta | None = None
    staged: bool = False


class NoData:
    """Learns the rhythm from captures; raises an episode when the clock says that they are overdue.

    The episode is not kept: with the next capture the fold does not find it any more, which clears it.
    """

    name = "no-data"
    version = "2"
    state_type = Rhythm

    def __init__(self, config: NoDataConfig) -> None:
        self.config = config
        self.staged = config.staged
        self.config_hash = build_content_key(msgspec.json.encode(config).decode())

    def start(self) -> Rhythm:
        """Nothing has come yet."""
        return Rhythm()

    def adopt(self, previous: Rhythm) -> Rhythm:
        """The rhythm is the stream's own."""
        return previous

    def fold(self, state: Rhythm, segment: Segment) -> tuple[Rhythm, tuple[Change, ...]]:
        """Note that a file came: not later than it was counted, else one clock that is ahead excuses any silence."""
        if segment.part:
            return state, ()
        until = segment.lasted_until
        return state.observe(min(segment.first_at, until), until), ()

    def close(self, state: Rhythm, now: datetime) -> tuple[Rhythm, tuple[Change, ...]]:
        """Raise an episode while captures are overdue."""
        silence = judge_silence(state, now, self.config.after)
        if silence is None or state.last_at is None:
            return state, ()
        return state, (Raised(_describe(state.last_at, now, silence)),)

    def list_open(self, state: Rhythm) -> tuple[Episode, ...]:
        """Nothing: what is open depends on the clock."""
        del state
        return ()

    def list_trace(self, state: Rhythm) -> tuple[TracePoint, ...]:
        """Nothing."""
        del state
        return ()


def _describe(last_at: datetime, now: datetime, silence: Silence) -> Episode:
    midnight = last_at.replace(hour=0, minute=0, second=0, microsecond=0)
    evidence = Evidence(
        statistic=silence.seconds,
        threshold=silence.allowed_seconds,
        log10_excess=0.0,
        effect_size=silence.seconds - silence.usual_seconds,
        effect_unit="seconds",
        observed=silence.seconds,
        expected=silence.usual_seconds,
    )
    return Episode(
        subject=_SUBJECT,
        onset_at=last_at,
        # No count is kept of silences: the second at which one began tells it from others of its day.
        number=int((last_at - midnight).total_seconds()),
        # Not ``now``: asked a minute later, it is still the same episode.
        raised_at=last_at + timedelta(seconds=silence.allowed_seconds),
        severity=Severity.WARNING,
        evidence=evidence,
        window=Window(last_at, now, 0),
        source="",
    )
