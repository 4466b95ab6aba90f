"""Heat maps: the ones that a message shows, and the ones that go into a Slack message's thread, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from sagewatch.alert.content import Picture
from sagewatch.diagnose.job import build_explain_prefix
from sagewatch.errors import ConfigurationError, ConflictError, DeliveryError, RetryError
from sagewatch.flows.alert_waits import WAIT_AT_MOST, WAIT_IN_THE_END
from sagewatch.flows.evidence import get_class_names
from sagewatch.flows.saliency_files import is_listed, load_report
from sagewatch.flows.samples import get_sensitive
from sagewatch.incident.describe import name_class
from sagewatch.incident.model import Entry, Incident
from sagewatch.observability import get_logger
from sagewatch.world import World

MOST_PICTURES: Final = 3
MOST_BYTES: Final = 500_000
"""Of one picture; a larger one is left to the page."""


def load_pictures(incident: Incident, world: World) -> tuple[Picture, ...]:
    """The first heat maps of the incident's diagnosis; none where its owner keeps inputs from being shown."""
    progress = incident.diagnosis
    if progress is None or not progress.explained or get_sensitive(incident.latest, world):
        return ()
    return tuple(islice(_list_pictures(incident, world), MOST_PICTURES))


def share_pictures(incident: Incident, targets: Sequence[tuple[str, str]], world: World) -> datetime | None:
    """Put the heat maps into the thread of each Slack message that told of the incident, once; when to try again.

    Claimed before it is done: a crash in between costs the thread its pictures, which the page has; a thread
    that shows them twice would cost everybody's time.

    Parameters
    ----------
    targets
        Group and name of each target.

    Returns
    -------
    None where nothing waits for a receiver that asked to be left alone.
    """
    pictures: tuple[Picture, ...] | None = None
    later = list[datetime]()
    for group, name in targets:
        thread = _find_thread(incident, group, name, world) if name.endswith("/slack") else None
        if thread is None or world.alerts.were_pictures_shared(incident.incident_id, name):
            continue
        pictures = load_pictures(incident, world) if pictures is None else pictures
        if not pictures:
            return None
        pause = world.alerts.load_pause(name)
        if pause is None or world.now() >= pause:
            pause = _share(incident, name, thread, pictures, world)
        if pause is not None:
            later.append(pause)
    return min(later, default=None)


def _find_thread(incident: Incident, group: str, name: str, world: World) -> str | None:
    """The thread of the message that told of this incident: the group may have had another since."""
    member = world.alerts.load_member(group, name, incident.incident_id)
    return None if member is None else member.thread


def _share(
    incident: Incident, name: str, thread: str, pictures: Sequence[Picture], world: World
) -> datetime | None:
    """Upload them; when to try again, where the receiver said when."""
    try:
        world.alerts.claim_pictures(incident.incident_id, name)
    except ConflictError:
        return None
    receiver = name.rpartition("/")[0]
    try:
        world.chat.upload_pictures(receiver, thread, pictures)
    except (DeliveryError, RetryError, ConfigurationError) as error:
        # A token that is no secret any more is put right by a person; the pictures come with the next word after that.
        if not isinstance(error, DeliveryError) or error.recoverable:
            world.alerts.release_pictures(incident.incident_id, name)
        get_logger().warning(
            "pictures_not_shared", incident_id=incident.incident_id, receiver=name, reason=error.reason
        )
        return _find_next_try(error, world.now())
    data: dict[str, str | int | float | bool | None] = {"receiver": name, "count": len(pictures)}
    entry = Entry(at=world.now(), what="pictures_shared", reason="explained", by="deliver_alert", data=data)
    world.state.add_entries(incident.incident_id, [entry])
    return None


def _find_next_try(error: DeliveryError | RetryError | ConfigurationError, now: datetime) -> datetime | None:
    """Slack counts uploads by themselves: a throttled one keeps no message waiting."""
    after = None if isinstance(error, ConfigurationError) else error.after_seconds
    if after is None:
        return None
    return now + timedelta(seconds=max(min(after, WAIT_AT_MOST), WAIT_IN_THE_END))


def _list_pictures(incident: Incident, world: World) -> Iterator[Picture]:
    bucket, prefix = world.settings.evidence_bucket, build_explain_prefix(incident.incident_id)
    names = get_class_names(incident.endpoint, world)
    report = load_report(incident.incident_id, world)
    for row in report.get("images", []):
        stream = world.objects.open_object(bucket, f"{prefix}{row['overlay']}")
        png = stream.read(MOST_BYTES + 1) if stream is not None else b""
        if not png or len(png) > MOST_BYTES or not is_listed(report, row["overlay"], png):
            continue
        label = name_class(str(row.get("class", "")), names)
        probability = row.get("probability")
        sure = f", {probability:.0%} sure" if isinstance(probability, int | float) else ""
        yield Picture(title=f"Answered {label}{sure}", png=png)
