"""A diagnosis: who swapped which endpoint from what to what, until when, and how it ended."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import msgspec


class Phase(enum.StrEnum):
    """Where a diagnosis is. The last two are ends: the lease is free once the cooldown is over."""

    SWAPPING = "swapping"
    OBSERVING = "observing"
    RESTORING = "restoring"
    EXPLAINING = "explaining"
    FINISHED = "finished"
    ABANDONED = "abandoned"

    @property
    def over(self) -> bool:
        """Whether nothing more will be done."""
        return self in {Phase.FINISHED, Phase.ABANDONED}


class Policy(msgspec.Struct, frozen=True):
    """What an endpoint's owner allows (monitors.yml, ``diagnosis``).

    Attributes
    ----------
    requests, at_most
        Observe until so many requests were recorded, or for so long.
    swap_within
        How long one move of the endpoint may take before it counts as stuck.
    explain_within
        How long the saliency job may take.
    cooldown, per_day
        Rest between two diagnoses of one endpoint, and their number a day (UTC).
    """

    mode: str = "swap"
    requests: int = 40
    at_most: timedelta = timedelta(minutes=20)
    swap_within: timedelta = timedelta(minutes=30)
    explain_within: timedelta = timedelta(minutes=60)
    cooldown: timedelta = timedelta(hours=6)
    per_day: int = 2


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The lease of one endpoint and the story of one diagnosis.

    Attributes
    ----------
    original_config, hooked_config
        Names of the endpoint's own configuration and of our clone of it.
    tensors_prefix
        Key prefix in the evidence bucket under which the hook records.
    outcome
        Reason code of how it ends: ``explained``, ``no_tensors``, ``rolled_back``,
        ``operator_changed_endpoint``...; empty while nothing is decided.
    due
        When the present phase counts as stuck.
    attempts
        How often the move to the hooked configuration was claimed: a silent rollback is tried once more.
    told
        Whether the end of it has been told.
    used_on, used_today
        The daily budget: the day (UTC) and how many diagnoses began on it.
    """

    schema: int = 1
    incident_id: str
    endpoint: str
    variant: str
    subject: str
    phase: Phase
    original_config: str
    original_model: str
    hooked_config: str
    hooked_model: str
    tensors_prefix: str
    job: str
    started_at: datetime
    due: datetime
    used_on: str
    used_today: int
    outcome: str = ""
    attempts: int = 0
    hooked_at: datetime | None = None
    restored_at: datetime | None = None
    finished_at: datetime | None = None
    cooldown_until: datetime | None = None
    recorded: int = 0
    job_started: bool = False
    told: bool = False
    version: int = 0


class Seen(msgspec.Struct, frozen=True):
    """The world as a diagnosis finds it: described just now, never taken from an event.

    Attributes
    ----------
    config, status
        The endpoint's configuration name and status; None where the endpoint is gone.
    hooked_exists
        Whether our hooked model or configuration is still there.
    recorded
        How many requests the hook has recorded.
    job_status
        The saliency job's status; None where there is no such job.
    """

    config: str | None
    status: str | None
    hooked_exists: bool = False
    recorded: int = 0
    job_status: str | None = None


class Switch(msgspec.Struct, frozen=True):
    """The kill switch: while it is off, no endpoint is swapped and every hooked one goes back.

    Attributes
    ----------
    by, reason
        Who threw it, and why.
    """

    on: bool = True
    by: str = ""
    reason: str = ""
    at: datetime | None = None
