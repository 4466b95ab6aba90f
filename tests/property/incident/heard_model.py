"""What receivers know, from what they heard alone: who was told of which incident, and of its end.

Nothing of the product's books is used but in ``check_books``, which holds them against it.
"""

from __future__ import annotations

import json
import re

import msgspec

from sagewatch.incident.model import Incident

_ID = re.compile(r"\d{8}T\d{6}Z-([0-9a-f]{16})(?:-[0-9a-f]{4})?")
_NAMES = {"stop": "Class stop ", "yield": "Class yield ", "bad": "cannot be read", "none": "No captures for"}
_TRUNCATED = re.compile(r"; and \d+ more")
ENDS = {"resolved", "resolve"}


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
                open_now.pop(event["dedup_key"], None)
            elif event["event_action"] == "trigger":
                open_now[event["dedup_key"]] = one
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


def list_ends_without_beginning(heard, names):
    """Mails and Slack messages that say that an incident is over, and nobody had said since the last end that it fires.

    A message of Slack that changes in place shows what is over once more, beside what it tells; a mail speaks of its own.
    """
    told, found = set(), []
    for one in heard:
        if one.target.endswith("/pagerduty") or one.kind == "digest":
            continue
        mentioned = {(one.target, name) for name in read_names(one, names)}
        if one.kind not in ENDS:
            told |= mentioned
            continue
        lead = {(one.target, names[mark]) for mark in _ID.findall(one.text) if mark in names}
        if not mentioned & told or (one.target.endswith("/mail") and lead - told):
            found.append(one)
        # Of the others it names the finding alone, and one that was over long ago may fire anew beside it.
        told -= lead
    return found


def check_books(story, names, *, is_certain):
    """What the books say of each incident, and ``sagewatch explain`` by them, is what the receivers heard.

    Parameters
    ----------
    is_certain
        Nobody died and no answer was lost: the books know all.
    """
    rows = [row for row in story.items.rows.values() if row.pk.startswith("incident#") and row.sk == "meta"]
    for incident in (msgspec.json.decode(row.body, type=Incident) for row in rows):
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
                    mine = [one for one in about if incident.incident_id in one.text]
                    assert not mine, (debt, mine)
                if debt.told == "digested":
                    assert any(one.kind in {"digest", "trigger"} for one in about), debt
