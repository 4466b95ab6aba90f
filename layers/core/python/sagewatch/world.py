"""Everything that a flow may touch, in one value: made by ``wiring`` on AWS, by tests in memory."""

from __future__ import annotations

from dataclasses import dataclass

from sagewatch.finding import Place
from sagewatch.monitors import Monitors
from sagewatch.ports import Bus, Chat, Clock, Hosting, Jobs, Mail, Metrics, Objects
from sagewatch.settings import Settings
from sagewatch.state import State


@dataclass(frozen=True, kw_only=True)
class World:
    """The ports, the configuration and the clock.

    Attributes
    ----------
    place
        The account and region that findings and incidents carry.
    now
        The clock; flows read it once and pass the time on.
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
