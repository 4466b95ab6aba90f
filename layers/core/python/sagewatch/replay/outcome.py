"""What a play came to: findings, incidents with their trails, what would have been sent. Values, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.finding import Finding, build_content_key
from sagewatch.incident.model import Entry, Incident
from sagewatch.place import is_elsewhere
from sagewatch.replay.play import Player
from sagewatch.replay.recording import Event
from sagewatch.replay.scene import Story
from sagewatch.report.judge import KINDS as MONITORED

_CHANGES_IN_PLACE = "updated"
_NAMED = 3


class Message(msgspec.Struct, frozen=True):
    """A message that would have gone out."""

    at: datetime
    incident_id: str
    receiver: str
    kind: str
    reason: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An incident with its trail."""

    incident: Incident
    entries: tuple[Entry, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a play came to.

    Attributes
    ----------
    findings
        As they were raised, in order; cleared ones once more at their clearing.
    given_up
        Messages that would be dead letters, with function and reason.
    jobs
        Processing jobs that were judged as they were then.
    unplayed
        Processing jobs that could not be played, each with the reason.
    missing
        Keys of capture files that the events tell of and that are not there: of what they held nothing is known.
    """

    schema: int = 1
    began: datetime | None
    ended: datetime | None
    predictions: int
    events: int
    findings: tuple[Finding, ...]
    incidents: tuple[Told, ...]
    messages: tuple[Message, ...]
    given_up: tuple[tuple[str, str], ...] = ()
    jobs: tuple[str, ...] = ()
    unplayed: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """Something of the recording that the play did not come to, or the other way round."""

    what: str
    recorded: str
    played: str


def gather(player: Player, events: int) -> Outcome:
    """Read the outcome off a player."""
    findings = []
    opened: dict[str, None] = {}
    for event in player.bus.events:
        if event["detail-type"] in {"Finding Raised", "Finding Cleared"}:
            findings.append(msgspec.convert(event["detail"], Finding))
        elif event["detail-type"] == "Incident Opened":
            opened[event["detail"]["incident_id"]] = None
    incidents = tuple(told for one in opened if (told := _load(player, one)) is not None)
    messages = [message for told in incidents for message in list_messages(told)]
    return Outcome(
        began=player.began,
        ended=player.clock.now if player.began else None,
        predictions=sum(count for (name, _), count in player.metrics.sums.items() if name == "Predictions"),
        events=events,
        findings=tuple(findings),
        incidents=incidents,
        messages=tuple(sorted(messages, key=lambda one: (one.at, one.incident_id, one.receiver))),
        given_up=tuple(player.given_up),
        jobs=tuple(player.played),
        unplayed=tuple(player.unplayed.items()),
        missing=tuple(player.missing),
    )


def tell_missing(missing: Sequence[str]) -> str:
    """How many capture files are not there, and which.

    Examples
    --------
    >>> tell_missing(["a", "b", "c", "d", "e"])
    '5 capture files are not there: a, b, c and 2 more'
    """
    files = "1 capture file is" if len(missing) == 1 else f"{len(missing):,} capture files are"
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    return f"{files} not there: {', '.join(missing[:_NAMED])}{more}"


def list_messages(told: Told) -> list[Message]:
    """What would have been sent about an incident."""
    return [
        Message(
            entry.at,
            told.incident.incident_id,
            str(entry.data["receiver"]),
            str(entry.data["kind"]),
            entry.reason,
        )
        for entry in told.entries
        if entry.what == "alert_sent"
    ]


def encode(outcome: Outcome) -> bytes:
    """The outcome as JSON: equal plays give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(outcome, order="deterministic"), indent=2) + b"\n"


def compare(outcome: Outcome, recorded: Iterable[Event], stories: Iterable[Story]) -> list[Difference]:
    """What differs between a play and what was recorded; empty where it is reproduced.

    Compared are findings (identity, kind, severity), incidents (identity, fingerprint, state) and the reasons in
    the trail of each; not times, and not how often a message was changed in place, which depends on the
    minute's luck. Of what monitoring jobs found, the episodes are compared that a played job began; none where a job
    could not be played, for it may have been the one that ended or began any of them. What is elsewhere is left out: a hub's
    archives hold nothing that a spoke forwarded. Where nothing of Sagewatch's own was recorded, nothing is compared.

    Raises
    ------
    RejectedInputError
        What was recorded as a finding is none.
    """
    differences = []
    own, stories = list(recorded), list(stories)
    facts = [event for event in own if event["detail-type"] in {"Finding Raised", "Finding Cleared"}]
    findings = [_read_finding(fact) for fact in facts]
    foreign = _find_foreign(findings, outcome)
    before, after = (
        sorted(
            {
                _tell_finding(one)
                for one in some
                if _is_after(foreign, one.fingerprint, one.raised_at) and is_played([one], outcome)
            }
        )
        for some in (findings, outcome.findings)
    )
    if own and before != after:
        differences.append(Difference("findings", "; ".join(before) or "none", "; ".join(after) or "none"))
    played = {told.incident.incident_id: told for told in outcome.incidents}
    for story in stories:
        if not is_played(story.incident.findings, outcome):
            continue
        name = story.incident.incident_id
        told = played.pop(name, None)
        if told is None:
            differences.append(Difference(f"incident {name}", "opened", "not opened"))
            continue
        differences += _compare_trails(story, told)
    opened = {
        event["detail"].get("incident_id") for event in own if event["detail-type"] == "Incident Opened"
    }
    # A folder of captures, or events without our own facts, tell of nothing that could be missing.
    unknown = played.keys() - opened if own or stories else set()
    differences += [
        Difference(f"incident {name}", "not opened", "opened")
        for name in sorted(unknown)
        if _is_after(foreign, played[name].incident.fingerprint, played[name].incident.opened_at)
        and is_played(played[name].incident.findings, outcome)
    ]
    return differences


def _find_foreign(findings: Iterable[Finding], outcome: Outcome) -> dict[str, datetime | None]:
    """Fingerprints that were found by what a play cannot come to, and when the last of that was over; None: never."""
    ends: dict[str, dict[str, datetime | None]] = {}
    for one in findings:
        if not is_played([one], outcome):
            episodes = ends.setdefault(one.fingerprint, {})
            episodes[one.finding_id] = one.cleared_at or episodes.get(one.finding_id)
    return {
        fingerprint: None if None in (over := episodes.values()) else max(end for end in over if end)
        for fingerprint, episodes in ends.items()
    }


def _is_after(foreign: Mapping[str, datetime | None], fingerprint: str, at: datetime) -> bool:
    """Whether a play can have begun the episode of a fingerprint as it was: its earlier one was over by then."""
    if fingerprint not in foreign:
        return True
    over = foreign[fingerprint]
    return over is not None and at > over


def is_played(findings: Iterable[Finding], outcome: Outcome) -> bool:
    """Whether a play could come to these findings: detectors' it always can, a monitoring job's if it has the job.

    A finding is named after the job that began it: what began before the recording, or without a job, is told apart.
    """
    return all(
        not is_elsewhere(one.endpoint)
        and (
            one.kind not in MONITORED
            or (
                not outcome.unplayed
                and any(one.finding_id == build_content_key(one.fingerprint, job) for job in outcome.jobs)
            )
        )
        for one in findings
    )


def _read_finding(event: Event) -> Finding:
    try:
        return msgspec.convert(event["detail"], Finding)
    except msgspec.ValidationError as error:
        where = f"{event['detail-type']} of {event.get('time') or 'no time'}"
        raise RejectedInputError(f"is no finding: {error}", where=where, key="detail") from None


def list_reasons(entries: Iterable[Entry]) -> list[str]:
    """What happened and why, without times: the story of an incident, for comparison."""
    counts: Counter[str] = Counter()
    for entry in entries:
        receiver, kind = entry.data.get("receiver", ""), entry.data.get("kind", "")
        if kind == _CHANGES_IN_PLACE and receiver:
            continue
        told = f" {kind} to {receiver}" if receiver else ""
        counts[f"{entry.what} ({entry.reason}){told}"] += 1
    return sorted(counts.elements())


def _compare_trails(story: Story, told: Told) -> list[Difference]:
    name = story.incident.incident_id
    found = []
    for field in ("fingerprint", "kind", "subject", "severity", "state"):
        before, after = str(getattr(story.incident, field)), str(getattr(told.incident, field))
        if before != after:
            found.append(Difference(f"{field} of {name}", before, after))
    before_reasons, after_reasons = Counter(list_reasons(story.entries)), Counter(list_reasons(told.entries))
    missing, extra = before_reasons - after_reasons, after_reasons - before_reasons
    if missing or extra:
        found.append(
            Difference(
                f"reasons of {name}",
                "; ".join(sorted(missing.elements())) or "nothing more",
                "; ".join(sorted(extra.elements())) or "nothing more",
            )
        )
    return found


def _tell_finding(finding: Finding) -> str:
    state = "cleared" if finding.cleared_at else f"raised as {finding.severity}"
    return f"{finding.kind} {finding.subject} {finding.finding_id} {state}"


def _load(player: Player, incident_id: str) -> Told | None:
    incident = player.state.load_incident(incident_id)
    if incident is None:
        return None
    return Told(incident=incident, entries=tuple(player.state.load_entries(incident_id)))
