"""What a hold, an acknowledgement and a deployment promise, said a second time by what is stored and what was heard."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from itertools import pairwise

from sagewatch.incident.model import State
from tests.property.incident.heard_model import ENDS, list_incidents
from tests.property.incident.quiet_model import is_away, list_mentioned, list_over_and_untold

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}(?:-[0-9a-f]{4})?")
BOSS, EXTRA = "boss/slack", "extra/slack"
LONG_OVER = timedelta(hours=1, minutes=1)


def write_monitors(base, *, escalates, extra):
    """monitors.yml with an escalation and a receiver of what is critical, and with one receiver more of everything."""
    receivers, routes, escalate = [], [], ""
    if escalates:
        receivers.append('  boss: {slack: {channel: "#boss", token: "secret:sagewatch/slack"}}')
        receivers.append('  critical: {pagerduty: {key: "secret:sagewatch/critical"}}')
        routes.append('    - {match: ["severity=critical"], receiver: critical, continue: true}')
        escalate = "  escalate: [{after: 10m, receiver: boss}]\n"
    if extra:
        receivers.append('  extra: {slack: {channel: "#extra", token: "secret:sagewatch/slack"}}')
        routes.append('    - {match: ["endpoint=signs"], receiver: extra, continue: true}')
    if not receivers:
        return base
    routes.append('    - {match: ["endpoint=signs"], receiver: on-call}')
    text = base.replace("receivers:\n", "\n".join(["receivers:", *receivers, ""]))
    return text + "\n".join(["routes:", "  receiver: on-call", escalate + "  routes:", *routes, ""])


def list_too_close(incidents, hold):
    """Two of a fingerprint of which the latter began within the hold of the former: that was one."""
    ordered = sorted(incidents, key=lambda one: (one.fingerprint, one.opened_at))
    return [
        (one.incident_id, other.incident_id)
        for one, other in pairwise(ordered)
        if one.fingerprint == other.fingerprint
        and not one.resolved_by_hand
        and one.resolved_at <= other.opened_at < one.resolved_at + hold
    ]


class Witness:
    """Stands beside the receivers, and looks into the store at the moment in which each message arrives."""

    def __init__(self, items):
        self.items = items
        self.heard_of = {}  # who heard of whom: incidents by target
        self.spoken_of = {}  # when a target last heard of a class
        self.told_by_key = {}  # PagerDuty's keys: the incidents that spoke in their triggers
        self.taken = {}  # as what somebody acknowledged an incident
        self.ended_at = {}
        self.named_at = None  # since when monitors.yml names the receiver that is new
        self.faults = []

    def note_hand(self, incident_id):
        """Somebody acknowledges it now, as bad as it is."""
        one = list_incidents(self.items).get(incident_id)
        if one is not None:
            self.taken[incident_id] = one.severity

    def has_heard(self, target, incident):
        return incident.incident_id in self.heard_of.get(target, {})

    def note(self, heard, *, is_sure, is_muted):
        """A message arrived.

        Parameters
        ----------
        is_sure
            Nobody has died, and no answer was lost: then nothing is told of what is known no more.
        is_muted
            Whether something may mute an incident now.
        """
        incidents = list_incidents(self.items)
        leads = {found for found in _ID.findall(heard.text) if found in incidents}
        if heard.kind in ENDS:
            for lead in leads:
                self.ended_at.setdefault(lead, heard.at)
            return
        if heard.kind == "acknowledge":
            self._note_acknowledge(heard, incidents, is_sure, is_muted)
            return
        self._note_reminder(heard, incidents, leads, is_sure)
        if heard.kind == "digest" or '-digest"' in heard.text:
            return  # it may begin by itself yet
        self._note_first_words(heard, incidents, leads, is_sure)
        if heard.target.endswith("/pagerduty"):
            key = heard.target, json.loads(heard.text)["dedup_key"]
            self.told_by_key.setdefault(key, set()).update(leads)

    def _note_reminder(self, heard, incidents, leads, is_sure):
        """Of what is away nobody is reminded, or told that it got worse; company that joined is another matter."""
        if not is_sure or heard.kind not in {"repeated", "worsened"}:
            return
        own = {incidents[name].subject for name in leads}
        company = {one.subject for one in incidents.values() if f"Class {one.subject} " in heard.text} - own
        if not company and all(is_away(incidents[name]) for name in leads):
            self.faults.append(("speaks of what is away", heard.target, heard.kind, leads, heard.at))

    def _note_first_words(self, heard, incidents, leads, is_sure):
        known = self.heard_of.setdefault(heard.target, {})
        unresolved = {name: one for name, one in incidents.items() if one.state is not State.RESOLVED}
        over = list_over_and_untold(self.items, heard.target)
        for name in (list_mentioned(heard.text, unresolved, over) | leads) - known.keys():
            one = incidents[name]
            # Company is known by its class alone: where an earlier one had the same, nobody knows of which a message spoke.
            spoken = self.spoken_of.get((heard.target, one.subject))
            is_first = spoken is None or (name in leads and spoken < one.opened_at)
            if is_sure and is_first:
                self.faults += self._list_faults(heard, one, is_lead=name in leads)
            known[name] = heard.at
        for one in incidents.values():
            if one.incident_id in leads or f"Class {one.subject} " in heard.text:
                self.spoken_of[heard.target, one.subject] = heard.at

    def _list_faults(self, heard, one, *, is_lead):
        """What is wrong with a first word."""
        if one.state is not State.RESOLVED and is_away(one):
            yield ("begins while it is away", heard.target, heard.kind, one.incident_id, heard.at)
        if heard.target == BOSS and is_lead and one.state is not State.OPEN:
            yield ("escalates what somebody looks after", heard.target, one.incident_id, heard.at)
        ended = self.ended_at.get(one.incident_id)
        if heard.target == EXTRA and ended is not None and self.named_at > ended + LONG_OVER:
            yield ("begins long after its end", heard.target, one.incident_id, heard.at)

    def _note_acknowledge(self, heard, incidents, is_sure, is_muted):
        key = heard.target, json.loads(heard.text)["dedup_key"]
        for name in self.told_by_key.get(key, ()):
            one = incidents[name]
            if not is_sure or one.state is State.RESOLVED or is_muted(one):
                continue
            taken = self.taken.get(name)
            if taken is None or taken.rank < one.severity.rank:
                self.faults.append(("acknowledged by nobody", heard.target, name, taken, heard.at))

    def check(self):
        assert not self.faults, self.faults
