"""Anything in any order: duplicates, reordering, delays, crashes, lost answers, refusals, silences, hands.

What is promised holds after each.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sagewatch.alert.ledger import Ledger
from sagewatch.finding import Severity
from sagewatch.incident.model import Entry
from sagewatch.memory.items import MemoryItems
from tests.acceptance.conftest import MONITORS
from tests.acceptance.ears import Killed
from tests.acceptance.fuse import Fuse
from tests.acceptance.language import START, Story
from tests.property.incident.heard_model import (
    check_books,
    find_open_keys,
    find_unended,
    list_ends_without_beginning,
    list_incidents,
)
from tests.property.incident.quiet_model import (
    INHIBIT,
    find_end,
    find_inhibited,
    find_severity,
    find_thread,
    is_away,
    list_mentioned,
    list_over_and_new,
    list_over_and_untold,
    list_unresolved,
)

KINDS = {"stop": "class-concentration", "yield": "class-concentration", "bad": "rejected", "none": "no-data"}
NAMES = st.sampled_from(sorted(KINDS))
WAITS = st.sampled_from([0, 1, 59, 60, 400, 3600])
GROUPED = MONITORS + "routes: {receiver: on-call, group_wait: 30s}"
PAGED = MONITORS.replace("mail: {}", "mail: {}, pagerduty: {key: 'secret:sagewatch/pagerduty'}")
INHIBITED = PAGED + INHIBIT
WINDOWED = (
    PAGED
    + """
windows: {release: {mutes: ["endpoint=signs"], every: "Mon 13:00-13:30"}}
"""
)
FLAPPING = PAGED + "flapping: {budget: 2, per: 1d, digest: 1h}"
FLAPPING_ALONE = FLAPPING + "\nroutes: {receiver: on-call, group_by: [incident]}"
WINDOW = (START + timedelta(hours=1), START + timedelta(hours=1, minutes=30))
BEGINS = {"firing", "trigger"}
ENDS = {"resolved", "resolve"}
SUMMED_UP_WITHIN = timedelta(hours=1) + timedelta(minutes=10)
"""What comes and goes is in a summary by then, or told by itself (the digest of ``FLAPPING``)."""
QUIET_FOR = timedelta(minutes=10)  # longer than any wait for company, and than what a tick makes up for


MONITORS_LISTED = [MONITORS, GROUPED, PAGED, INHIBITED, WINDOWED, FLAPPING, FLAPPING_ALONE]


class Alerts(RuleBasedStateMachine):
    """Detectors, people, receivers and failures, as they come."""

    @initialize(monitors=st.sampled_from(MONITORS_LISTED))
    def begin(self, monitors):
        self.monitors = monitors
        self.inhibits, self.windowed = "inhibit:" in monitors, "windows:" in monitors
        self.story = Story(MemoryItems(), monitors)
        self.spoken_of_muted = []
        if self.inhibits:
            self.story.ears.hear = self.watch(self.story.ears.hear)
        self.fuse = Fuse(self.story, 0)
        self.silences, self.silences_of_one = [], []
        self.lost_answers = 0
        self.reported = []

    def watch(self, hear):
        """Whoever is told something is not told of what another incident explains at that moment."""

        def listen(target, kind, text):
            before = len(self.story.ears.heard)
            hear(target, kind, text)
            unresolved = list_unresolved(self.story.items)
            over = list_over_and_untold(self.story.items, target)
            muted = list_mentioned(text, unresolved, over) & find_inhibited(unresolved)
            muted |= set(self.list_began_too_late(target, text))
            if muted and kind not in ENDS and len(self.story.ears.heard) > before:
                self.spoken_of_muted.append((target, kind, sorted(muted), text[:200]))

        return listen

    def do(self, plan):
        story = self.story
        plan(story.at(f"{int((story.clock.now - START).total_seconds())}s"))
        story.play(story.clock.now - START)

    @rule(name=NAMES, times=st.integers(1, 3), severity=st.sampled_from(["warning", "critical"]))
    def raise_finding(self, name, times, severity):
        self.do(lambda moment: moment.raises(name, kind=KINDS[name], times=times, severity=severity))
        self.reported.append(self.story.known[name])

    @rule(name=NAMES, times=st.integers(1, 2))
    def clear_finding(self, name, times):
        if name in self.story.known and self.story.known[name].cleared_at is None:
            self.do(lambda moment: moment.clears(name, times=times))
            self.reported.append(self.story.known[name])

    @rule(index=st.integers(0, 30))
    def bring_an_old_finding_again(self, index):
        if self.reported:
            old = self.reported[index % len(self.reported)]
            self.do(lambda moment: moment.does(lambda story: story.report(old)))

    @rule(index=st.integers(0, 60))
    def bring_an_old_event_again(self, index):
        events = [
            one for one in self.story.bus.events if one["detail-type"].startswith(("Incident", "Alert"))
        ]
        if events:
            old = events[index % len(events)]
            self.do(lambda moment: moment.does(lambda story: story._deliver(old)))

    @rule(severity=st.sampled_from(["warning", "critical"]))
    def end_an_explanation(self, severity):
        """Chance alone seldom leaves open what was explained, and then nothing fails for a while."""
        self.raise_finding("bad", 1, severity)
        self.raise_finding("none", 1, severity)
        self.clear_finding("bad", 1)
        self.leave_alone()

    @rule(name=NAMES, what=st.sampled_from(["acknowledges", "resolves"]))
    def lend_a_hand(self, name, what):
        if name in self.story.known and self.story.world.state.load_incident(self.story.find(name)):
            more = {"reason": "x"} if what == "resolves" else {}
            self.do(lambda moment: getattr(moment, what)(name, by="ada", **more))

    @rule(minutes=st.integers(1, 90))
    def silence(self, minutes):
        now = self.story.clock.now
        self.do(lambda moment: moment.silences("endpoint=signs", length=f"{minutes}m", by="ada", reason="x"))
        self.silences.append((now, now + timedelta(minutes=minutes), len(self.story.ears.heard)))

    @rule(minutes=st.integers(1, 90))
    def silence_one(self, minutes):
        """Its company goes on being heard."""
        now = self.story.clock.now
        self.do(lambda moment: moment.silences("subject=stop", length=f"{minutes}m", by="ada", reason="x"))
        self.silences_of_one.append((now, now + timedelta(minutes=minutes), len(self.story.ears.heard)))

    @rule(
        channel=st.sampled_from(["on-call/slack", "on-call/mail", "on-call/pagerduty"]),
        times=st.integers(1, 3),
    )
    def throttle(self, channel, times):
        self.do(lambda moment: moment.throttles(channel, times=times, retry_after=20))

    @rule(
        channel=st.sampled_from(["on-call/slack", "on-call/mail", "on-call/pagerduty"]),
        times=st.integers(1, 2),
    )
    def lose_answers(self, channel, times):
        """A message is taken, and its sender does not learn that."""
        self.lost_answers += times
        self.do(lambda moment: moment.loses_answers(channel, times=times))

    @rule(
        channel=st.sampled_from(["on-call/slack", "on-call/mail", "on-call/pagerduty"]),
        minutes=st.integers(1, 20),
        begins=st.sampled_from(["", "stop", "yield"]),
        ends=NAMES,
    )
    def refuse(self, channel, minutes, begins, ends):
        """A receiver refuses for good what comes meanwhile, and is well again; nobody sends the letters again yet."""
        back = int((self.story.clock.now - START).total_seconds()) + minutes * 60
        self.do(lambda moment: moment.refuses(channel, "is_archived", back=f"{back}s"))
        self.clear_finding(ends, 1)
        if begins:
            self.raise_finding(begins, 1, "critical")
        asked, owed = self.count_vain(channel), len(self.reported) + 1
        self.wait(minutes * 60 + 1)
        # What is refused is asked once; what is new meanwhile (company that was waited for, reminders) once, too.
        assert self.count_vain(channel) - asked <= 4 * owed + 4 * self.fuse.deaths

    def count_vain(self, channel):
        """How often the channel was called in vain."""
        heard = sum(one.target == channel for one in self.story.ears.heard)
        return self.story.count_asked(channel) - heard

    @rule(
        channel=st.sampled_from(["on-call/slack", "on-call/mail", "on-call/pagerduty"]),
        trouble=st.sampled_from(["refused", "throttled", "down", "silenced", "claimed"]),
        minutes=st.integers(1, 20),
    )
    def redrive_too_early(self, channel, trouble, minutes):
        """Somebody sends the letters again before the receiver is well; what is owed stays owed, and nothing multiplies."""
        self.refuse(channel, 1, "stop", "yield")
        story = self.story
        before, deaths = len(story.wakeups.dead), self.fuse.deaths
        pairs, asked = self.list_pairs(), len(story.ears.asked)
        back = f"{int((story.clock.now - START).total_seconds()) + minutes * 60}s"
        if trouble == "refused":
            self.do(lambda moment: moment.refuses(channel, "is_archived", back=back))
        elif trouble == "throttled":
            self.throttle(channel, 1)
        elif trouble == "down":
            self.do(lambda moment: moment.goes_down(channel, back=back))
        elif trouble == "silenced":
            self.silence(minutes)
        else:
            self.claim_all(channel)
        self.redrive()
        if self.fuse.deaths == deaths:
            assert len(story.wakeups.dead) <= before + len(self.list_pairs() - pairs), pairs
            # Each letter asks for at most all that its group is owed, a few messages each.
            assert len(story.ears.asked) - asked <= 4 * (before + len(self.reported)), asked
        self.wait(minutes * 60 + 1)

    def claim_all(self, channel):
        """Others are sending at this moment, and die on the way."""

        def claim(told):
            rows = [row for row in told.items.rows.values() if row.sk == "ledger"]
            ledgers = [msgspec.json.decode(row.body, type=Ledger) for row in rows]
            for group in [one.group for one in ledgers if one.receiver == channel]:
                ledger = told.world.alerts.load_ledger(group, channel)
                until = told.clock.now + timedelta(seconds=60)
                told.world.alerts.save_ledger(msgspec.structs.replace(ledger, claimed_until=until))

        self.do(lambda moment: moment.does(claim))

    def list_pairs(self):
        """Of whom there are letters, with whom refused."""
        return {(fact.incident_id, why.split(":")[0]) for fact, why in self.story.wakeups.dead}

    def redrive(self):
        """Somebody sends all dead letters again."""
        letters, self.story.wakeups.dead = self.story.wakeups.dead, []
        for fact, _ in letters:
            self.do(
                lambda moment, fact=fact: moment.does(lambda told: told.bus.publish([fact], told.clock.now))
            )

    @rule(minutes=st.integers(1, 20), again=st.booleans())
    def leave_one_behind(self, minutes, again):
        """Chance alone seldom silences one of two that share a message, and ends the other meanwhile."""
        self.raise_finding("stop", 1, "critical")
        self.raise_finding("yield", 1, "critical")
        self.wait(400)
        self.silence_one(minutes)
        self.clear_finding("yield", 1)
        if again:  # at the end of the silence, when it is about to be told anew
            self.wait(minutes * 60 - 1)

    @rule(
        name=st.sampled_from(["stop", "yield"]),
        severity=st.sampled_from(["warning", "critical"]),
        stays_as=st.sampled_from(["warning", "critical"]),
    )
    def come_and_go(self, name, severity, stays_as):
        """Often enough to be summed up, and then it stays, perhaps as something worse."""
        for _ in range(3):
            self.raise_finding(name, 1, severity)
            self.clear_finding(name, 1)
            self.wait(1)
        self.raise_finding(name, 1, severity)
        if stays_as != severity:
            self.wait(1)  # evidence of the same moment is known
            self.raise_finding(name, 1, "critical")

    @rule(minutes=st.integers(1, 20), how=st.sampled_from(["no answer", "death"]), stays=st.booleans())
    def lose_a_summary(self, minutes, how, stays):
        """It may have arrived, its sender does not learn that, and a silence keeps it from being told again."""
        for _ in range(2):
            self.raise_finding("stop", 1, "critical")
            self.clear_finding("stop", 1)
            self.wait(1)
        if how == "death":
            self.die_after_the_next_page()
        else:
            self.lose_answers("on-call/pagerduty", 1)
        self.raise_finding("stop", 1, "critical")
        self.silence_one(minutes)
        if not stays:
            self.clear_finding("stop", 1)

    @rule(minutes=st.integers(1, 20))
    def silence_too_late(self, minutes):
        """It is over before the mail that tells of it is sent, and then a silence begins: chance alone seldom does that."""
        back = int((self.story.clock.now - START).total_seconds()) + 30
        self.do(lambda moment: moment.goes_down("on-call/mail", back=f"{back}s"))
        self.raise_finding("stop", 1, "critical")
        self.wait(1)
        self.clear_finding("stop", 1)
        self.wait(1)
        self.silence_one(minutes)

    @rule()
    def explain_too_late(self):
        """It is over before the mail that tells of it is sent, and what was as bad as it then becomes what explains it."""
        back = int((self.story.clock.now - START).total_seconds()) + 30
        self.do(lambda moment: moment.goes_down("on-call/mail", back=f"{back}s"))
        self.raise_finding("yield", 1, "warning")
        self.raise_finding("stop", 1, "warning")
        self.wait(1)
        self.clear_finding("stop", 1)
        self.wait(1)
        self.raise_finding("yield", 1, "critical")

    @rule(ends=st.permutations(["bad", "none"]))
    def end_together(self, ends):
        """What explains and what it explains are over in the same fold: nobody was, or is, to be told of the latter."""
        self.raise_finding("bad", 1, "critical")
        self.raise_finding("none", 1, "critical")
        self.wait(60)
        self.do(lambda moment: moment.does(lambda story: self.clear_all(ends)))

    def clear_all(self, names):
        """At one moment, and heard of afterwards."""
        for name in names:
            if self.story.known[name].cleared_at is None:
                over = msgspec.structs.replace(self.story.known[name], cleared_at=self.story.clock.now)
                self.story.known[name] = over
                self.story.report(over)
                self.reported.append(over)

    def die_after_the_next_page(self):
        """Whoever sends PagerDuty the next message dies before the books say so."""
        ears = self.story.ears
        hear = ears.hear

        def hear_and_die(target, kind, text):
            hear(target, kind, text)
            if target.endswith("/pagerduty"):
                ears.hear = hear
                self.fuse.deaths += 1
                raise Killed

        ears.hear = hear_and_die

    @rule(trial=st.booleans())
    def deploy(self, trial):
        """Detectors go on trial, or off it, and what they have found goes on as it is told then."""
        self.wait(1)
        for name, finding in list(self.story.known.items()):
            if finding.cleared_at is None:
                window = msgspec.structs.replace(finding.window, end=self.story.clock.now)
                changed = msgspec.structs.replace(finding, staged=trial, window=window)
                self.story.known[name] = changed
                self.do(lambda moment, one=changed: moment.does(lambda told: told.report(one)))
                self.reported.append(changed)

    @rule(writes=st.integers(1, 12))
    def crash_soon(self, writes):
        self.fuse.left = writes

    @rule(seconds=WAITS)
    def wait(self, seconds):
        story = self.story
        story.play(story.clock.now - START + timedelta(seconds=seconds))

    @rule()
    def leave_alone(self):
        """Half an hour in which nothing fails: whoever is not muted at its end has been told of by then."""
        story = self.story
        self.fuse.left = 0
        story.ears.throttled, story.ears.unanswered = {}, {}
        story.play(story.clock.now - START + timedelta(minutes=30))
        now = story.clock.now
        stretches = [(start, end) for start, end, _ in (*self.silences, *self.silences_of_one)]
        stretches += [WINDOW] if self.windowed else []
        if any(start <= now < end + QUIET_FOR for start, end in stretches):
            return
        unresolved = list_unresolved(story.items)
        muted = find_inhibited(unresolved) if self.inhibits else set()
        paged = ["on-call/pagerduty"] if "pagerduty" in self.monitors else []
        refused = self.list_pairs()
        owed = {name for name, one in unresolved.items() if not one.staged and not is_away(one)}
        for name in owed - muted:
            for target in ("on-call/slack", "on-call/mail", *paged):
                if (unresolved[name].incident_id, target) in refused:
                    continue  # there is a letter; whoever has none was told, whatever was refused beside it
                if unresolved[name].flapping and now < unresolved[name].opened_at + SUMMED_UP_WITHIN:
                    continue
                heard = [
                    one
                    for one in story.ears.heard
                    if one.target == target and one.kind in {*BEGINS, "updated", "worsened", "digest"}
                ]
                told = [one.text for one in heard if name in list_mentioned(one.text, unresolved)]
                assert told, (name, target)
                # The worst speaks first, and each message says how bad that is.
                if unresolved[name].severity is Severity.CRITICAL:
                    assert any(Severity.CRITICAL.value in text for text in told), (name, target)

    def teardown(self):
        if not hasattr(self, "story"):
            return
        story = self.story
        self.fuse.left = 0
        story.ears.unanswered = {}
        for finding in self.reported:  # queues deliver until it is done
            self.do(lambda moment, finding=finding: moment.does(lambda told: told.report(finding)))
        for name, finding in list(story.known.items()):
            if finding.cleared_at is None:
                self.do(lambda moment, name=name: moment.clears(name))
        story.play(story.clock.now - START + timedelta(hours=8))
        for _ in range(3):
            if story.wakeups.dead:
                self.redrive()
                story.play(story.clock.now - START + timedelta(hours=1))
        assert not story.wakeups.dead
        self.check_muted()
        self.check_told()
        self.check_ends()
        self.check_each()

    def check_muted(self):
        for start, end, heard_before in self.silences:
            for heard in story_heard(self.story)[heard_before:]:
                if start <= heard.at < end:
                    assert heard.kind in ENDS, heard
        for start, end, heard_before in self.silences_of_one:
            for heard in story_heard(self.story)[heard_before:]:
                if start <= heard.at < end and heard.kind not in ENDS:
                    assert "Class stop " not in heard.text, heard
        if self.windowed:
            start, end = WINDOW
            assert all(one.kind in ENDS for one in self.story.ears.heard if start <= one.at < end)
        assert not self.spoken_of_muted

    def is_served(self, target):
        """Whether monitors.yml names the receiver, and always did since it first did."""
        return True

    def is_direct(self, target):
        """Whether it hears at once: an escalation that something kept waiting need not begin once it is over."""
        return True

    def check_ends(self):
        """No end without its beginning, and one end at most for each: but for one message for each function that died.

        What has ended begins anew under a key of its own: PagerDuty would page again for what it was told is over.
        Whoever died may have told what nobody wrote down: what it told is told again, or its end is told unasked
        (docs/alerts.md, "Told or not"). Where nobody died there is no such message.
        """
        begun, ended, unasked = {}, set(), []
        kinds = {one.fingerprint: one.kind for one in self.reported}
        for heard in self.story.ears.heard:
            thread = find_thread(heard, kinds)
            if heard.target.endswith("/pagerduty") and heard.kind not in ENDS and thread in ended:
                unasked.append(heard)
                ended.discard(thread)  # it is open again: what follows speaks of what is
            if heard.kind in ENDS and not thread[1].endswith("-digest"):
                ended.add(thread)
            if "pagerduty" not in heard.target:
                continue  # by incident, in ``check_each``
            if heard.kind in BEGINS:
                begun[thread] = True
            elif heard.kind in ENDS and not begun.pop(thread, False):
                unasked.append(heard)
        assert len(unasked) <= self.fuse.deaths + self.lost_answers, unasked

    def check_each(self):
        """Now that all is over, and was tried as often as it takes: what the receivers heard, each for itself.

        Every key is closed. Whoever heard of an incident hears its end, and who was told of no incident hears of no end.
        What ``sagewatch explain`` says was told is what was heard.
        """
        heard, doubts = self.story.ears.heard, self.fuse.deaths + self.lost_answers
        open_keys = find_open_keys(heard)
        assert not open_keys, open_keys
        names = {finding.fingerprint: name for name, finding in self.story.known.items()}
        unended = find_unended([one for one in heard if self.is_served(one.target)], names)
        assert not unended, unended
        unasked = list_ends_without_beginning(heard, list_incidents(self.story.items), names)
        assert len(unasked) <= 2 * doubts, unasked
        check_books(self.story, names, is_certain=not doubts)

    def perhaps_told(self, target):
        trails = [row for row in self.story.items.rows.values() if row.sk.startswith("event#")]
        entries = [msgspec.json.decode(row.body, type=Entry) for row in trails]
        return any(one.reason == "perhaps_told" and one.data["receiver"] == target for one in entries)

    def list_due(self):
        """What is still to be looked at."""
        return self.story.world.alerts.list_due()

    def check_told(self):
        story = self.story
        assert self.list_due() == []
        rows = [row for row in story.items.rows.values() if row.sk.startswith("outbox#")]
        assert rows or all(finding.staged for finding in self.reported)
        for target in ("on-call/slack", "on-call/mail", "on-call/pagerduty"):
            kinds = [one.kind for one in story.ears.heard if one.target == target]
            # Whatever is heard first is a beginning: no end, rise, repetition or acknowledgement without one.
            # But for the end of what somebody who died may have told of.
            assert not kinds or kinds[0] in {*BEGINS, "digest"} or self.perhaps_told(target), kinds
            # The books are not believed: as many beginnings were heard as they say, or more (a crash repeats).
            ledgers = [
                msgspec.json.decode(row.body, type=Ledger)
                for row in story.items.rows.values()
                if row.sk == "ledger"
            ]
            assert sum(one in BEGINS for one in kinds) >= sum(
                one.generation for one in ledgers if one.receiver == target
            )
        for incident_id in {row.pk.removeprefix("incident#") for row in rows}:
            for debt in story.world.state.load_debts(incident_id):
                assert not self.is_served(debt.receiver) or debt.told in {
                    "resolved",
                    "spared",
                    "digested",
                    *(["closed"] if self.fuse.deaths + self.lost_answers else []),
                }, debt
                if debt.told == "resolved":
                    # The books are not believed: who was told the end has heard a beginning.
                    assert self.perhaps_told(debt.receiver) or any(
                        one.target == debt.receiver and one.kind in BEGINS for one in story.ears.heard
                    )
                if debt.told == "spared" and self.is_direct(debt.receiver):
                    assert self.ended_muted(incident_id, surely=False), debt

    def list_began_too_late(self, target, text):
        """Incidents that a message begins to tell of, and that are over and ended muted: nobody was, or is, to be told."""
        if self.fuse.deaths or self.lost_answers:
            return []  # the books do not know all that was told
        found = list_over_and_new(self.story.items, target, text)
        return [name for name in found if self.ended_muted(name, surely=True)]

    def ended_muted(self, incident_id, *, surely):
        """Whether something muted the incident at the moment in which it was over: nothing later takes a word from anybody.

        Where a silence began in that second, nobody knows which was first: it may have, and did not surely.
        """
        incidents = list_incidents(self.story.items)
        one = incidents[incident_id]
        stretches = [(start, end) for start, end, _ in self.silences]
        stretches += [(start, end) for start, end, _ in self.silences_of_one if one.subject == "stop"]
        stretches += [WINDOW] if self.windowed else []
        at = one.resolved_at
        if any(start <= at < end and not (surely and start == at) for start, end in stretches):
            return True
        if not self.inhibits:
            return False
        there = {
            name: other
            for name, other in incidents.items()
            if name == incident_id
            or other.opened_at <= one.resolved_at <= find_end(self.story.items, other, one.resolved_at)
        }
        if self.fuse.deaths:  # nobody saw the end at its moment: what was worse by then counts, too
            return len(there) > 1
        then = {
            name: find_severity(self.story.items, other, one.resolved_at) for name, other in there.items()
        }
        return incident_id in find_inhibited(then)


def story_heard(story):
    return story.ears.heard


TestAlerts = Alerts.TestCase
TestAlerts.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
