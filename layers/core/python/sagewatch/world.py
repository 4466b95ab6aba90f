"""Everything that a flow may touch, in one value: made by ``wiring`` on AWS, by tests in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sagewatch.alert_state import AlertState
from sagewatch.detect.stream import StreamFold
from sagewatch.finding import Stream
from sagewatch.monitors import Monitors
from sagewatch.place import Place, find_place, name_endpoint
from sagewatch.ports import (
    Bus,
    Chat,
    Clock,
    Hooks,
    Hosting,
    Jobs,
    JobsElsewhere,
    Letters,
    Mail,
    Metrics,
    NoHooks,
    NoLetters,
    NoWakeups,
    Objects,
    Schedules,
    Together,
    Wakeups,
    one_by_one,
)
from sagewatch.settings import Settings
from sagewatch.state import State


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a request from outside may reach: as little as can be, none of it state.

    Attributes
    ----------
    get_secret, refresh_secret
        A secret by name, as it is known, and as it is now.
    answer_privately
        Posts words to the address that came with a press of a button; ``RetryError`` where they were not taken.
    """

    monitors: Monitors
    bus: Bus
    place: Place
    now: Clock
    get_secret: Callable[[str], str]
    refresh_secret: Callable[[str], str]
    answer_privately: Callable[[str, str], None]


Folds = dict[Stream, StreamFold]
"""Detectors that stay at work between events, by stream."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The ports, the configuration and the clock.

    Attributes
    ----------
    schedules
        SageMaker's monitoring schedules; None where there are none to ask (replay, backtest).
    elsewhere
        Jobs of other accounts and regions; None where there are none to ask.
    wakeups
        Where a flow asks to be woken at a time; without it the minute's tick is soon enough.
    together
        Does independent things side by side.
    place
        The account and region in which Sagewatch runs; endpoints may be elsewhere (``find_place``).
    now
        The clock; flows read it once and pass the time on.
    folds
        Where one process plays everything (replay, backtest): detectors stay in memory. None on AWS, where
        they rest in the table between events.
    replay
        Name of the rehearsal that plays an archive's events; empty where things happen now. In one a stream's captures,
        not the clock, tell its detectors what time it is, and its evidence has a place of its own.
    """

    state: State
    objects: Objects
    bus: Bus
    metrics: Metrics
    hosting: Hosting
    jobs: Jobs
    mail: Mail
    chat: Chat
    now: Clock
    monitors: Monitors
    settings: Settings
    place: Place
    folds: Folds | None = None
    wakeups: Wakeups = field(default_factory=NoWakeups)
    hooks: Hooks = field(default_factory=NoHooks)
    letters: Letters = field(default_factory=NoLetters)
    schedules: Schedules | None = None
    elsewhere: JobsElsewhere | None = None
    together: Together = one_by_one
    replay: str = ""

    @property
    def evidence_prefix(self) -> str:
        """Below which key prefix of the evidence bucket all lies that is written of these events."""
        return f"replays/{self.replay}/" if self.replay else ""

    def name_endpoint(self, name: str, place: Place | None) -> str:
        """What an endpoint of a place is called in monitors.yml, in the state and in alerts."""
        return name_endpoint(name, place, self.place)

    def find_place(self, endpoint: str) -> Place:
        """The account and region of what is called so."""
        return find_place(endpoint, self.place)

    @property
    def alerts(self) -> AlertState:
        """The rows that alerts are made of, in the same table."""
        return AlertState(self.state.items)
