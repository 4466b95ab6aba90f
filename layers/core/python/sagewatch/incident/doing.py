"""What Sagewatch is doing about an incident, in a sentence or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sagewatch.incident.amounts import clean_text

if TYPE_CHECKING:
    from sagewatch.incident.model import Incident, Progress

_REASON_LIMIT = 80

DIAGNOSABLE: Final = frozenset({"class-concentration", "fixed-share", "confidence"})
"""Kinds that a diagnosis can explain: those about what the model made of inputs that can be read."""

_WATCHING: Final = {
    "no-data": "Watching: the next capture file that arrives ends this.",
    "rejected": "Watching: this ends when records can be read again. What cannot be read cannot be diagnosed.",
    "job-failed": "Waiting for a run of the schedule that works: it ends this.",
    **dict.fromkeys(
        ("data-quality", "model-quality", "bias", "attribution"),
        "Waiting for the schedule's next run: this ends when runs find nothing.",
    ),
}
"""What happens by itself to an incident that is not diagnosed."""

_STAGES = {
    "swapping": "Diagnosing: moving the endpoint to a clone of its configuration that records tensors.",
    "observing": "Diagnosing: the endpoint records tensors of live requests; the original configuration "
    "comes back when there are enough.",
    "restoring": "Diagnosing: moving the endpoint back to its original configuration.",
    "explaining": "Diagnosing: the original configuration is back; heat maps are being computed.",
}

WAY_BACK_REFUSED = "way_back_refused"
"""Reason code of a stage in which AWS said no to each way back."""

_REFUSED_BACK = (
    "Diagnosing: AWS refuses to let Sagewatch move the endpoint back, and it records on. That is asked again every "
    "minute; the trail has AWS's own words. Mend what they name, or update the endpoint to its own configuration by hand."
)

DIAGNOSIS_REASONS = {
    "no_tensors": "no tensors were recorded while it was observed: no request came, its code has no hook, or its role "
    "may not write to the evidence bucket",
    "rolled_back": "SageMaker rolled the swap back",
    "swap_never_made": "each attempt at the swap was cut short before AWS was asked for it",
    "endpoint_is_updating": "the endpoint is being updated; it begins by itself once that is over",
    "swap_overdue": "the swap took too long",
    "swap_refused": "AWS refused the swap",
    "switched_off": "swaps are switched off",
    "stopped_by_hand": "somebody asked for the endpoint back",
    "incident_resolved": "the incident was over before anything was recorded",
    "job_refused": "AWS refused the saliency job",
    "job_left_nothing": "the saliency job left nothing behind",
    "endpoint_cannot_be_hooked": "this endpoint's model cannot be made to record",
    "model_is_gone": "the model behind the endpoint is gone",
    "config_is_gone": "the endpoint's configuration is gone",
    "job_failed": "the saliency job failed",
    "job_overdue": "the saliency job took too long",
    "job_never_started": "the saliency job never started",
    "endpoint_is_gone": "the endpoint is gone",
    "endpoint_failed": "the endpoint failed",
    "operator_changed_endpoint": "somebody else changed the endpoint meanwhile",
    "mode_is_off": "it is switched off for this endpoint",
    "mode_is_replay": "this endpoint is diagnosed by replay only",
    "incident_is_silenced": "the incident is silenced",
    "incident_is_in_window": "it is a maintenance window",
    "incident_is_inhibited": "another open incident explains it",
    "incident_is_staged": "its detector is on trial",
    "already_diagnosed": "this incident was diagnosed before",
    "endpoint_is_leased": "another diagnosis of this endpoint is running",
    "cooling_down": "this endpoint was diagnosed a short while ago",
    "daily_budget_used": "today's diagnoses of this endpoint are used up",
}
"""Reason codes of diagnoses, in words."""

_LET_GO = frozenset({"operator_changed_endpoint", "endpoint_failed", "endpoint_is_gone"})

RUNNING = frozenset(_STAGES)
"""Stages in which the diagnosis still goes on."""


def tell_doing(incident: Incident) -> str:
    """What Sagewatch does, did, or leaves alone, and in which state the endpoint is.

    Examples
    --------
    >>> from sagewatch.incident.model import Progress
    >>> from datetime import UTC, datetime
    >>> tell_progress(Progress("off", "cooling_down", datetime(2026, 11, 21, tzinfo=UTC)))
    'No diagnosis: this endpoint was diagnosed a short while ago.'
    """
    if incident.diagnosis is not None:
        return tell_progress(incident.diagnosis)
    if incident.kind not in DIAGNOSABLE:
        return "Nothing more." if incident.resolved_at else _WATCHING.get(incident.kind, "Watching.")
    if incident.resolved_at is not None:
        how = "no longer judged" if incident.ended_unjudged else "over"
        return f"Nothing more: it was {how} before a diagnosis began."
    return "Watching. A diagnosis, where one is allowed, begins within seconds; the incident page follows it."


def tell_progress(progress: Progress) -> str:
    """The stage of a diagnosis in words."""
    if not progress.touched and progress.stage in {*_STAGES, "finished"}:
        return _tell_replay(progress)
    reason = _tell_reason(progress)
    if progress.stage == "explaining" and progress.reason in _LET_GO:
        return f"Diagnosing: {reason}, and Sagewatch leaves it alone; heat maps are being computed."
    if progress.stage in _STAGES and progress.reason == WAY_BACK_REFUSED:
        return _REFUSED_BACK
    if progress.stage in _STAGES:
        return _STAGES[progress.stage]
    if progress.stage == "finished" and progress.explained:
        return f"Diagnosed: {_count_inputs(progress)} explained with heat maps; the original configuration is back."
    if progress.stage == "finished":
        return f"Diagnosis ended without heat maps: {reason}. The original configuration is in place."
    if progress.stage == "abandoned":
        seen = (
            f" {_count_inputs(progress).capitalize()} explained with heat maps." if progress.explained else ""
        )
        return f"Diagnosis abandoned: {reason}.{seen} Sagewatch leaves the endpoint alone: check its configuration."
    return f"No diagnosis: {reason}."


def _tell_replay(progress: Progress) -> str:
    if progress.stage != "finished":
        return "Diagnosing: captured inputs are run through the model in a job of its own; the endpoint is not touched."
    if progress.explained:
        return f"Diagnosed: {_count_inputs(progress)} explained with heat maps; the endpoint was not touched."
    return f"Diagnosis ended without heat maps: {_tell_reason(progress)}. The endpoint was not touched."


def _tell_reason(progress: Progress) -> str:
    return DIAGNOSIS_REASONS.get(
        progress.reason, clean_text(progress.reason, _REASON_LIMIT).replace("_", " ")
    )


def _count_inputs(progress: Progress) -> str:
    return "1 input" if progress.explained == 1 else f"{progress.explained:,} inputs"
