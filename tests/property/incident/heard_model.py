"""What receivers know, from what they heard alone: who was told of which incident, and of its end.

Nothing of the product's books is used but in ``check_books``, which holds them against it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec

from sagewatch.incident.model import Incident

_ID = re.compile(r"\d{8}T\d{6}Z-([0-9a-f]{16})(?:-[0-9a-f]{4})?")
_NAMES = {"stop": "Class stop ", "yield": "Class yield ", "bad": "cannot be read", "none": "No captures for"}
_TRUNCATED = re.compile(r"; and \d+ more")
ENDS = {"resolved", "resolve"}
_NEVER = datetime.min.replace(tzinfo=UTC)


def read_names(heard, names, *, sure=False):
    """Which incidents a message speaks of; all where it lists too many to name each.

    Parameters
    ----------
    names
        By fingerprint.
    sure
        Only those that it names.
    """
    if not sure and _TRUNCATED.search(heard.text.replace("\n", " ")):
        return set(_NAMES)
    by_id = {names[found] for found in _ID.findall(heard.text) if found in names}
    return by_id | {name for name, words in _NAMES.items() if words in " ".join(heard.text.split())}


def find_open_keys(heard):
    """PagerDuty's alerts that were triggered and that nobody closed."""
    open_now = {}
    for one in heard:
        if one.target.endswith("/pagerduty"):
            event = json.loads(one.text)
            if event["event_action"] == "resolve":
                open_now.pop((one.target, event["dedup_key"]), None)
            elif event["event_action"] == "trigger":
                open_now[one.target, event["dedup_key"]] = one
    return open_now


def find_unended(heard, names):
    """At mail and Slack: what was told as firing and never as over afterwards."""
    waiting = {}
    for one in heard:
        if one.target.endswith("/pagerduty") or one.kind == "digest":
            continue
        for name in read_names(one, names, sure=one.kind not in ENDS):
            if one.kind in ENDS:
                waiting.pop((one.target, name), None)
            else:
                waiting[one.target, name] = one
    return waiting


def list_incidents(items):
    """All incidents by id, as they are stored: when each began and ended is nothing that the outbox decides."""
    rows = [row for row in items.rows.values() if row.pk.startswith("incident#") and row.sk == "meta"]
    return {one.incident_id: one for one in (msgspec.json.decode(row.body, type=Incident) for row in rows)}


def list_ends_without_beginning(heard, incidents, names):
    """Mails and Slack messages that say that an incident is over, and nobody had said since the last end that it fires.

    A message of Slack that changes in place shows what is over once more, beside what it tells; a mail speaks of its own.
    Who speaks in a message is known by its id, its company by the name of the finding: where two incidents of that name
    wait for their end, company has told that of neither for certain.
    """
    begun, ended, found = {}, set(), []
    for one in heard:
        if one.target.endswith("/pagerduty") or one.kind == "digest":
            continue
        leads = {match[0] for match in _ID.finditer(one.text)} & incidents.keys()
        if one.kind not in ENDS:
            begun |= {(one.target, name): one.at for name in read_names(one, names)}
            ended -= {(one.target, lead) for lead in leads}
            continue
        waiting = {
            known: names[incident.fingerprint]
            for known, incident in incidents.items()
            if (one.target, known) not in ended
            and incident.opened_at <= begun.get((one.target, names[incident.fingerprint]), _NEVER)
            and (incident.resolved_at or one.at) <= one.at
        }
        company = read_names(one, names, sure=True) - {names[incidents[lead].fingerprint] for lead in leads}
        owed = {name: [known for known in waiting if waiting[known] == name] for name in company}
        told = leads & waiting.keys() or any(owed.values())
        if not told or (
            one.target.endswith("/mail") and not (leads <= waiting.keys() and all(owed.values()))
        ):
            found.append(one)
        ended |= {(one.target, known) for known in leads}
        ended |= {(one.target, known[0]) for known in owed.values() if len(known) == 1}
    return found


def check_books(story, names, *, is_certain):
    """What the books say of each incident, and ``sagewatch explain`` by them, is what the receivers heard.

    Parameters
    ----------
    is_certain
        Nobody died and no answer was lost: the books know all.
    """
    for incident in list_incidents(story.items).values():
        name = names[incident.fingerprint]
        for debt in story.world.state.load_debts(incident.incident_id):
            about = [
                one
                for one in story.ears.heard
                if one.target == debt.receiver
                and one.at >= incident.opened_at
                and (name in read_names(one, names) or one.target.endswith("/pagerduty"))
            ]
            if debt.told == "resolved":
                assert any(one.kind in ENDS and one.at == debt.told_at for one in about), (debt, about)
            if is_certain:
                assert debt.told != "closed", debt
                if debt.told == "resolved" and debt.receiver.endswith("/mail"):
                    # Where a message can change, who joined it and was over is in its last word alone.
                    assert any(one.kind not in ENDS and one.kind != "digest" for one in about), debt
                if debt.told == "spared":
                    # The id of another that opened in the same second begins with it.
                    leads = [{match[0] for match in _ID.finditer(one.text)} for one in about]
                    mine = [ids for ids in leads if incident.incident_id in ids]
                    assert not mine, (debt, mine)
                if debt.told == "digested":
                    assert any(one.kind in {"digest", "trigger"} for one in about), debt
