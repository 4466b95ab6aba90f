"""Why nobody is told of an incident now: silences, maintenance windows, inhibition, staged detectors.

Muted is not lost: who was told "firing" is told "resolved" all the same, whenever it ends, and what is still open
when the mute ends and was not told, or is in no open message any more, is told then. No automation begins for what is muted.

Source: Prometheus Alertmanager, ``silence`` and ``timeinterval``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.finding import build_content_key
from sagewatch.incident.calendar import Recurrence, format_recurrence
from sagewatch.incident.inhibition import Explanations, Inhibition, Open
from sagewatch.incident.matching import all_hold, build_labels
from sagewatch.incident.possible import Known, find_impossible

if TYPE_CHECKING:
    from sagewatch.incident.model import Incident


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asked that nobody be told, for a while, and said why.

    Attributes
    ----------
    matchers
        All must hold of an incident.
    starts_at, ends_at
        UTC; the end is excluded.
    every
        Only within these stretches of the week; None means all the time.
    by, reason
        Who asked, and why: never empty.
    ended_by
        Who ended it before its time; empty where nobody did.
    """

    silence_id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    by: str
    reason: str
    every: Recurrence | None = None
    ended_by: str = ""

    def is_over(self, now: datetime) -> bool:
        """Whether it mutes no more; one that was ended before it began is over too."""
        return self.ends_at <= max(now, self.starts_at)

    def find_end(self, labels: Mapping[str, str], at: datetime) -> datetime | None:
        """Until when it mutes these labels; None where it does not."""
        if not (self.starts_at <= at < self.ends_at and all_hold(self.matchers, labels)):
            return None
        if self.every is None:
            return self.ends_at
        end = self.every.find_end(at)
        return None if end is None else min(end, self.ends_at)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window of monitors.yml: what it mutes, and when."""

    name: str
    mutes: tuple[str, ...]
    every: Recurrence


_STEP = timedelta(minutes=1)

NO_RECEIVER = "no_receiver"
"""Reason code of what no route leads to: nothing mutes it, and nobody hears of it."""


class Mute(msgspec.Struct, frozen=True):
    """Nobody is told now.

    Attributes
    ----------
    reason
        Reason code: ``silenced``, ``in_window``, ``inhibited`` or ``staged``.
    words
        By whom or what, and why.
    until
        When to ask again; None where only a change can end it.
    late
        The incident was over before this began: what is owed of it waits for the end of the mute, and is not lost.
    """

    reason: str
    words: str
    until: datetime | None = None
    late: bool = False


class Quiet(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything that can mute an incident, as it stands now, and for a while back.

    Attributes
    ----------
    silences
        In force or coming.
    past
        Over: they mute nothing any more, and are asked about what was over while they did.
    open, ended
        Incidents that are open, and that were of late.
    """

    silences: tuple[Silence, ...] = ()
    past: tuple[Silence, ...] = ()
    windows: tuple[Window, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    open: tuple[Open, ...] = ()
    ended: tuple[Open, ...] = ()

    def look_back(self, at: datetime) -> Quiet:
        """What of it was there then; what ended at that very moment was."""
        there = tuple(one for one in (*self.open, *self.ended) if one.was_there(at))
        names = tuple(one.incident_id for one in there)
        if names not in self._looks_back:
            silences = (*self.past, *self.silences)
            self._looks_back[names] = msgspec.structs.replace(self, silences=silences, past=(), open=there)
        return self._looks_back[names]

    @cached_property
    def explanations(self) -> Explanations:
        """Who explains whom: found once, and asked for each incident of a message."""
        return Explanations(self.inhibitions, self.open)

    @cached_property
    def _looks_back(self) -> dict[tuple[str, ...], Quiet]:
        return {}


def build_silence(
    matchers: tuple[str, ...], starts_at: datetime, ends_at: datetime, *, by: str, reason: str,
    every: Recurrence | None = None,
) -> Silence:  # fmt: skip
    """A silence; the same asked for twice is the same silence.

    Raises
    ------
    RejectedInputError
        No author, no reason, no matcher, or an end that is not after the start.
    ConfigurationError
        A matcher cannot be read, or they can never hold.
    """
    wrong = {
        "by": not by.strip(),
        "reason": not reason.strip(),
        "matchers": not matchers,
        "ends_at": ends_at <= starts_at,
    }
    for key, is_wrong in wrong.items():
        if is_wrong:
            words = "must be after the start" if key == "ends_at" else "must not be empty"
            raise RejectedInputError(words, where="silence", key=key)
    # Of what is watched a silence knows nothing: it may be older, or younger, than an endpoint, and of anybody's kind.
    if impossible := find_impossible(matchers, Known(kinds=())):
        raise ConfigurationError(impossible, where="silence", key="matchers")
    again = () if every is None else (format_recurrence(every),)
    return Silence(
        silence_id=build_content_key(*matchers, starts_at.isoformat(), ends_at.isoformat(), by, reason, *again),
        matchers=matchers, starts_at=starts_at, ends_at=ends_at, by=by, reason=reason, every=every,
    )  # fmt: skip


def find_standing(silence: Silence, now: datetime) -> str:
    """``coming``, ``mutes``, ``rests`` (between two of its stretches) or ``ended``."""
    if silence.is_over(now):
        return "ended"
    if now < silence.starts_at:
        return "coming"
    return "mutes" if silence.every is None or silence.every.find_end(now) is not None else "rests"


def find_mute(incident_id: str, labels: Mapping[str, str], quiet: Quiet, now: datetime) -> Mute | None:
    """Why nobody is told of the incident now; None where people are told."""
    for silence in quiet.silences:
        end = silence.find_end(labels, now)
        if end is not None:
            return Mute("silenced", f"by {silence.by}: {silence.reason}", end)
    for window in quiet.windows:
        end = window.every.find_end(now) if all_hold(window.mutes, labels) else None
        if end is not None:
            return Mute("in_window", window.name, end)
    source = quiet.explanations.find_source(incident_id, labels)
    return None if source is None else Mute("inhibited", f"by incident {source.incident_id}")


def find_unmuted_since(
    incident_id: str, labels: Mapping[str, str], quiet: Quiet, since: datetime, now: datetime
) -> datetime:
    """Since when nothing has muted it without a break, where nothing does now; ``since`` at the earliest, to the minute."""
    at = now
    while at - _STEP > since:
        at -= _STEP
        if find_mute(incident_id, labels, quiet.look_back(at), at) is not None:
            return at + _STEP
    return since


def may_automate(incident: Incident, quiet: Quiet, now: datetime) -> Mute | None:
    """Why no automation may begin for the incident; None where it may."""
    if incident.staged:
        return Mute("staged", "its detector is on trial")
    return find_mute(incident.incident_id, build_labels(incident), quiet, now)
