"""The state machine of alerts, where what is away may come back: holds, escalations, trials, and deployments in the midst."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sagewatch.finding import Severity
from sagewatch.incident.model import State
from tests.property.incident.heard_model import list_incidents
from tests.property.incident.held_model import BOSS, EXTRA, Witness, list_too_close, write_monitors
from tests.property.incident.quiet_model import is_away, list_unresolved
from tests.property.incident.test_alerts_machine import (
    FLAPPING,
    INHIBITED,
    KINDS,
    NAMES,
    PAGED,
    QUIET_FOR,
    WINDOW,
    WINDOWED,
    Alerts,
)

HOLD = timedelta(minutes=5)
HELD = "flapping: {hold: 5m}\n"
PLAIN_HELD, INHIBITED_HELD, WINDOWED_HELD = PAGED + HELD, INHIBITED + HELD, WINDOWED + HELD
FLAPPING_HELD = FLAPPING.replace("flapping: {", "flapping: {hold: 5m, ") + "\n"
ESCALATES_AFTER = timedelta(minutes=10)
HELD_LISTED = [PLAIN_HELD, INHIBITED_HELD, WINDOWED_HELD, FLAPPING_HELD]
SEVERITIES = st.sampled_from(["warning", "critical"])


class HeldAlerts(Alerts):
    """What the other machine asks, and what a hold promises."""

    @initialize(monitors=st.sampled_from(HELD_LISTED), escalates=st.booleans())
    def begin(self, monitors, escalates=False):
        self.base, self.escalates = monitors, escalates
        self.named, self.removed = False, False
        super().begin(write_monitors(monitors, escalates=escalates, extra=False))
        self.witness = Witness(self.story.items)
        ears = self.story.ears
        ears.hear = self.listen(ears.hear)

    def listen(self, hear):
        def listen(target, kind, text):
            heard = self.story.ears.heard
            before = len(heard)
            try:
                hear(target, kind, text)
            finally:
                if len(heard) > before:
                    is_sure = not self.fuse.deaths + self.lost_answers
                    self.witness.note(heard[before], is_sure=is_sure, is_muted=self.is_muted_now)

        return listen

    def is_muted_now(self, incident):
        now = self.story.clock.now
        stretches = [(start, end) for start, end, _ in self.silences]
        if incident.subject == "stop":
            stretches += [(start, end) for start, end, _ in self.silences_of_one]
        stretches += [WINDOW] if self.windowed else []
        return self.inhibits or any(start <= now < end for start, end in stretches)

    def is_served(self, target):
        return not (target == EXTRA and self.removed)

    def list_due(self):
        """But for what a receiver that was removed is owed: it may be named again."""
        return [row for row in super().list_due() if self.named or not self.owes_extra(row.incident_id)]

    def owes_extra(self, incident_id):
        debts = self.story.world.state.load_debts(incident_id)
        return any((one.receiver, one.told) == (EXTRA, "firing") for one in debts)

    def is_direct(self, target):
        return target != BOSS

    @rule(name=NAMES, what=st.sampled_from(["acknowledges", "resolves"]))
    def lend_a_hand(self, name, what):
        if what == "acknowledges" and name in self.story.known:
            self.witness.note_hand(self.story.find(name))
        super().lend_a_hand(name, what)

    @rule(name=NAMES, severity=SEVERITIES)
    def raise_on_trial(self, name, severity):
        """A new one alone: what people were told of stays told."""
        known = self.story.known.get(name)
        if known is None or known.cleared_at is not None:
            self.do(lambda moment: moment.raises(name, kind=KINDS[name], severity=severity, staged=True))
            self.reported.append(self.story.known[name])

    @rule(name=NAMES, again=st.booleans())
    def get_worse_than_was_acknowledged(self, name, again):
        self.raise_finding(name, 1, "warning")
        self.lend_a_hand(name, "acknowledges")
        self.wait(60)
        self.raise_finding(name, 1, "critical")
        if again:
            self.wait(60)
            self.lend_a_hand(name, "acknowledges")

    @rule(seconds=st.sampled_from([1, 239, 299, 300, 301, 359]), severity=SEVERITIES, name=NAMES)
    def come_back(self, seconds, severity, name):
        """Within the hold or right after it, perhaps before a tick came."""
        self.raise_finding(name, 1, "warning")
        self.wait(1)
        self.clear_finding(name, 1)
        self.wait(seconds)
        self.raise_finding(name, 1, severity)

    @rule(name=NAMES)
    def hear_with_its_end_that_it_was_worse(self, name):
        """Word of its rise was lost, or is late."""
        self.raise_finding(name, 1, "warning")
        self.wait(60)
        known = self.story.known[name]
        if known.cleared_at is None:
            self.story.known[name] = msgspec.structs.replace(known, severity=Severity.CRITICAL)
            self.clear_finding(name, 1)

    @rule(minutes=st.integers(2, 9), name=NAMES)
    def hide(self, minutes, name):
        """It comes and goes while it is silenced, and the silence ends before its hold does, or after it."""
        self.silence(minutes)
        self.raise_finding(name, 1, "critical")
        self.wait(60)
        self.clear_finding(name, 1)
        self.wait(minutes * 60)

    @rule(named=st.booleans())
    def deploy_receivers(self, named):
        """One receiver more hears of everything, or does so no more."""
        self.removed |= self.named and not named
        if named and not self.named:
            self.witness.named_at = self.story.clock.now
        self.named = named
        text = write_monitors(self.base, escalates=self.escalates, extra=named)
        self.do(lambda moment: moment.deploys(text))

    @rule()
    def leave_alone(self):
        story, before = self.story, self.story.clock.now
        waiting = {
            name: one.severity
            for name, one in list_unresolved(story.items).items()
            if one.state is State.OPEN and not one.staged and not is_away(one)
        }
        super().leave_alone()
        now = story.clock.now
        unresolved = list_unresolved(story.items)
        late = [
            name
            for name, one in unresolved.items()
            if is_away(one) and now > max(found.cleared_at for found in one.findings) + 2 * HOLD
        ]
        assert not late, late
        stretches = [(start, end) for start, end, _ in (*self.silences, *self.silences_of_one)]
        stretches += [WINDOW] if self.windowed else []
        muted = self.inhibits or any(start <= now and before < end + QUIET_FOR for start, end in stretches)
        if not self.escalates or muted:
            return
        for name, one in unresolved.items():
            goes_on = name in waiting and one.state is State.OPEN and not one.staged and not is_away(one)
            if goes_on and not one.flapping:
                assert self.witness.has_heard(BOSS, one), name

    def teardown(self):
        if not hasattr(self, "story"):
            return
        super().teardown()
        self.check_resolved()
        self.witness.check()

    def check_resolved(self):
        """All that was found is over, and so is every incident, on trial or not: since its evidence has gone."""
        incidents = list_incidents(self.story.items)
        unresolved = [one.incident_id for one in incidents.values() if one.state is not State.RESOLVED]
        assert not unresolved, unresolved
        for one in incidents.values():
            if not one.resolved_by_hand:
                assert one.resolved_at == max(found.cleared_at for found in one.findings), one
        if not self.fuse.deaths:
            close = list_too_close(incidents.values(), HOLD)
            assert not close, close


TestHeldAlerts = HeldAlerts.TestCase
TestHeldAlerts.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
