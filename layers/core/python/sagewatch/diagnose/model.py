"""A diagnosis: who swapped which endpoint from what to what, until when, and how it ended."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any

import msgspec

IN_SERVICE = "InService"
RESTORED_PREFIX = "sagewatch-restored-"
"""What stands in for an owner's configuration or model that was deleted while the endpoint recorded."""
MOST_ALARMS = 10
"""Alarms that a deployment takes (AutoRollbackConfig)."""


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
    mode
        ``swap`` (the endpoint records live requests), ``replay`` (captured requests are run through the model
        inside the saliency job, the endpoint is never touched) or ``off``.
    requests, at_most
        Observe until so many requests were recorded, or for so long.
    every
        Record one request in so many.
    megabytes
        One worker process of the endpoint records at most so much (1,000,000 bytes each).
    region
        Where in a picture the model is expected to look: left, top, right, bottom in shares of it.
    clean_inputs
        Whether captured requests of before the incident are run through the model, inside the saliency job, to
        compare with.
    environment
        Names of the variables of the model's container that such a run gets, in clear; the others are withheld.
    swap_within
        How long one move of the endpoint may take before it counts as stuck.
    explain_within
        How long the saliency job may take.
    cooldown, per_day
        Rest between two diagnoses of one endpoint, and their number a day (UTC).
    canary
        Whether a swap of a variant of two or more instances begins with one of them.
    rollback_alarms
        CloudWatch alarms that make SageMaker take a swap back.
    """

    mode: str = "swap"
    requests: int = 40
    at_most: timedelta = timedelta(minutes=20)
    every: int = 1
    megabytes: int = 500
    region: tuple[float, float, float, float] = (0.1, 0.1, 0.9, 0.9)
    clean_inputs: bool = True
    environment: tuple[str, ...] = ()
    swap_within: timedelta = timedelta(minutes=30)
    explain_within: timedelta = timedelta(minutes=60)
    cooldown: timedelta = timedelta(hours=6)
    per_day: int = 2
    canary: bool = True
    rollback_alarms: tuple[str, ...] = ()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The lease of one endpoint and the story of one diagnosis.

    Attributes
    ----------
    mode
        ``swap`` or ``replay``, as it was when the diagnosis began.
    original_config, hooked_config
        Names of the endpoint's own configuration and of our clone of it.
    instances
        How many instances the variant had.
    deployment
        The endpoint's own deployment configuration, as AWS describes it; empty where it has none.
    tensors_prefix
        Key prefix in the evidence bucket under which the hook records.
    outcome
        Reason code of how it ends: ``explained``, ``no_tensors``, ``rolled_back``,
        ``operator_changed_endpoint``...; empty while nothing is decided.
    due
        When the present phase counts as stuck.
    attempts, restores
        How often the move to the hooked configuration, and the way back, were claimed: both can be rolled back.
    refused
        How often AWS said no to the way back itself; the next is asked for in another way.
    asked
        How many moves to the hooked configuration AWS was asked for: a claim that a crash or another's change cut
        short asked for none. None in items of before this was counted.
    fleet
        Instances of each variant when the diagnosis began; empty in items of before this was kept.
    late_since
        The first deadline that the present phase missed, where ``due`` was put off since; None while it is in time.
    let_go_at
        When the endpoint was found to be no longer ours to move, although what it recorded is still explained.
    explains
        Whether there is something recorded to explain.
    cannot_delete
        AWS refused to delete what we made; a person has to.
    held_up
        Why the last attempt of a step could not be made (throttled, endpoint busy); empty where it could.
    stop_asked_by
        Who wants the endpoint back at once; empty while nobody does.
    endings
        How often telling the end was begun with all that belongs to it; it is told without, once that was tried in vain.
    told
        Whether the end of it has been told.
    report_digest
        The SHA-256 in hex of the saliency job's report as it was told of, empty where there was none: who may write
        into the bucket changes nothing of it afterwards. None until then, and in items of before this was kept.
    used_on, used_today
        The daily budget: the day (UTC) and how many diagnoses began on it.
    """

    schema: int = 1
    incident_id: str
    endpoint: str
    variant: str
    subject: str
    mode: str = "swap"
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
    restores: int = 0
    refused: int = 0
    asked: int | None = None
    instances: int = 1
    fleet: dict[str, int] = {}
    late_since: datetime | None = None
    deployment: dict[str, Any] = {}
    cannot_delete: bool = False
    held_up: str = ""
    hooked_at: datetime | None = None
    restored_at: datetime | None = None
    let_go_at: datetime | None = None
    finished_at: datetime | None = None
    cooldown_until: datetime | None = None
    recorded: int = 0
    explains: bool = False
    job_started: bool = False
    endings: int = 0
    told: bool = False
    report_digest: str | None = None
    stop_asked_by: str = ""
    version: int = 0

    @property
    def deadline(self) -> datetime:
        """When the present phase should have ended; unlike ``due`` it is never put off."""
        return self.late_since or self.due


class Seen(msgspec.Struct, frozen=True):
    """The world as a diagnosis finds it: described just now, never taken from an event.

    Attributes
    ----------
    config, status
        The endpoint's configuration name and status; None where the endpoint is gone.
    hooked_exists
        Whether our hooked model or configuration is still there.
    original_exists
        Whether the owner's configuration and model are still there to go back to.
    recorded
        How many requests the hook has recorded.
    job_status
        The saliency job's status; None where there is no such job.
    explained
        How many inputs the saliency job's report explains.
    stop
        Why the endpoint shall be its owner's again at once (kill switch, incident resolved, diagnosis switched
        off in monitors.yml), as a reason code; empty where it need not.
    """

    config: str | None
    status: str | None
    hooked_exists: bool = False
    recorded: int = 0
    job_status: str | None = None
    explained: int = 0
    stop: str = ""
    original_exists: bool = True


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
