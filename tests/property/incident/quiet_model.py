"""Who is muted by whom, said a second time and in another way: what the state machine holds the product against.

Nothing of ``incident.muting`` is used: the rows of incidents as they are stored, two rules, and a closure over them.
"""

from __future__ import annotations

import re

import msgspec

from sagewatch.finding import Severity
from sagewatch.incident.model import Entry, Incident, State

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}(?:-[0-9a-f]{4})?")
INHIBIT = """
inhibit:
  - {when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}
  - {when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}
"""


def list_unresolved(items):
    """The incidents that are not over, as they are stored."""
    rows = [row for row in items.rows.values() if row.pk.startswith("incident#") and row.sk == "meta"]
    incidents = [msgspec.json.decode(row.body, type=Incident) for row in rows]
    return {one.incident_id: one for one in incidents if one.state is not State.RESOLVED}


def is_away(incident):
    """Whether all that was found of it is over, as it is stored."""
    return all(one.cleared_at is not None for one in incident.findings)


def list_entries(items, incident_id):
    """Its trail."""
    rows = [row for row in items.rows.values() if row.pk == f"incident#{incident_id}"]
    return [msgspec.json.decode(row.body, type=Entry) for row in rows if row.sk.startswith("event#")]


def find_end(items, incident, otherwise):
    """Until when it explained others: until somebody wrote down that it is over, by its trail."""
    ends = [one.at for one in list_entries(items, incident.incident_id) if one.what == "incident_resolved"]
    return max((incident.resolved_at or otherwise, *ends))


def find_severity(items, incident, at):
    """The incident as bad as it was at that moment, by its trail: it only ever rises, from warning to critical."""
    entries = list_entries(items, incident.incident_id)
    rises = [one.at for one in entries if one.what == "severity_rose"]
    before = Severity.WARNING if any(at < rise for rise in rises) else incident.severity
    return msgspec.structs.replace(incident, severity=before)


def find_inhibited(unresolved):
    """Ids that the two rules of ``INHIBIT`` mute: those somebody explains, but for the first of a circle of its own."""
    explains = {
        name: {
            other.incident_id
            for other in unresolved.values()
            if not one.staged
            and (
                (one.kind, other.kind) == ("rejected", "no-data")
                or (one.severity, other.severity) == ("critical", "warning")
            )
        }
        for name, one in unresolved.items()
    }
    reach = {name: set(explained) for name, explained in explains.items()}
    for middle, beyond in reach.items():  # Warshall
        for reached in (one for one in reach.values() if middle in one):
            reached.update(beyond)
    muted = set().union(*explains.values()) if explains else set()
    for name in list(muted):
        before = {one for one in reach if name in reach[one]}
        circle = {one for one in reach[name] if one in before}
        if name in circle and before <= circle and name == min(circle):
            muted.discard(name)
    return muted


def list_mentioned(text, unresolved, over=frozenset()):
    """The unresolved incidents that a message speaks of: by their id, or by their class.

    Parameters
    ----------
    over
        Classes of which the message may tell that an earlier incident is over: of those the id alone counts.
    """
    named = set(_ID.findall(text))
    by_class = {
        one.incident_id
        for one in unresolved.values()
        if one.subject not in over and f"Class {one.subject} " in text
    }
    return (named | by_class) & unresolved.keys()


def list_over_and_untold(items, target):
    """Classes of incidents that are over, whose end the target has not been told: its message shows them still."""
    rows = [row for row in items.rows.values() if row.pk.startswith("incident#")]
    debts = {
        row.pk
        for row in rows
        if row.sk == f"outbox#{target}" and msgspec.json.decode(row.body).get("told") in {None, "firing"}
    }
    ended = [
        msgspec.json.decode(row.body, type=Incident) for row in rows if row.sk == "meta" and row.pk in debts
    ]
    return frozenset(one.subject for one in ended if one.state is State.RESOLVED)


def list_over_and_new(items, target, text):
    """Incidents that a message names, that are over, and of which the target has been told nothing yet."""
    rows = [row for row in items.rows.values() if row.pk.startswith("incident#")]
    told = {
        row.pk
        for row in rows
        if row.sk == f"outbox#{target}" and msgspec.json.decode(row.body).get("told") is not None
    }
    metas = [
        msgspec.json.decode(row.body, type=Incident)
        for row in rows
        if row.sk == "meta" and row.pk not in told
    ]
    named = set(_ID.findall(text))
    return [one.incident_id for one in metas if one.state is State.RESOLVED and one.incident_id in named]


def find_thread(heard, kinds):
    """What a message belongs to: PagerDuty's key, or the kind of what it is about at a target.

    Parameters
    ----------
    kinds
        By fingerprint.
    """
    key = re.search(r'"dedup_key": "([^"]+)"', heard.text)
    return heard.target, key[1] if key else kinds[_ID.search(heard.text)[0].split("-")[1]]
