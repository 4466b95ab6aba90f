"""The state machine of holds can fail: each mutant is found out by a story of its own rules, which passes where nothing is broken."""

from __future__ import annotations

import msgspec
import pytest

from sagewatch.flows import deliver_alert, hearers, manage_incident, settle_target
from sagewatch.incident import closing, lifecycle
from tests.property.incident.test_held_machine import PLAIN_HELD, HeldAlerts

take_in, find_due = lifecycle._take_in, deliver_alert._find_due
build_member, close = settle_target._build_member, closing.close_incident


def begin_whatever_is_away(*arguments):
    """Nobody asks whether its evidence is away."""


def overlook_that_it_is_away(*arguments):
    """The group is not shown that its evidence is away."""
    return msgspec.structs.replace(build_member(*arguments), cleared_at=None)


def end_when_it_is_looked_at(incident, *, at, by, now):
    """It is over since somebody noticed."""
    return close(incident, at=now, by=by, now=now)


def keep_what_was_acknowledged(finding, record, incident, now, flapping):
    """Whoever took something milder is said to look after what it has become."""
    changed = take_in(finding, record, incident, now, flapping)
    return msgspec.structs.replace(
        changed,
        state=incident.state,
        acknowledged_by=incident.acknowledged_by,
        acknowledged_at=incident.acknowledged_at,
    )


def forget_what_is_on_trial(incident, outcomes, *rest):
    """Nobody hears of it, and so nobody looks at it again."""
    return None if incident.staged else find_due(incident, outcomes, *rest)


def end_at_once(incident, flapping, at):
    """What begins is always another incident, though it came back within the hold."""
    return incident.cleared_at is not None


def never_escalate(*arguments):
    """Nobody is asked since when nobody looks after it."""


def come_and_go_in_a_short_silence(alerts):
    alerts.hide(3, "stop")
    alerts.leave_alone()


def get_worse_after_an_acknowledgement(alerts):
    alerts.get_worse_than_was_acknowledged("stop", again=False)
    alerts.raise_finding("yield", 1, "warning")
    alerts.leave_alone()


def end_on_trial(alerts):
    alerts.raise_on_trial("stop", "critical")
    alerts.wait(60)
    alerts.clear_finding("stop", 1)
    alerts.leave_alone()


def come_back_in_time(alerts):
    alerts.come_back(239, "warning", "stop")


def hear_late_that_it_was_worse(alerts):
    alerts.hear_with_its_end_that_it_was_worse("stop")
    alerts.leave_alone()


def stay_unanswered(alerts):
    alerts.raise_finding("stop", 1, "warning")
    alerts.leave_alone()


def deploy_much_later(alerts):
    alerts.raise_finding("stop", 1, "critical")
    alerts.wait(60)
    alerts.clear_finding("stop", 1)
    for _ in range(2):
        alerts.wait(3600)
    alerts.deploy_receivers(named=True)
    alerts.bring_an_old_finding_again(0)


# In which room what is broken, with what, and in which story it is found out.
MUTANTS = {
    "it begins while it is away": (
        settle_target,
        "find_away",
        begin_whatever_is_away,
        come_and_go_in_a_short_silence,
    ),
    "it is told as worse while it is away": (
        settle_target,
        "_build_member",
        overlook_that_it_is_away,
        hear_late_that_it_was_worse,
    ),
    "it is over only since somebody looked": (
        closing,
        "close_incident",
        end_when_it_is_looked_at,
        come_and_go_in_a_short_silence,
    ),
    "what got worse stays acknowledged": (
        lifecycle,
        "_take_in",
        keep_what_was_acknowledged,
        get_worse_after_an_acknowledgement,
    ),
    "what is on trial never ends": (deliver_alert, "_find_due", forget_what_is_on_trial, end_on_trial),
    "what comes back within its hold is another": (
        manage_incident,
        "has_stayed_away",
        end_at_once,
        come_back_in_time,
    ),
    "nobody is escalated to": (
        hearers,
        "find_escalation_start",
        never_escalate,
        stay_unanswered,
    ),
    "who is new hears of what is long over": (
        hearers,
        "BEGINS_NO_MORE",
        lifecycle.AWAITED_FOR * 365,
        deploy_much_later,
    ),
}


def tell(story):
    """A story of the state machine, to its end."""
    alerts = HeldAlerts()
    alerts.begin(PLAIN_HELD, escalates=True)
    story(alerts)
    alerts.teardown()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_hold_is_found_out(name, monkeypatch):
    room, place, mutant, story = MUTANTS[name]
    tell(story)
    for one in {room, closing} if hasattr(closing, place) else {room}:
        monkeypatch.setattr(one, place, mutant)
    with pytest.raises(AssertionError):
        tell(story)
