"""What follows an alert's messages: heat maps in their threads, and the pages that list who was told what.

All of it lies in S3, and nobody is kept waiting for that: it comes after the messages of the whole batch. What S3 does not take
or give now is asked for again; a page stands in the table as owed before anybody is told of it, and the tick has it made up for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec

from sagewatch.errors import SagewatchError
from sagewatch.flows.incident_page import hold_page, owes_page, write_page
from sagewatch.flows.share_pictures import share_pictures
from sagewatch.incident.model import Incident
from sagewatch.observability import get_logger
from sagewatch.world import World


class OwedEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at an incident leaves to be shown.

    Attributes
    ----------
    incident_id
        The incident that was looked at.
    told
        Incidents whose pages have something new to list.
    shown
        Its page is to be written whatever it shows now.
    threads
        Group and name of each target whose thread may show heat maps.
    due
        When its alerts are looked at next.
    once
        A failure brings nothing again: the fact asks people's channels anew each time.
    """

    incident_id: str
    told: tuple[str, ...] = ()
    shown: bool = False
    threads: tuple[tuple[str, str], ...] = ()
    due: datetime | None = None
    once: bool = False


def show_evidence(incident: Incident, owed: OwedEvidence, world: World) -> None:
    """Share the pictures and write the pages, each whatever became of the others; the first failure is raised in the end."""
    failures: list[SagewatchError] = []
    with _keeping(failures, incident.incident_id):
        _share(incident, owed, world)
    pages = set(owed.told)
    with _keeping(failures, incident.incident_id):
        if owed.shown or incident.incident_id in pages or owes_page(incident, world):
            pages.add(incident.incident_id)
    # Last: it is the only step whose size the incident sets.
    for incident_id in sorted(pages):
        with _keeping([], incident_id):
            hold_page(incident_id, world)
        with _keeping(failures, incident_id):
            write_page(incident_id, world)
    if failures and not owed.once:
        raise failures[0]


def _share(incident: Incident, owed: OwedEvidence, world: World) -> None:
    again = share_pictures(incident, owed.threads, world) if owed.threads else None
    if again is not None and (owed.due is None or again < owed.due):
        world.alerts.save_due(incident, again, world.now())


@contextmanager
def _keeping(failures: list[SagewatchError], incident_id: str) -> Iterator[None]:
    """Nobody was kept waiting for it, and everybody was told: it is logged, and kept for the end."""
    try:
        yield
    except SagewatchError as error:
        get_logger().warning("evidence_not_shown", incident_id=incident_id, reason=str(error))
        failures.append(error)
