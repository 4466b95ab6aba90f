"""The audit trail on the page: every event in words, in order of time."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sagewatch.evidence.markup import Markup, foreign, tag
from sagewatch.incident.amounts import clean_text, format_dollars_at_most, format_duration, format_time
from sagewatch.incident.entries import order_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sagewatch.incident.model import Entry

FIRST_SHOWN = 10
LATEST_SHOWN = 50

_FACTS = {
    "finding_raised": "The detector raised the finding",
    "finding_cleared": "The evidence fell back",
    "incident_opened": "Incident opened",
    "incident_acknowledged": "Acknowledged",
    "acknowledgement_lapsed": "The acknowledgement lapsed: it was of something milder",
    "diagnosis_asked_for": "A diagnosis was asked for",
    "diagnosis_stop_asked": "The endpoint was asked back",
    "incident_resolved": "Incident resolved",
    "severity_rose": "Severity rose",
    "alert_sent": "Alert sent",
    "diagnosis_started": "Diagnosis begins: the endpoint is leased for it",
    "diagnosis_swapping": "Moving the endpoint to the recording configuration",
    "diagnosis_observing": "Recording configuration verified in service",
    "diagnosis_restoring": "Moving the endpoint back",
    "diagnosis_explaining": "Computing heat maps",
    "diagnosis_finished": "Diagnosis finished",
    "diagnosis_abandoned": "Diagnosis abandoned",
    "diagnosis_off": "No diagnosis",
    "diagnosis_waits": "The endpoint is being updated: a diagnosis waits for that",
    "diagnosis_impossible": "The endpoint cannot be diagnosed",
    "diagnosis_refused": "AWS refused a step of the diagnosis",
    "diagnosis_way_back_refused": "AWS refused the way back: it is asked again, by the deployment policy and all at once in turn",
    "diagnosis_held_up": "Not possible now: tried again until it works",
    "diagnosis_cost": "What the diagnosis cost",
    "diagnosis_compared": "Where the model looks",
}

_BY_REASON = {
    "enough_recorded": "Enough recorded: moving the endpoint back",
    "incident_resolved": "The incident is over: moving the endpoint back",
    "incident_is_silenced": "The incident was silenced: moving the endpoint back",
    "incident_is_in_window": "A maintenance window began: moving the endpoint back",
    "switched_off": "Swaps are switched off: moving the endpoint back",
    "restored_by_somebody": "Somebody else moved the endpoint back",
    "job_begun": "Heat maps begin",
    "job_overdue": "The saliency job takes too long and is stopped",
    "endpoint_is_stuck": "The endpoint has been changing for too long; nothing can be done but wait",
    "original_was_deleted": "The endpoint's own configuration or model was deleted: made again, and asked to go back",
    "hooked_after_the_end": "The endpoint recorded again after the end: asked to go back",
    "made_after_the_end": "Something of ours was made after the end: deleted",
    "restore_overdue": "The endpoint is not back in time; asked again",
    "could_not_delete": "AWS refused to delete the recording configuration: a person has to",
    "observation_over": "Time to record is up: moving the endpoint back",
    "original_config_verified": "Original configuration verified in service",
    "nothing_of_ours_left": "Recording configuration deleted; computing heat maps",
    "update_rolled_back": "SageMaker rolled the swap back",
    "swap_never_made": "Each attempt at the swap was cut short before AWS was asked for it",
    "job_was_missing": "The saliency job was missing and is started again",
    "operator_changed_endpoint": "Somebody else changed the endpoint: hands off",
}
"""Where the reason says more than the stage does."""

_SAYS_NOTHING = frozenset({
    "new_incident", "explained", "news", "resolve_owed", "lease_taken", "swap_asked_for", "hooked_config_verified",
    "restore_asked_for", "measured", "endpoint_cannot_be_hooked", "endpoint_is_updating", "no_longer_judged", *_BY_REASON,
})  # fmt: skip
_UNTOLD = frozenset({"finding_id", "kind", "receiver"})


def build_trail(entries: Iterable[Entry]) -> list[Markup]:
    """The list of events. Where they are many, those between the first, which say how it began, and the latest are folded away."""
    ordered = order_entries(entries)
    dated = len({entry.at.date() for entry in ordered}) > 1
    if len(ordered) <= FIRST_SHOWN + LATEST_SHOWN:
        return [_list_events(ordered, dated=dated)] if ordered else []
    between = ordered[FIRST_SHOWN:-LATEST_SHOWN]
    folded = tag(
        "details", tag("summary", f"{len(between):,} events between"), _list_events(between, dated=dated)
    )
    first, latest = ordered[:FIRST_SHOWN], ordered[-LATEST_SHOWN:]
    return [_list_events(first, dated=dated), folded, _list_events(latest, dated=dated)]


def _list_events(entries: Sequence[Entry], *, dated: bool) -> Markup:
    """The events in order; where the incident lasted for days, each day by its name."""
    days = groupby(entries, key=lambda entry: entry.at.date())
    items = (
        (tag("li", f"{day:%d %b %Y}", class_="day") if dated else None, [_build_entry(one) for one in each])
        for day, each in days
    )
    return tag("ol", items, class_="events")


def build_time(at: datetime, *, dated: bool = False) -> Markup:
    """A time of day; its date is in the element and its title, and where asked for beside it."""
    shown = f"{at:%d %b %H:%M:%S}" if dated else f"{at:%H:%M:%S}"
    return tag("time", shown, datetime=at.isoformat(), title=format_time(at))


def tell_reason(reason: str) -> str:
    """A reason code in words."""
    return clean_text(reason, 80).replace("_", " ")


def _build_entry(entry: Entry) -> Markup:
    what = _tell_fact(entry)
    details = _tell_details(entry)
    reason = tell_reason(entry.reason)
    if entry.reason in _SAYS_NOTHING or reason in what.lower():
        reason = ""
    return tag(
        "li",
        build_time(entry.at),
        tag("div", tag("strong", what), tag("span", f" {reason}", class_="reason") if reason else None,
            tag("span", foreign(details, 600), class_="data") if details else None),
        tag("span", foreign(entry.by, 60), class_="by"),
        class_=f"event {_find_group(entry.what)}",
    )  # fmt: skip


def _tell_fact(entry: Entry) -> str:
    if entry.what == "alert_sent" and entry.data.get("kind") == "updated":
        return "Alert changed in place"
    if entry.what == "finding_cleared" and entry.reason == "no_longer_judged":
        return "No longer judged: its detector was taken out or set anew"
    known = _FACTS.get(entry.what)
    if entry.what.startswith("diagnosis_") and not entry.what.endswith(
        ("_finished", "_off", "_held_up", "_refused", "_impossible", "_waits", "_cost", "_compared")
    ):
        known = _BY_REASON.get(entry.reason, known)
    return known or clean_text(entry.what, 80).replace("_", " ").capitalize()


def list_costs(data: Mapping[str, str | int | float | bool | None]) -> list[tuple[str, str]]:
    """What a diagnosis cost, as labels and values: time, latency, money; what is not known is left out."""
    facts = []
    if "hooked_seconds" in data:
        facts.append(("Recorded tensors for", format_duration(float(data["hooked_seconds"] or 0))))
    if "added_milliseconds_a_request" in data:
        facts.append(
            (
                "Added to a recorded answer",
                f"{data['added_milliseconds_a_request']} ms, the median (its backward pass)",
            )
        )
    if "job_seconds" in data:
        lasted = format_duration(float(data["job_seconds"] or 0))
        facts.append(("Saliency job", f"{lasted} on {data.get('job_instance', 'an instance')}"))
    amounts = [float(data[name] or 0) for name in ("job_usd", "second_fleet_usd_at_most") if name in data]
    if amounts:
        facts.append(("Money", f"at most {format_dollars_at_most(sum(amounts))} ({data.get('prices', '')})"))
    return facts


def _tell_details(entry: Entry) -> str:
    """The facts beside an event, without those that say nothing here."""
    if entry.what == "diagnosis_cost":
        return "; ".join(f"{label.lower()} {value}" for label, value in list_costs(entry.data))
    if entry.what == "diagnosis_compared":
        return str(entry.data.get("said", ""))
    told = [
        f"{key.replace('_', ' ')} {_tell_value(value)}"
        for key, value in entry.data.items()
        if key not in _UNTOLD and value not in {None, 0}
    ]
    if "receiver" in entry.data:
        told.insert(0, f"{entry.data.get('kind', '')} to {entry.data['receiver']}".strip())
    return ", ".join(told)


def _find_group(what: str) -> str:
    group = what.partition("_")[0]
    return group if group in {"finding", "incident", "alert", "diagnosis"} else "other"


def _tell_value(value: str | float | bool | None) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
