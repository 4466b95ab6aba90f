"""The player: one event after the other to the flows that the stack's rules name, on a virtual clock.

What flows publish is delivered at once, what SageMaker was asked for a while later, the tick every minute. A
flow that asks for a retry gets its message again, as a queue would give it. Equal recordings give equal plays.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.errors import RejectedInputError, RetryError
from sagewatch.events import CaptureLanded, Ignored, JobChanged, parse_event
from sagewatch.events.parse import parse_time
from sagewatch.flows.follow_up import run_through
from sagewatch.memory.state import MemoryState
from sagewatch.memory.world import MemoryBus, MemoryChat, MemoryClock, MemoryMail
from sagewatch.monitors import Monitors
from sagewatch.place import Place
from sagewatch.ports import OutgoingEvent
from sagewatch.replay.jobs import ELSEWHERE, NOT_KEPT, KeptJob, stage_jobs
from sagewatch.replay.metrics import LastMetrics
from sagewatch.replay.recording import Event, FolderObjects, find_object
from sagewatch.replay.rules import FLOWS, Rule, build_rules, matches
from sagewatch.replay.sagemaker import Pace, VirtualSageMaker, find_subject
from sagewatch.replay.scene import Scene
from sagewatch.report.run import OWN_JOBS
from sagewatch.settings import Settings
from sagewatch.state.streams import SEGMENT_KEPT
from sagewatch.world import World

ATTEMPTS = 8
RETRY_AFTER = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTSIDE = ("tensors/", "/explain/")
# Stands for a picture that was not recorded: one grey pixel, so that what was told with pictures is told with them.
_BLANK = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636800000082008177cd72b60000000049454e44ae426082"
)


class Player:
    """A stack in memory.

    Parameters
    ----------
    monitors
        What is watched, and who hears of it.
    scene
        The account of the recording.
    objects
        The captures.
    pace
        How long SageMaker takes where the recording does not say.
    jobs
        The monitoring jobs of the recording, with their reports.

    Attributes
    ----------
    world
        The ports: what was found, opened and would have been sent is in them.
    delivered
        Messages by function.
    given_up
        Messages that would be dead letters: function and reason.
    played
        Processing jobs of the recording that were judged as they were then.
    unplayed
        Those that say nothing here, and why.
    missing
        Keys of capture files of watched endpoints that were told of and are not there.
    began
        The first event's time; None before it.
    """

    def __init__(
        self,
        monitors: Monitors,
        scene: Scene,
        objects: FolderObjects,
        pace: Pace | None = None,
        jobs: Iterable[KeptJob] = (),
    ) -> None:
        self.clock = MemoryClock(EPOCH)
        self.bus = MemoryBus(scene.account, scene.region)
        self.state = MemoryState()
        self.metrics = LastMetrics()
        self.sagemaker = VirtualSageMaker(self.clock, self._schedule, self._awaits, pace or Pace())
        self.delivered: Counter[str] = Counter()
        self.given_up: list[tuple[str, str]] = []
        self.played: dict[str, None] = {}
        self.unplayed: dict[str, str] = {}
        self.missing: dict[str, None] = {}
        self._later: list[tuple[datetime, int, str, Event, int]] = []
        self.began: datetime | None = None
        self._number = 0
        self._published = 0
        self._ahead: Counter[tuple[str, str]] = Counter()
        self._captures = objects
        settings = build_settings(scene)
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        for rule in build_rules(settings):
            for source in rule.pattern["source"]:
                for kind in rule.pattern["detail-type"]:
                    self._rules.setdefault((source, kind), []).append(rule)
        for name, hosted in scene.hosting.items():
            self.sagemaker.host(name, hosted)
        self._unplayable = stage_jobs(jobs, self.sagemaker, objects)
        self.world = World(
            state=self.state,
            objects=objects,
            bus=self.bus,
            metrics=self.metrics,
            hosting=self.sagemaker,
            jobs=self.sagemaker,
            mail=MemoryMail(),
            chat=MemoryChat(),
            now=self.clock,
            monitors=monitors,
            settings=settings,
            place=Place(scene.account, scene.region),
            folds={},
            wakeups=self,
        )

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """``Wakeups``: the fact comes to ``deliver_alert`` after so long."""
        self._put_off(at + timedelta(seconds=after_seconds), "deliver_alert", _wrap(fact, at), 1)

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:
        """``Wakeups``: the fact would be a dead letter."""
        del fact, at
        self.given_up.append(("deliver_alert", reason))

    def play(self, events: Iterable[Event]) -> None:
        """Deliver a recording, in its order, and what follows from it."""
        events = [event for event in events if event["source"] != "sagewatch"]
        self._ahead.update(subject for event in events if (subject := find_subject(event)))
        for event in events:
            at = self._read_time(event)
            self._pass_time(at)
            subject = find_subject(event)
            if subject is not None:
                self._ahead[subject] -= 1
            self._deliver(event)
        # What SageMaker was asked for still comes to its end; no more minutes are ticked, for nobody records them.
        while self._later:
            self._deliver_next()

    def _read_time(self, event: Event) -> datetime:
        at = parse_time(event.get("time"), where="event", key="time")
        # Events are as they arrived: time never goes back.
        return max(at, self.clock.now)

    def _pass_time(self, to: datetime) -> None:
        """Whatever is due before a time, in order: minutes, ends of updates and jobs, retries."""
        if self.began is None:
            self.began = self.clock.now = to
            return
        tick_at = self.clock.now.replace(second=0, microsecond=0) + MINUTE
        while tick_at <= to:
            self._deliver_due(tick_at)
            self.clock.now = tick_at
            self._deliver(_build_tick(tick_at))
            self._forget()
            tick_at += MINUTE
        self._deliver_due(to)
        self.clock.now = to

    def _deliver_due(self, to: datetime) -> None:
        while self._later and self._later[0][0] <= to:
            self._deliver_next()

    def _deliver_next(self) -> None:
        at, _, function, event, attempt = heapq.heappop(self._later)
        self.clock.now = max(self.clock.now, at)
        if function:
            self._give(function, event, attempt)
            self._drain()
        else:
            self._deliver(event)

    def _deliver(self, event: Event) -> None:
        """One event to everybody whose rule it fits, and what they publish, until it is quiet."""
        self._fan_out(event)
        self._drain()

    def _drain(self) -> None:
        waiting: deque[Event] = deque()
        while True:
            waiting.extend(self.bus.events[self._published :])
            self._published = len(self.bus.events)
            if not waiting:
                return
            self._fan_out(waiting.popleft())

    def _fan_out(self, event: Event) -> None:
        if event["source"] == "aws.sagemaker" and _is_whole(event):
            self.sagemaker.hear(event)
        elif event["source"] == "aws.s3":
            self._note_object(event)
        for rule in self._rules.get((event["source"], event["detail-type"]), ()):
            if matches(rule.pattern, event):
                self._give(rule.function, event, 1)

    def _give(self, function: str, event: Event, attempt: int) -> None:
        """A message to a function; again later where it asks for it, given up where nothing helps."""
        self.delivered[function] += 1
        try:
            fact = parse_event(event)
            if function == "ingest_report" and isinstance(fact, JobChanged) and self._is_unplayed(fact):
                return
            if not isinstance(fact, Ignored):
                run_through(FLOWS[function], fact, self.world)
            # The flow passes over what is gone, as it must: a recording that lacks it has to say so.
            if isinstance(fact, CaptureLanded) and (fact.bucket, fact.key) in self._captures.absent:
                self.missing.setdefault(fact.key)
        except RetryError as error:
            if attempt >= ATTEMPTS:
                self.given_up.append((function, error.reason))
                return
            after = timedelta(seconds=error.after_seconds) if error.after_seconds else RETRY_AFTER
            self._put_off(self.clock.now + after, function, event, attempt + 1)
        except RejectedInputError as error:
            self.given_up.append((function, error.reason))

    def _is_unplayed(self, fact: JobChanged) -> bool:
        """Whether nothing is known of a job by which it could be judged; notes it, or that it can be."""
        if fact.job.startswith(OWN_JOBS):
            return False
        reason = self._unplayable.get(fact.job, "")
        if fact.place not in (None, self.world.place):
            reason = ELSEWHERE
        elif not reason and self.sagemaker.describe_processing_job(fact.job) is None:
            reason = NOT_KEPT
        if reason:
            self.unplayed.setdefault(fact.job, reason)
        else:
            self.played.setdefault(fact.job)
        return bool(reason)

    def _note_object(self, event: Event) -> None:
        """An object that the hooked endpoint or the saliency job wrote is there from now on."""
        bucket, key = find_object(event)
        objects = self.world.objects
        ours = bucket == self.world.settings.evidence_bucket
        if ours and any(part in key for part in _OUTSIDE) and objects.open_object(bucket, key) is None:
            body = _BLANK if key.endswith(".png") else b""
            objects.put_object(bucket, key, body, "application/octet-stream")

    def _schedule(self, at: datetime, event: Event) -> None:
        self._put_off(at, "", {**event, "time": at.isoformat()}, 1)

    def _put_off(self, at: datetime, function: str, event: Event, attempt: int) -> None:
        self._number += 1
        heapq.heappush(self._later, (at, self._number, function, event, attempt))

    def _awaits(self, kind: str, name: str) -> bool:
        return self._ahead[kind, name] > 0

    def _forget(self) -> None:
        """Segments that the table would have let go by now, unless their fold has not settled them."""
        if self.clock.now.minute == 0:
            for stream, fold in (self.world.folds or {}).items():
                if fold.since is not None:
                    self.state.forget_before(stream, min(fold.since, self.clock.now - SEGMENT_KEPT))


def _is_whole(event: Event) -> bool:
    """Whether an event has what it must have; of one that has not, its function says so."""
    try:
        parse_event(event)
    except RejectedInputError:
        return False
    return True


def build_settings(scene: Scene) -> Settings:
    """The settings of a stack that stands in the scene."""
    return Settings(
        region=scene.region,
        state_table="memory",
        event_bus="memory",
        evidence_bucket=scene.evidence_bucket,
        capture_bucket=scene.capture_bucket,
        capture_prefix=scene.capture_prefix,
        monitors_file=scene.monitors,
        explain_image_uri="memory",
        explain_role_arn="memory",
    )


def _wrap(fact: OutgoingEvent, at: datetime) -> Event:
    detail = msgspec.to_builtins(fact.detail)
    return {"source": "sagewatch", "detail-type": fact.detail_type, "time": at.isoformat(), "detail": detail}


def _build_tick(at: datetime) -> Event:
    return {"source": "sagewatch", "detail-type": "Tick", "time": at.isoformat(), "detail": {}}
