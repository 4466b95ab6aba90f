"""The state machine of alerts can fail: an outbox that is broken on purpose is found out.

Each mutant is a mistake that such an outbox is made with: what the state machine promises must not survive it. The
story that finds it out is told with the machine's own rules, and passes where nothing is broken: nothing is left to chance.
"""

from __future__ import annotations

import msgspec
import pytest

from sagewatch.alert import lateness
from sagewatch.alert.outbox import Hold, Kind, Send, Spare
from sagewatch.alert_state import AlertState
from sagewatch.errors import DeliveryError
from sagewatch.finding import Severity
from sagewatch.flows import budget, settle_target
from sagewatch.incident.muting import Mute
from sagewatch.memory.items import MemoryItems
from tests.acceptance import test_crashes
from tests.acceptance.conftest import MONITORS
from tests.property.incident.test_alerts_machine import FLAPPING, FLAPPING_ALONE, GROUPED, INHIBITED, Alerts

send, decide, record = settle_target.send_message, settle_target.decide_announcement, AlertState.record_told
find, note, keep_failure = lateness.find_mute, settle_target.settle, settle_target.keep_failure


def take_a_refusal_for_a_yes(announcement, ledger, what, world):
    """A receiver that said 429 is written down as told."""
    try:
        return send(announcement, ledger, what, world)
    except DeliveryError:
        return ledger.thread


def forget_the_end(*arguments, **named):
    """Nobody is told that it is over."""
    decision = decide(*arguments, **named)
    return Hold("forgotten") if getattr(decision, "kind", None) is Kind.RESOLVED else decision


def write_down_without_sending(announcement, ledger, what, world):
    """The books say that it was told."""
    return ledger.thread


def speak_while_muted(ledger, members, mutes, *rest):
    """Silences are not asked."""
    return decide(ledger, members, {}, *rest)


def explain_nothing(incident_id, labels, quiet, now):
    """Inhibition is not asked."""
    return find(incident_id, labels, msgspec.structs.replace(quiet, inhibitions=()), now)


def never_come_back():
    """What was explained once stays muted when its explanation is over."""
    forgotten = set()

    def find_once_explained(incident_id, labels, quiet, now):
        mute = find(incident_id, labels, quiet, now)
        if mute is not None and mute.reason == "inhibited":
            forgotten.add(incident_id)
        return mute or (Mute("inhibited", "x") if incident_id in forgotten else None)

    return find_once_explained


def mute_first_words_alone(ledger, members, mutes, *rest):
    """Who was told before goes on being spoken of by way of others."""
    unheard = {one.incident_id for one in members if one.told is None}
    return decide(ledger, members, {name: mute for name, mute in mutes.items() if name in unheard}, *rest)


def end_what_never_began(*arguments, **named):
    """What came and went while muted is told as over."""
    decision = decide(*arguments, **named)
    if not isinstance(decision, Spare) or decision.reason == "perhaps_told":
        return decision
    shows = decision.incidents
    return Send(
        kind=Kind.RESOLVED, reason="resolve_owed", content="x", in_place=False, shows=shows, tells=shows
    )


def note_the_end_of_one_alone(ledger, members, what, now, **named):
    """Of those that share an end only the first is written down: of the others it is told a second time."""
    settled, changed = note(ledger, members, what, now, **named)
    return settled, [
        one for one in changed if what.kind is not Kind.RESOLVED or one.incident_id in what.shows[:1]
    ]


def forget_a_summary(incident, before, marked, *rest):
    """No answer came to a summary, and nobody remembers that it may have arrived."""
    forgotten = msgspec.structs.replace(marked, digest_open=before.digest_open, summed=before.summed)
    return keep_failure(incident, before, forgotten, *rest)


def sum_up_whatever_it_has_become(ledger, members, *rest):
    """What was to be summed up stays so, as what it was when it opened."""
    kept = [
        msgspec.structs.replace(one, flapping=True, severity=Severity.WARNING) if one.told is None else one
        for one in members
    ]
    return decide(ledger, kept, *rest)


def ask_for_mutes_of_now_alone(member, quiet, now):
    """Whether it was muted when it ended is not asked."""
    return find(member.incident_id, member.labels, quiet, now)


def find_it_muted_at_its_end(*arguments):
    """Whatever mutes it now, it is said to have ended muted."""
    return Mute("inhibited", "x")


def find_it_heard_at_its_end(*arguments):
    """What ended muted is told as soon as nothing mutes it any more."""


def throttle_the_first_word(alerts):
    alerts.throttle("on-call/slack", 1)
    alerts.raise_finding("stop", 1, "critical")
    alerts.leave_alone()


def come_and_go_once(alerts):
    alerts.raise_finding("stop", 1, "critical")
    alerts.wait(400)
    alerts.clear_finding("stop", 1)
    alerts.leave_alone()


def come_and_go_in_silence(alerts):
    alerts.silence(60)
    alerts.raise_finding("stop", 1, "critical")
    alerts.wait(400)
    alerts.clear_finding("stop", 1)
    alerts.leave_alone()


def explain_one_by_another(alerts):
    alerts.raise_finding("bad", 1, "critical")
    alerts.raise_finding("none", 1, "critical")
    alerts.leave_alone()


def end_the_explanation(alerts):
    alerts.end_an_explanation("critical")


def end_two_together(alerts):
    alerts.raise_finding("stop", 1, "critical")
    alerts.raise_finding("yield", 1, "critical")
    alerts.wait(400)
    for name in ("stop", "yield"):
        alerts.clear_finding(name, 1)
    alerts.leave_alone()


def silence_one_of_two(alerts):
    alerts.leave_one_behind(20, again=False)
    alerts.raise_finding("yield", 1, "critical")
    alerts.leave_alone()


def lose_a_summary(alerts):
    alerts.lose_a_summary(20, "no answer", stays=False)


def silence_too_late(alerts):
    alerts.silence_too_late(20)


def explain_too_late(alerts):
    alerts.explain_too_late()
    alerts.wait(60)


def end_together(alerts):
    alerts.end_together(["bad", "none"])
    alerts.leave_alone()


def get_worse_while_summed_up(alerts):
    alerts.come_and_go("stop", "warning", "critical")
    alerts.leave_alone()


# What is broken, what it is broken with, with which monitors and in which story it is found out.
MUTANTS = {
    "a refusal is taken for a yes": (
        "send_message",
        lambda: take_a_refusal_for_a_yes,
        MONITORS,
        throttle_the_first_word,
    ),
    "the end is forgotten": ("decide_announcement", lambda: forget_the_end, MONITORS, come_and_go_once),
    "it is written down and not sent": (
        "send_message",
        lambda: write_down_without_sending,
        MONITORS,
        come_and_go_once,
    ),
    "it speaks while muted": (
        "decide_announcement",
        lambda: speak_while_muted,
        MONITORS,
        come_and_go_in_silence,
    ),
    "it speaks of what another incident explains": (
        "find_mute",
        lambda: explain_nothing,
        INHIBITED,
        explain_one_by_another,
    ),
    "what was explained is never told": ("find_mute", never_come_back, INHIBITED, end_the_explanation),
    "it speaks of what is muted by way of others": (
        "decide_announcement",
        lambda: mute_first_words_alone,
        MONITORS,
        silence_one_of_two,
    ),
    "a summary that may have arrived is forgotten": (
        "keep_failure",
        lambda: forget_a_summary,
        FLAPPING,
        lose_a_summary,
    ),
    "a silence takes the word of what was over before it": (
        "find_member_mute",
        lambda: ask_for_mutes_of_now_alone,
        MONITORS,
        silence_too_late,
    ),
    "what explains by having risen takes the word of what was over before": (
        "find_mute_at_end",
        lambda: find_it_muted_at_its_end,
        INHIBITED,
        explain_too_late,
    ),
    "what was explained all its life is told when both are over": (
        "find_mute_at_end",
        lambda: find_it_heard_at_its_end,
        INHIBITED,
        end_together,
    ),
    "what gets worse goes on being summed up": (
        "decide_announcement",
        lambda: sum_up_whatever_it_has_become,
        FLAPPING_ALONE,
        get_worse_while_summed_up,
    ),
    "an end comes without its beginning": (
        "decide_announcement",
        lambda: end_what_never_began,
        MONITORS,
        come_and_go_in_silence,
    ),
    "company is told the end twice": ("settle", lambda: note_the_end_of_one_alone, GROUPED, end_two_together),
}


def tell(story, monitors):
    """A story of the state machine, to its end."""
    alerts = Alerts()
    alerts.begin(monitors)
    story(alerts)
    alerts.teardown()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_outbox_is_found_out(name, monkeypatch):
    place, make_mutant, monitors, story = MUTANTS[name]
    tell(story, monitors)  # nothing is broken, nothing is found: it is the mutant that is found out
    room = next(one for one in (budget, settle_target, lateness) if hasattr(one, place))
    monkeypatch.setattr(room, place, make_mutant())
    with pytest.raises(AssertionError):
        tell(story, monitors)


def test_recording_before_sending_loses_a_message_to_a_crash_and_is_found_out(monkeypatch):
    """Record, then send: with a crash in between the books say that it was told, and nobody was.

    Chance meets such a crash rarely, so here every single write of a story is the last one, one after the other.
    """
    held = []

    def keep_for_later(announcement, ledger, what, world):
        held.append((announcement, ledger, what, world))
        return ledger.thread

    def record_then_send(self, *arguments):
        done = record(self, *arguments)  # a crash here is the point: the fuse of the story is in this write
        while held:
            send(*held.pop())
        return done

    def begin_anew(self, *arguments):
        held.clear()  # whoever was killed remembers nothing
        return load(self, *arguments)

    load = AlertState.load_group
    monkeypatch.setattr(settle_target, "send_message", keep_for_later)
    monkeypatch.setattr(AlertState, "record_told", record_then_send)
    monkeypatch.setattr(AlertState, "load_group", begin_anew)
    unharmed, blown = test_crashes.play_with_fuse(MemoryItems(), 0)
    assert not blown
    test_crashes.check_all_told(unharmed, 0)  # no crash, nothing lost: it is the crash that finds it out
    with pytest.raises(AssertionError):
        test_crashes.test_killed_after_any_single_write_everybody_still_hears_all()
