"""What a configuration would have found and sent on recorded traffic, when, and how late."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from sagewatch.capture import Segment
from sagewatch.detect.class_concentration import ClassConcentration
from sagewatch.detect.fixed_share import FixedShare
from sagewatch.diagnose.model import Policy
from sagewatch.finding import Finding, Stream
from sagewatch.monitors import Monitors
from sagewatch.replay.injection import Injection, find_attacked, inject
from sagewatch.replay.load import Recording, build_player
from sagewatch.replay.outcome import gather

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
_OF_A_CLASS = frozenset({ClassConcentration.name, FixedShare.name})


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One episode that a detector found.

    Attributes
    ----------
    class_name
        What the configuration calls the subject; empty where it is no class or has no name.
    at
        When it was raised.
    position
        How many predictions of its stream there had been by then.
    took
        Predictions from its beginning to its raising: from the first attacked one where it is the injection's, else
        from the onset that the detector estimates.
    seconds
        The same in time.
    sent
        Somebody would have been told.
    wanted
        It is the injected one; every other is a false alarm if the traffic was clean.
    """

    endpoint: str
    variant: str
    kind: str
    subject: str
    class_name: str = ""
    severity: str
    at: datetime
    cleared_at: datetime | None
    position: int
    took: int
    seconds: float
    sent: bool
    wanted: bool = False

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What is wrong, whatever the configuration."""
        return (self.endpoint, self.variant, self.kind, self.subject)

    @property
    def about(self) -> str:
        """Kind and subject, for people."""
        named = f" ({self.class_name})" if self.class_name else ""
        return f"{self.kind} {self.subject}".rstrip() + named


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration on one recording.

    Attributes
    ----------
    alerts
        Incidents that somebody would have been told of.
    false_alarms, false_alarms_per_week
        Those of them that are not the injected attack: false if the traffic was clean. Less than a day tells no
        rate: None.
    attacked
        Predictions that lie in the injected attack.
    missing
        Keys of capture files that were told of and are not there.
    missed
        Attacked endpoints of which nobody would have been told of the attack.
    """

    config: str
    began: datetime | None
    ended: datetime | None
    predictions: int
    found: tuple[Found, ...]
    alerts: int
    false_alarms: int
    false_alarms_per_week: float | None
    missing: tuple[str, ...] = ()
    attacked: int = 0
    missed: tuple[str, ...] = ()


class Ledger:
    """Counts each stream's predictions as they are folded, attacked on the way where that is asked for."""

    def __init__(self, injection: Injection | None) -> None:
        self._injection = injection
        self.attacked: Counter[str] = Counter()
        self._onsets: dict[Stream, int] = {}
        self._times: dict[Stream, list[datetime]] = {}
        self._counts: dict[Stream, list[int]] = {}

    def take(self, segment: Segment) -> Segment:
        """Note a segment; the segment to fold."""
        times = self._times.setdefault(segment.stream, [])
        counts = self._counts.setdefault(segment.stream, [])
        times.append(segment.last_at)
        before = counts[-1] if counts else 0
        counts.append(before + segment.predictions)
        if self._injection is None:
            return segment
        attacked = find_attacked(segment, self._injection)
        if attacked:
            self.attacked[segment.stream.endpoint] += len(attacked)
            self._onsets.setdefault(segment.stream, before + attacked.start)
        return inject(segment, self._injection)

    def count_clean(self, stream: Stream, start: datetime) -> int:
        """Predictions before the first that is attacked, within its file too; of a stream without one, until a start."""
        return self._onsets.get(stream, self.count_until(stream, start))

    def count_until(self, stream: Stream, at: datetime) -> int:
        """Predictions in files that ended by a time; files come in about the order of their times."""
        times = self._times.get(stream, [])
        place = bisect_left(times, at + timedelta(microseconds=1))
        return self._counts[stream][place - 1] if place else 0


def backtest(recording: Recording, monitors: Monitors, config: str, injection: Injection | None) -> Backtest:
    """Play the recording under a configuration; endpoints are not touched, not even in memory."""
    quiet = msgspec.structs.replace(
        monitors,
        endpoints={
            name: msgspec.structs.replace(one, diagnosis=Policy(mode="off"))
            for name, one in monitors.endpoints.items()
        },
    )
    ledger = Ledger(injection)
    player = build_player(recording, quiet)
    player.state.before_counting = ledger.take
    player.play(recording.events)
    outcome = gather(player, len(recording.events))
    # Of an incident that joins a group a channel may first speak by a change in place, or by its last word.
    told = {one.incident_id for one in outcome.messages}
    sent = {
        finding.finding_id
        for each in outcome.incidents
        if each.incident.incident_id in told
        for finding in each.incident.findings
    }
    found = tuple(
        msgspec.structs.replace(
            _build_found(finding, end, finding.finding_id in sent, ledger, injection),
            class_name=_find_class_name(finding, monitors),
        )
        for finding, end in _pair(outcome.findings)
    )
    wanted = {
        finding.finding_id for finding in outcome.findings if injection and _is_wanted(finding, injection)
    }
    hit = {
        each.incident.incident_id
        for each in outcome.incidents
        if any(finding.finding_id in wanted for finding in each.incident.findings)
    }
    reached = {
        finding.endpoint
        for each in outcome.incidents
        if each.incident.incident_id in told
        for finding in each.incident.findings
        if finding.finding_id in wanted
    }
    false = len(told - hit)
    length = (outcome.ended - outcome.began) if outcome.began and outcome.ended else timedelta(0)
    return Backtest(
        config=config,
        began=outcome.began,
        ended=outcome.ended,
        predictions=outcome.predictions,
        found=found,
        alerts=len(told),
        false_alarms=false,
        false_alarms_per_week=false * WEEK / length if length >= DAY else None,
        missing=outcome.missing,
        attacked=ledger.attacked.total(),
        missed=tuple(sorted(ledger.attacked.keys() - reached)),
    )


def compare_backtests(first: Backtest, second: Backtest) -> list[str]:
    """What differs, in sentences; equal ones have none but the totals."""
    told = [f"{first.config} sends {first.alerts}, {second.config} sends {second.alerts}."]
    twins = _find_twins(first, second)
    matched = {id(twin) for twin in twins.values()}
    for one in first.found:
        twin = twins.get(id(one))
        if twin is None:
            told.append(f"Only {first.config} finds {_tell(one)} on {one.at:%Y-%m-%d %H:%M:%S}.")
        else:
            told += _compare_twins(first.config, one, second.config, twin)
    alone = (one for one in second.found if id(one) not in matched)
    told += [f"Only {second.config} finds {_tell(one)} on {one.at:%Y-%m-%d %H:%M:%S}." for one in alone]
    return told


def tell_false_alarms(run: Backtest) -> tuple[str, str]:
    """The number and what it counts: false alarms a week; of less than a day no rate can be said, so all of them."""
    if run.false_alarms_per_week is not None:
        return f"{run.false_alarms_per_week:.1f}", "false alarms a week"
    return str(run.false_alarms), "false alarm" if run.false_alarms == 1 else "false alarms"


def tell_assumption(run: Backtest) -> str:
    """On what it rests that those alarms are false: nobody but the owner knows what the traffic was."""
    return "if the rest was clean" if run.attacked else "if all of it was clean"


def tell_attack(run: Backtest) -> str:
    """What becomes of the injected attack where somebody is not told of it; empty where everybody is."""
    if not run.attacked:
        return f"{run.config} watches nothing that the injected attack changes"
    on = ", ".join(run.missed)
    return f"{run.config} misses the injected attack on {on}" if run.missed else ""


def _find_twins(first: Backtest, second: Backtest) -> dict[int, Found]:
    """What both found of one episode: the same thing in stretches that overlap; the nearest in time go together."""
    pairs = sorted(
        (abs(other.at - one.at), place, number)
        for place, one in enumerate(first.found)
        for number, other in enumerate(second.found)
        if one.name == other.name and _overlap(one, other)
    )
    twins: dict[int, Found] = {}
    taken: set[int] = set()
    for _, place, number in pairs:
        one = first.found[place]
        if id(one) not in twins and number not in taken:
            twins[id(one)] = second.found[number]
            taken.add(number)
    return twins


def _overlap(one: Found, other: Found) -> bool:
    """Whether two stretches, each from its onset to its end, have a time in common."""
    return all(
        last.cleared_at is None or _find_start(first) <= last.cleared_at
        for first, last in ((one, other), (other, one))
    )


def _compare_twins(first: str, one: Found, second: str, twin: Found) -> list[str]:
    told = []
    behind = twin.position - one.position
    if not behind and _find_start(one) == _find_start(twin):
        # Raised within the same file: the predictions since the common onset tell them apart.
        behind = twin.took - one.took
    if behind:
        slower = second if behind > 0 else first
        day = f"{max(one.at, twin.at):%Y-%m-%d}"
        many = f"{abs(behind):,} {'prediction' if abs(behind) == 1 else 'predictions'}"
        told.append(f"{slower} is {many} slower on {day} ({_tell(one)}).")
    if one.sent != twin.sent:
        told.append(f"Only {first if one.sent else second} tells of {_tell(one)} on {one.at:%Y-%m-%d}.")
    if one.severity != twin.severity:
        told.append(f"{_tell(one)} is {one.severity} to {first} and {twin.severity} to {second}.")
    return told


def _find_start(one: Found) -> datetime:
    return one.at - timedelta(seconds=one.seconds)


def _tell(one: Found) -> str:
    return f"{one.endpoint} {one.about}"


def _find_class_name(finding: Finding, monitors: Monitors) -> str:
    watched = monitors.endpoints.get(finding.endpoint)
    return watched.capture.classes.get(finding.subject, "") if watched else ""


def _pair(findings: Iterable[Finding]) -> list[tuple[Finding, datetime | None]]:
    """Each episode as it was first raised, and when it was cleared."""
    first: dict[str, Finding] = {}
    ends: dict[str, datetime] = {}
    for finding in findings:
        first.setdefault(finding.finding_id, finding)
        if finding.cleared_at is not None:
            ends[finding.finding_id] = finding.cleared_at
    return [(finding, ends.get(name)) for name, finding in first.items()]


def _is_wanted(finding: Finding, injection: Injection) -> bool:
    """Whether a finding is of the injected attack; one that is raised after its end still is, if it began within.

    An injection changes classes alone, neither silence nor confidences nor what can be read: only a detector of
    classes that names the injected one has found it.
    """
    return (
        finding.kind in _OF_A_CLASS
        and finding.subject == injection.class_
        and injection.overlaps(finding.endpoint, finding.window.start, finding.raised_at)
        and injection.start <= finding.raised_at
    )


def _build_found(
    finding: Finding, end: datetime | None, sent: bool, ledger: Ledger, injection: Injection | None
) -> Found:
    position = ledger.count_until(finding.stream, finding.raised_at)
    wanted = injection is not None and _is_wanted(finding, injection)
    began, took = finding.window.start, finding.window.predictions
    if wanted and injection is not None:
        began = injection.start
        took = position - ledger.count_clean(finding.stream, injection.start)
    return Found(
        endpoint=finding.endpoint,
        variant=finding.variant,
        kind=finding.kind,
        subject=finding.subject,
        severity=finding.severity.value,
        at=finding.raised_at,
        cleared_at=end,
        position=position,
        took=took,
        seconds=(finding.raised_at - began).total_seconds(),
        sent=sent,
        wanted=wanted,
    )
