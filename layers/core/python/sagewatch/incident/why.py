"""Why an incident went as it did: each line of its trail as a sentence, with its reason code."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sagewatch.incident.amounts import clean_text, format_duration, format_time
from sagewatch.incident.doing import DIAGNOSIS_REASONS
from sagewatch.incident.entries import order_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagewatch.incident.model import Debt, Entry

REASONS = {
    "threshold_crossed": "the detector's threshold was crossed",
    "evidence_grew": "the evidence grew",
    "finding_added": "another finding of the same fingerprint joined",
    "worse_than_resolved": "it got worse after a person had resolved it",
    "new_incident": "it had not been told yet",
    "resolved_before_told": "it was over before it could be told; both are told, in order",
    "resolve_owed": "who was told that it fires is owed the end",
    "incident_joined": "more incidents joined the message, and the group's interval was over",
    "worse_incident_joined": "a worse incident joined the message; that does not wait",
    "severity_rose": "it is worse than who heard of it knew; that does not wait",
    "still_firing": "nobody acknowledged, and the repeat interval was over",
    "acknowledged_but_open": "it is acknowledged, still open, and the reminder was due",
    "news": "the incident changed, and the channel can change its message",
    "flapping": "it opens more often than its budget allows, so it is summed up",
    "digest_over": "what was summed up is over, and the channel keeps a summary open until it hears so",
    "over_while_muted": "it came and went while it was muted",
    "no_route_any_more": "no route led to that receiver any more before it was told",
    "escalation_stopped": "somebody looked after it, or it was over, before the escalation was told",
    "resolve_owed_alone": "who was told that it fires is owed the end, and the message that told of it had ended without it",
    "resolved_with_its_group": "what told of it was closed by its key already",
    "still_firing_unmuted": "it still fires, and the message that told of it ended while it was muted",
    "perhaps_told": "it may have been told as firing before a crash kept that from the books, so its end is owed",
    "evidence_fell_back": "the evidence fell back",
    "no_longer_judged": "it is no longer judged: monitors.yml (or a new version of Sagewatch) took its detector out or set it anew, which says nothing of the evidence",
    "evidence_stayed_away": "the evidence stayed away long enough",
    "silenced": "a silence matches it",
    "in_window": "it falls into a maintenance window",
    "inhibited": "another incident that is open explains it",
    "staged": "its detector is on trial",
    "row_unreadable": "its row of the state table was damaged, or a newer version wrote it",
    "receiver_gone": "monitors.yml named that receiver, or that channel of it, no more; what it has open is to be closed there by hand unless it is named again within a day of its end",
    "no_receiver": "nobody is to hear of it",
    "got_worse": "its severity rose",
    "by_hand": "somebody decided so",
    "lease_taken": "nobody else diagnoses the endpoint",
    "swap_asked_for": "the endpoint's own configuration was read and cloned",
    "hooked_config_verified": "SageMaker names the recording configuration",
    "enough_recorded": "enough requests were recorded",
    "observation_over": "the time to record was up",
    "job_begun": "what was recorded is there",
    "original_config_verified": "SageMaker names the endpoint's own configuration",
    "nothing_of_ours_left": "the recording configuration and model are deleted",
    "explained": "there are heat maps",
    "measured": "it was over",
    "ratelimited": "the channel asked to be called less often",
    "channel_not_found": "the channel does not exist",
    "invalid_auth": "the channel does not know the token",
}
"""Reason codes of incidents and alerts, in words."""

_WHERE_MEANT_OTHERWISE = {("incident_opened", "new_incident"): "no incident of that fingerprint was open"}
"""Codes that say one thing of a message and another of the incident."""

_CAME_BACK = "monitors.yml did not name that receiver, or that channel of it, then"
"""Why an end could not be told that was told later: nobody need close anything."""

_FACTS = {
    "finding_raised": "A detector raised a finding",
    "finding_cleared": "A finding cleared",
    "incident_opened": "The incident was opened",
    "incident_acknowledged": "The incident was acknowledged",
    "acknowledgement_lapsed": "What was acknowledged was milder: somebody has to look after it anew",
    "incident_silenced": "The incident was silenced",
    "silence_ended": "A silence that matches it was ended before its time",
    "incident_promoted": "People are told although the detector is on trial",
    "incident_resolved": "The incident was resolved",
    "diagnosis_asked_for": "A diagnosis was asked for",
    "diagnosis_stop_asked": "The endpoint was asked back",
    "diagnosis_started": "A diagnosis began",
    "diagnosis_swapping": "The endpoint was asked to record",
    "diagnosis_observing": "The endpoint records",
    "diagnosis_restoring": "The endpoint is on its way back",
    "diagnosis_explaining": "The heat maps are being made",
    "diagnosis_finished": "The diagnosis finished",
    "diagnosis_abandoned": "The diagnosis was abandoned",
    "diagnosis_off": "No diagnosis was made",
    "diagnosis_waits": "The diagnosis waits",
    "diagnosis_impossible": "No diagnosis can be made",
    "diagnosis_refused": "A step of the diagnosis was refused",
    "diagnosis_way_back_refused": "The way back was refused; it is asked again in another way",
    "diagnosis_held_up": "A step of the diagnosis is tried again",
    "diagnosis_cost": "The diagnosis was added up",
    "diagnosis_compared": "The heat maps were compared",
    "severity_rose": "The severity rose",
    "alert_sent": "A message was sent",
    "alert_spared": "Nobody was told",
    "alert_withheld": "Nobody is told",
    "alert_left_open": "The end could not be told",
    "pictures_shared": "Heat maps were put into the thread",
    "alert_delayed": "A message could not be sent and is tried again",
    "alert_refused": "A message was refused for good and is a dead letter",
}
_AT_A_RECEIVER = frozenset({"alert_spared", "pictures_shared"})
_LIMIT = 200
_WORDS = 400
"""Of what AWS says, or of why an endpoint cannot be hooked."""


def tell_trail(entries: Iterable[Entry], debts: Iterable[tuple[Debt, str]]) -> Iterator[str]:
    """The decisions in order of time, then what each receiver has been told, is owed, and why it waits.

    Parameters
    ----------
    debts
        Each with what stands between it and the receiver now, in words; empty where nothing does.
    """
    known = list(debts)
    owed = {debt.receiver for debt, _ in known if debt.told == "firing"}
    for entry in order_entries(entries):
        came_back = entry.what == "alert_left_open" and entry.data.get("receiver") not in owed
        yield _tell_entry(entry, _CAME_BACK if came_back else "")
    for debt, wait in sorted(known, key=lambda one: one[0].receiver):
        route = f" It hears by the route {clean_text(debt.route, _LIMIT)}." if debt.route else ""
        yield f"{_tell_debt(debt)}{f' {wait}' if wait else ''}{route}"


def _tell_entry(entry: Entry, why: str = "") -> str:
    what = _FACTS.get(entry.what, clean_text(entry.what, _LIMIT).replace("_", " "))
    kind, receiver = entry.data.get("kind"), entry.data.get("receiver")
    said = f" ({kind})" if kind and entry.what.startswith("alert") else ""
    where_or_whom = "at" if entry.what in _AT_A_RECEIVER else "to"
    whom = f" {where_or_whom} {clean_text(str(receiver), _LIMIT)}" if receiver else ""
    why = why or _WHERE_MEANT_OTHERWISE.get((entry.what, entry.reason)) or _tell_reason(entry.reason)
    after = entry.data.get("retry_after_seconds")
    later = f"; next try after {format_duration(float(after))}" if isinstance(after, int | float) else ""
    until = entry.data.get("until")
    if entry.what == "alert_withheld" and until:
        later = f", until {format_time(datetime.fromisoformat(str(until)))}"
    config = entry.data.get("original_config")
    where = f" (original_config {clean_text(str(config), _LIMIT)})" if config else ""
    words = entry.data.get("why")
    more = f" ({clean_text(str(words), _WORDS)})" if words else ""
    note = entry.data.get("note")
    noted = f' "{clean_text(str(note), _LIMIT)}"' if note and note != why else ""
    return (
        f"{format_time(entry.at)}  {what}{where}{said}{whom}, because {why}{more}{later}{noted}. "
        f"[{entry.reason}, by {clean_text(entry.by, _LIMIT)}]"
    )


def _tell_reason(reason: str) -> str:
    known = REASONS.get(reason) or DIAGNOSIS_REASONS.get(reason)
    return known or clean_text(reason, _LIMIT).replace("_", " ")


def _tell_debt(debt: Debt) -> str:
    name = clean_text(debt.receiver, _LIMIT)
    if debt.told is None:
        return f"{name} has been told nothing yet."
    at = f" at {format_time(debt.told_at)}" if debt.told_at else ""
    if debt.told == "firing" and not at:
        return f"{name} may have been told that it fires, and is owed the end."
    ends = {
        "firing": f"{name} was told that it fires{at} and is owed the end.",
        "resolved": f"{name} was told of the end{at} and is owed nothing.",
        "spared": f"{name} was told nothing: it was over before it was to hear of it.",
        "digested": f"{name} heard of it in a summary{at}.",
        "closed": f"{name} is owed nothing: the alert that told of it, or may have, was closed by its key.",
    }
    return ends.get(debt.told, f"{name}: {debt.told}{at}.")
