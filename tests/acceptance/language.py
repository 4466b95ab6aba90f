"""The acceptance language: what happens at which time, who is told what between which times, and nothing else.

A story is written in virtual time, counted from its start::

    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.expect("on-call/mail", "firing", "0s")
    story.expect("on-call/mail", "resolved", "10m")
    story.ends("1h")

``ends`` plays it second by second where something happens, with a tick each minute that has anything due. Every
message must be expected, and every expectation met exactly once; otherwise the whole story is told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from sagewatch.diagnose.model import Diagnosis, Phase
from sagewatch.entry import handle
from sagewatch.errors import DeliveryError, RefusedError, RetryError, SagewatchError
from sagewatch.events import AlertDue, FindingReported
from sagewatch.finding import (
    DetectorRef,
    Evidence,
    Finding,
    Severity,
    Stream,
    Window,
    build_content_key,
    build_fingerprint,
)
from sagewatch.flows.act_by_hand import (
    acknowledge_incident,
    add_silence,
    end_silence,
    promote_incident,
    resolve_incident,
)
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.incident_changes import build_change
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.ingest_report import judge_and_tell
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.incident.acts import note_progress
from sagewatch.incident.calendar import parse_recurrence
from sagewatch.incident.lifecycle import build_incident_id
from sagewatch.incident.model import Incident, Progress
from sagewatch.memory.items import MemoryItems
from sagewatch.memory.sagemaker import MemorySageMaker
from sagewatch.memory.world import MemoryBus, MemoryClock, MemoryMetrics, MemoryWakeups
from sagewatch.monitors import parse_monitors
from sagewatch.place import Place
from sagewatch.quality.violations import Violation
from sagewatch.report.run import Run
from sagewatch.settings import Settings
from sagewatch.state import State
from sagewatch.world import World
from tests.acceptance.bucket import Bucket
from tests.acceptance.ears import Ears, Killed
from tests.unit.flows.captures import put_file

START = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
_TIME = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_DELIVER = {
    "Finding Raised", "Finding Cleared", "Incident Opened", "Incident Updated", "Incident Acknowledged", "Incident Resolved", "Alert Due",
}  # fmt: skip


def read_time(text: str) -> timedelta:
    """``1h30m`` as a length of time."""
    match = _TIME.fullmatch(text)
    assert match, f"{text} is no time"
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@dataclass
class Expected:
    """One message that must come, and by when."""

    target: str
    kind: str
    earliest: timedelta
    latest: timedelta
    contains: str
    met: bool = False

    def __str__(self) -> str:
        return (
            f"{self.target} hears {self.kind} between {self.earliest} and {self.latest} ({self.contains!r})"
        )


@dataclass
class Story:
    """What happens and what is expected, over one store.

    Attributes
    ----------
    items
        The table: in memory, or DynamoDB.
    monitors
        monitors.yml.
    """

    items: object
    monitors: str
    happenings: list = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    episodes: dict[str, int] = field(default_factory=dict)
    known: dict[str, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = MemoryClock(START)
        self.ears = Ears(self.clock)
        self.bus = MemoryBus()
        self.wakeups = MemoryWakeups()
        self.redelivered: list = []
        self.lost = False
        self.bucket = Bucket(self.clock)
        sagemaker = MemorySageMaker()
        self.world = World(
            state=State(self.items),
            objects=self.bucket,
            bus=self.bus,
            metrics=MemoryMetrics(),
            hosting=sagemaker,
            jobs=sagemaker,
            mail=self.ears,
            chat=self.ears,
            hooks=self.ears,
            letters=self.ears,
            now=self.clock,
            monitors=parse_monitors(self.monitors, "monitors.yml"),
            settings=Settings(
                region="eu-central-1", state_table="state", event_bus="sagewatch", evidence_bucket="evidence",
                capture_bucket="captures", capture_prefix="capture", monitors_file="monitors.json",
            ),
            place=Place("123456789012", "eu-central-1"),
            wakeups=self.wakeups,
        )  # fmt: skip
        for endpoint in self.world.monitors.endpoints:
            self.world.state.note_stream(Stream(endpoint, "AllTraffic"))  # it was heard of before
        self._delivered = 0

    # What happens -------------------------------------------------------------------------------------

    def at(self, time: str) -> Moment:
        """At this time..."""
        return Moment(self, read_time(time))

    def find(self, name: str) -> str:
        """Id of the incident about the named subject."""
        finding = self.known[name]
        return build_incident_id(finding.raised_at, finding.fingerprint)

    def texts(self, target: str) -> list[str]:
        """What a channel heard, word for word."""
        return [one.text for one in self.ears.heard if one.target == target]

    def count_asked(self, target: str) -> int:
        """How often a channel was called, in vain or not."""
        return sum(one == target for _, one in self.ears.asked)

    @property
    def is_fast(self) -> bool:
        """Whether the store is the one in memory."""
        return isinstance(self.items, MemoryItems)

    # What is expected ---------------------------------------------------------------------------------

    def expect(self, target: str, kind: str, earliest: str, latest: str = "", *, contains: str = "") -> None:
        """A message comes within the times (within the same second if only one is given)."""
        start = read_time(earliest)
        end = read_time(latest) if latest else start
        self.expected.append(Expected(target, kind, start, end, contains))

    def expect_all(self, kind: str, earliest: str, latest: str = "", *, contains: str = "") -> None:
        """Both channels of ``on-call`` are told."""
        for target in ("on-call/slack", "on-call/mail"):
            self.expect(target, kind, earliest, latest, contains=contains)

    def ends(self, time: str) -> Story:
        """Play until then, and compare what was heard with what was expected."""
        self.play(read_time(time))
        self.check()
        return self

    def play_only(self, time: str) -> None:
        """Play, and leave it to the test what to make of what was heard."""
        self.play(read_time(time))

    # How it is played ---------------------------------------------------------------------------------

    def play(self, until: timedelta) -> None:
        """Let the time pass, from one happening to the next."""
        happenings = sorted(self.happenings, key=lambda one: one[0])
        end = START + until
        self.happenings = []
        while True:
            following = [START + happenings[0][0]] if happenings else []
            following += [at for at, _ in self.wakeups.pending]
            tick_at = self._find_next_tick()
            if tick_at is not None:
                following.append(tick_at)
            now = min((at for at in following if at <= end), default=None)
            if now is None:
                break
            self.clock.now = max(now, self.clock.now)
            while happenings and START + happenings[0][0] <= now:
                self._happen(happenings.pop(0)[1])
            self._wake()
            if tick_at == now:
                self._tick()
        self.clock.now = end

    def _happen(self, act) -> None:
        try:
            act()
        except Killed:
            self.redelivered += self._take_events()
        self.pump()

    def _find_next_tick(self) -> datetime | None:
        """The first whole minute from now on that has something due: a tick with nothing due changes nothing."""
        rows = [row.due_at for row in self.world.alerts.list_due()]
        if self.redelivered:
            rows.append(self.clock.now + timedelta(seconds=180))
        if self.bucket.broken is not None and any(
            turn.writers or turn.crossed for turn in self.world.state.list_turns().values()
        ):
            rows.append(self.clock.now)  # a page is owed
        if not rows:
            return None
        due = max(min(rows), self.clock.now)
        minutes = -(-(due - START).total_seconds() // 60)
        at = START + timedelta(minutes=minutes)
        return at if at > self.clock.now else at + timedelta(minutes=1)

    def _tick(self) -> None:
        again, self.redelivered = self.redelivered, []
        for event in again:
            self._deliver(event)
        with contextlib.suppress(Killed):
            self._pass_tick()
        self.pump()

    def _pass_tick(self) -> None:
        event = {"source": "sagewatch", "detail-type": "Tick", "id": "t", "detail": {}}
        handle(tick, {**event, "time": self.clock.now.isoformat()}, self.world)

    def _wake(self) -> None:
        due = [fact for at, fact in self.wakeups.pending if at <= self.clock.now]
        self.wakeups.pending = [(at, fact) for at, fact in self.wakeups.pending if at > self.clock.now]
        for fact in due:
            assert isinstance(fact, AlertDue)
            MemoryBus.publish(self.bus, [fact], self.clock.now)  # the queue's work, which no fuse watches
        self.pump()

    def pump(self) -> None:
        """Deliver what is on the bus."""
        for event in self._take_events():
            if event["detail-type"] in _DELIVER and not self.lost:
                self._deliver(event)

    def _take_events(self) -> list:
        events = self.bus.events[self._delivered :]
        self._delivered = len(self.bus.events)
        return events

    def _deliver(self, event) -> None:
        flow = manage_incident if event["detail-type"].startswith("Finding") else deliver_alert
        try:
            handle(flow, event, self.world)
        except (RetryError, RefusedError, Killed):
            self.redelivered.append(event)

    def report(self, finding: Finding) -> None:
        """A finding reaches manage_incident, as the queue brings it."""
        fact = FindingReported(finding)
        self._deliver(
            {
                "id": "f", "source": "sagewatch", "detail-type": fact.detail_type, "time": self.clock.now.isoformat(),
                "detail": json.loads(msgspec.json.encode(finding)),
            }
        )  # fmt: skip

    def check(self) -> None:
        """Every message was expected, every expectation met once."""
        unexpected = []
        for heard in self.ears.heard:
            since = heard.at - START
            match = next(
                (
                    one
                    for one in self.expected
                    if not one.met
                    and (one.target, one.kind) == (heard.target, heard.kind)
                    and one.earliest <= since <= one.latest
                    and one.contains in heard.text
                ),
                None,
            )
            if match is None:
                unexpected.append(heard)
            else:
                match.met = True
        missing = [one for one in self.expected if not one.met]
        if missing or unexpected:
            raise AssertionError(self._tell(missing, unexpected))

    def _tell(self, missing, unexpected) -> str:
        lines = ["", "missing:", *(f"  {one}" for one in missing), "unexpected:"]
        lines += [f"  {one.at - START} {one.target} {one.kind}: {one.text[:150]!r}" for one in unexpected]
        lines += ["heard:", *(f"  {one.at - START} {one.target} {one.kind}" for one in self.ears.heard)]
        return "\n".join(lines)


@dataclass
class Moment:
    """A time of the story, at which something happens."""

    story: Story
    time: timedelta

    def _plan(self, act) -> Moment:
        self.story.happenings.append((self.time, act))
        return self

    @property
    def now(self) -> datetime:
        return START + self.time

    def does(self, act) -> Moment:
        """Anything else."""
        return self._plan(lambda: act(self.story))

    def captures(self, predictions: list[str]) -> Moment:
        """A capture file of the endpoint ``signs`` lands, and its detectors judge."""

        def act() -> None:
            event = put_file(self.story.world, predictions, self.now, number=int(self.time.total_seconds()))
            handle(ingest_capture, event, self.story.world)

        return self._plan(act)

    def ticks(self) -> Moment:
        """The minute's tick comes, though no alert is due: detectors hear what the clock says."""
        return self._plan(self.story._pass_tick)

    def raises(
        self,
        name: str,
        *,
        severity: str = "critical",
        kind: str = "class-concentration",
        endpoint: str = "signs",
        times: int = 1,
        **changes: object,
    ) -> Moment:
        """A detector raises the finding of this name (its subject), perhaps more than once."""

        def act() -> None:
            story = self.story
            known = story.known.get(name)
            if known is None or known.cleared_at is not None:
                story.episodes[name] = story.episodes.get(name, 0) + 1
            finding = build_finding(name, story.episodes[name], self.now, severity, kind, endpoint)
            if known is not None and known.cleared_at is None:
                finding = msgspec.structs.replace(
                    finding, raised_at=known.raised_at, finding_id=known.finding_id
                )
            story.known[name] = msgspec.structs.replace(finding, **changes)
            for _ in range(times):
                story.report(story.known[name])

        return self._plan(act)

    def looks(self, schedule: str, *, violations: int, times: int = 1) -> Moment:
        """A monitoring job is over, having found so many violations; its event may come more than once."""

        def act() -> None:
            run = Run(
                job=f"{schedule}-{self.time}", kind="data-quality", schedule=schedule, endpoint="signs",
                variant="AllTraffic", status="Completed", message="", report_uri="s3://captures/report",
                ended_at=self.now,
            )  # fmt: skip
            found = [
                Violation(feature_name=f"f{number}", constraint_check_type="baseline_drift_check")
                for number in range(violations)
            ]
            for _ in range(times):
                judge_and_tell(run, found, self.story.world)

        return self._plan(act)

    def clears(self, name: str, *, times: int = 1) -> Moment:
        """The evidence of the finding of this name falls back."""

        def act() -> None:
            story = self.story
            story.known[name] = msgspec.structs.replace(story.known[name], cleared_at=self.now)
            for _ in range(times):
                story.report(story.known[name])

        return self._plan(act)

    def acknowledges(self, name: str, *, by: str) -> Moment:
        """Somebody looks after it."""
        return self._plan(lambda: acknowledge_incident(self.story.find(name), by=by, world=self.story.world))

    def resolves(self, name: str, *, by: str, reason: str) -> Moment:
        """Somebody says that it is over."""
        return self._plan(
            lambda: resolve_incident(self.story.find(name), by=by, reason=reason, world=self.story.world)
        )

    def promotes(self, name: str, *, by: str) -> Moment:
        """Somebody says that the detector on trial is right."""
        return self._plan(lambda: promote_incident(self.story.find(name), by=by, world=self.story.world))

    def explains(self, name: str) -> Moment:
        """The diagnosis of the incident left one heat map, and is finished."""

        def keep() -> None:
            world, incident_id = self.story.world, self.story.find(name)
            incident = world.state.load_incident(incident_id)
            report = {"images": [{"input": "inputs/1.png", "overlay": "overlays/1.png", "class": name}]}
            left = {"explanations.json": json.dumps(report).encode(), "overlays/1.png": b"a picture"}
            for path, body in left.items():
                world.objects.bodies["evidence", f"incidents/{incident_id}/explain/{path}"] = body
            world.state.save_diagnosis(build_finished(incident, self.now), [])

        return self._plan(keep).diagnoses(name, "finished", explained=1)

    def diagnoses(self, name: str, stage: str, *, explained: int = 0) -> Moment:
        """The diagnosis of the incident came to this stage."""

        def act() -> None:
            world = self.story.world
            incident = world.state.load_incident(self.story.find(name))
            record = world.state.load_open(incident.fingerprint)
            progress = Progress(stage, "x", self.now, explained=explained)
            decision = note_progress(incident, record, progress, by="diagnosis")
            world.state.save_incident(decision.incident, decision.record, decision.entries)
            world.bus.publish([build_change(decision.incident, "updated")], self.now)

        return self._plan(act)

    def silences(
        self, *matchers: str, length: str, by: str, reason: str, every: str = "", start: str = ""
    ) -> Moment:
        """Somebody asks that nobody be told, from then on or from a later time."""
        return self._plan(
            lambda: add_silence(
                matchers, read_time(length), by=by, reason=reason, world=self.story.world,
                every=parse_recurrence(every) if every else None, starts_at=START + read_time(start) if start else None,
            )
        )  # fmt: skip

    def ends_silences(self) -> Moment:
        """Every silence ends now."""

        def act() -> None:
            world = self.story.world
            for silence in world.alerts.list_silences(world.now()):
                end_silence(silence.silence_id, by="ada", world=world)

        return self._plan(act)

    def goes_down(self, target: str, *, back: str) -> Moment:
        """A receiver's channel does not answer until then."""
        return self._plan(
            lambda: self.story.ears.break_until(target, START + read_time(back), self._unreachable)
        )

    def throttles(self, target: str, *, times: int, retry_after: int) -> Moment:
        """A receiver's channel says 429 so many times."""
        return self._plan(lambda: self.story.ears.throttle(target, times, retry_after))

    def loses_answers(self, target: str, *, times: int) -> Moment:
        """A receiver's channel takes so many messages, and its answers never arrive."""
        return self._plan(lambda: self.story.ears.lose_answers(target, times))

    def refuses(self, target: str, reason: str, *, back: str = "365d") -> Moment:
        """A receiver's channel refuses for good."""
        end = START + read_time(back)
        return self._plan(
            lambda: self.story.ears.break_until(
                target, end, lambda name: DeliveryError(name, reason, recoverable=False)
            )
        )

    def deploys(self, monitors: str) -> Moment:
        """The stack goes on with another monitors.yml."""

        def act() -> None:
            parsed = parse_monitors(monitors, "monitors.yml")
            self.story.world = dataclasses.replace(self.story.world, monitors=parsed)

        return self._plan(act)

    def breaks_the_bucket(
        self, error: SagewatchError, *, back: str, reads: bool = True, after: str = "0s"
    ) -> Moment:
        """Nothing can be written to the evidence bucket, or read from it, until then; each try takes so long."""
        end, length = START + read_time(back), read_time(after)
        return self._plan(lambda: self.story.bucket.break_until(end, error, length, reads=reads))

    def loses_events(self, *, until: str) -> Moment:
        """No event reaches deliver_alert for a while; only ticks do their work."""

        def lose(lost: bool) -> None:
            self.story.lost = lost

        self.story.happenings.append((read_time(until), lambda: lose(False)))
        return self._plan(lambda: lose(True))

    @staticmethod
    def _unreachable(name: str) -> DeliveryError:
        return DeliveryError(name, "unreachable", recoverable=True)


def build_finished(incident: Incident, now: datetime) -> Diagnosis:
    """A diagnosis that is over, as its lease says."""
    return Diagnosis(
        incident_id=incident.incident_id, endpoint=incident.endpoint, variant=incident.variant,
        subject=incident.subject, phase=Phase.FINISHED, original_config="own", original_model="own",
        hooked_config="hooked", hooked_model="hooked", tensors_prefix="tensors/", job="explain", started_at=now,
        due=now, used_on=f"{now:%F}", used_today=1,
    )  # fmt: skip


def build_finding(name: str, episode: int, now: datetime, severity: str, kind: str, endpoint: str) -> Finding:
    """A finding of the named subject."""
    stream = Stream(endpoint, "AllTraffic")
    return Finding(
        finding_id=build_content_key(endpoint, kind, name, str(episode)),
        fingerprint=build_fingerprint(stream, kind, name),
        account="123456789012",
        region="eu-central-1",
        endpoint=endpoint,
        variant=stream.variant,
        kind=kind,
        subject=name,
        severity=Severity(severity),
        evidence=Evidence(2e6, 1e6, 0.3, 0.7, "share", 0.72, 0.02),
        window=Window(now - timedelta(minutes=1), now, 25),
        source="capture/signs/AllTraffic/x.jsonl",
        detector=DetectorRef(kind, "1", "abc"),
        raised_at=now,
    )
