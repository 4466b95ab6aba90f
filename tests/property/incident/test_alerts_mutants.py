"""The state machine of alerts can fail: an outbox that is broken on purpose is found out.

Each mutant is a mistake that such an outbox is made with: what the state machine promises must not survive it.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sagewatch.alert.outbox import Hold, Kind, Send, Spare
from sagewatch.alert_state import AlertState
from sagewatch.errors import DeliveryError
from sagewatch.flows import settle_target
from sagewatch.incident.muting import Mute
from sagewatch.memory.items import MemoryItems
from tests.acceptance import test_faults
from tests.property.incident.test_alerts_machine import Alerts

send, decide, record = settle_target.send_message, settle_target.decide_announcement, AlertState.record_told
find = settle_target.find_mute
FORGOTTEN = set()


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


def never_come_back(incident_id, labels, quiet, now):
    """What was explained once stays muted when its explanation is over."""
    mute = find(incident_id, labels, quiet, now)
    if mute is not None and mute.reason == "inhibited":
        FORGOTTEN.add((id(quiet.inhibitions), incident_id))
    return mute or (Mute("inhibited", "x") if (id(quiet.inhibitions), incident_id) in FORGOTTEN else None)


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


MUTANTS = {
    "a refusal is taken for a yes": ("send_message", take_a_refusal_for_a_yes),
    "the end is forgotten": ("decide_announcement", forget_the_end),
    "it is written down and not sent": ("send_message", write_down_without_sending),
    "it speaks while muted": ("decide_announcement", speak_while_muted),
    "it speaks of what another incident explains": ("find_mute", explain_nothing),
    "what was explained is never told": ("find_mute", never_come_back),
    "it speaks of what is muted by way of others": ("decide_announcement", mute_first_words_alone),
    "an end comes without its beginning": ("decide_announcement", end_what_never_began),
}
FIND_ONE = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_outbox_is_found_out(name, monkeypatch):
    place, mutant = MUTANTS[name]
    monkeypatch.setattr(settle_target, place, mutant)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Alerts, settings=FIND_ONE)


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
    unharmed, blown = test_faults.play_with_fuse(MemoryItems(), 0)
    assert not blown
    test_faults.check_all_told(unharmed, 0)  # no crash, nothing lost: it is the crash that finds it out
    with pytest.raises(AssertionError):
        test_faults.test_killed_after_any_single_write_everybody_still_hears_all()
