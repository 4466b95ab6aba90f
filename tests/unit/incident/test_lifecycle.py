from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest

from sagewatch.errors import ConflictError, RetryError
from sagewatch.finding import Severity
from sagewatch.incident.acts import acknowledge, note_progress, promote, resolve_by_hand
from sagewatch.incident.closing import ENDED_KEPT, SETTLED_KEPT, stay_away
from sagewatch.incident.decision import Ignore, Note, Open, OpenResolved, Resolve, Update
from sagewatch.incident.describe import describe
from sagewatch.incident.ending import tell_ending
from sagewatch.incident.flapping import Flapping
from sagewatch.incident.lifecycle import AWAITED_KEPT, decide_on_finding
from sagewatch.incident.model import OpenRecord, Progress, State
from tests.unit.incident.story import World, at, build_finding


def test_first_finding_opens_an_incident_named_after_its_own_time():
    decision = World().hear(build_finding(), now=5000)
    assert isinstance(decision, Open)
    assert decision.incident.incident_id == f"20261121T203450Z-{build_finding().fingerprint}"
    assert decision.record.incident_id == decision.incident.incident_id
    assert [entry.what for entry in decision.entries] == ["finding_raised", "incident_opened"]


def test_same_finding_again_is_ignored():
    world = World()
    world.hear(build_finding())
    assert world.hear(build_finding()) == Ignore(reason="already_folded")


def test_older_state_of_a_finding_does_not_take_back_evidence():
    world = World()
    world.hear(build_finding(end=90))
    assert world.hear(build_finding(end=60)) == Ignore(reason="already_folded")
    assert world.open_incident.latest.window.end == at(90)


def test_what_a_slow_run_adds_to_an_episode_is_taken_in_whatever_comes_first():
    """Its window is older: the episode's end stays, and it began earlier, or is worse than was known."""
    told = build_finding(severity=Severity.WARNING)
    earlier = msgspec.structs.replace(told, window=msgspec.structs.replace(told.window, start=at(-60)))
    worse = msgspec.structs.replace(earlier, severity=Severity.CRITICAL)
    for order in itertools.permutations([told, earlier, worse, worse]):
        world = World()
        for finding in order:
            world.hear(finding)
        assert (world.open_incident.latest, world.open_incident.severity) == (worse, Severity.CRITICAL)
        assert world.hear(worse) == Ignore(reason="already_folded")


def test_grown_evidence_updates_the_one_incident():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    decision = world.hear(build_finding(end=90, severity=Severity.CRITICAL))
    assert isinstance(decision, Update)
    assert decision.reason == "evidence_grew"
    assert decision.incident.severity is Severity.CRITICAL
    assert [entry.what for entry in decision.entries] == ["finding_raised", "severity_rose"]
    assert len(world.incidents) == 1


def test_evidence_that_merely_grows_is_kept_and_leaves_no_line_in_the_trail():
    world = World()
    world.hear(build_finding())
    decision = world.hear(build_finding(end=90))
    assert isinstance(decision, Update)
    assert decision.incident.latest.window.end == at(90)
    assert decision.entries == ()


def test_severity_never_falls_while_the_incident_lasts():
    world = World()
    world.hear(build_finding(severity=Severity.CRITICAL))
    world.hear(build_finding(end=90, severity=Severity.INFO))
    assert world.open_incident.severity is Severity.CRITICAL


def test_clearing_resolves_by_evidence():
    world = World()
    world.hear(build_finding())
    decision = world.hear(build_finding(cleared=300))
    assert isinstance(decision, Resolve)
    assert decision.incident.state is State.RESOLVED
    assert decision.incident.resolved_at == at(300)
    assert decision.incident.resolved_by == "manage_incident"
    assert world.open_incident is None


def test_acknowledged_incident_is_resolved_by_evidence_too():
    world = World()
    world.hear(build_finding())
    world.store(acknowledge(world.open_incident, world.record, by="ada", now=at(110)))
    decision = world.hear(build_finding(cleared=300))
    assert isinstance(decision, Resolve)
    assert decision.incident.acknowledged_by == "ada"


@pytest.mark.parametrize("late", [build_finding(), build_finding(end=200), build_finding(cleared=300)])
def test_word_of_a_settled_finding_is_ignored(late):
    world = World()
    world.hear(build_finding())
    world.hear(build_finding(cleared=300))
    assert world.hear(late) == Ignore(reason="already_settled")


def test_new_episode_after_a_resolve_opens_a_new_incident():
    world = World()
    world.hear(build_finding("a"))
    world.hear(build_finding("a", cleared=300))
    decision = world.hear(build_finding("b", end=900, raised_at=at(880)))
    assert isinstance(decision, Open)
    assert len(world.incidents) == 2


def test_incident_with_two_findings_ends_with_the_last_of_them():
    world = World()
    world.hear(build_finding("a"))
    assert world.hear(build_finding("b", end=90)).reason == "finding_added"
    assert world.hear(build_finding("a", cleared=300)).reason == "one_finding_cleared"
    assert isinstance(world.hear(build_finding("b", cleared=310)), Resolve)


def test_incident_ends_when_the_last_evidence_fell_back_not_when_the_last_word_came():
    world = World()
    world.hear(build_finding("a"))
    world.hear(build_finding("b", end=90))
    world.hear(build_finding("b", cleared=310))
    assert world.hear(build_finding("a", cleared=300)).incident.resolved_at == at(310)


def test_clearing_that_comes_first_is_noted_and_tells_nobody():
    world = World()
    assert isinstance(world.hear(build_finding(cleared=300)), Note)
    assert world.hear(build_finding(cleared=300)) == Ignore(reason="clearing_already_noted")
    assert world.incidents == {}


def test_finding_that_comes_after_its_clearing_opens_and_resolves_at_once():
    world = World()
    world.hear(build_finding(cleared=300))
    decision = world.hear(build_finding())
    assert isinstance(decision, OpenResolved)
    assert decision.incident.state is State.RESOLVED
    assert decision.incident.resolved_at == at(300)
    assert world.open_incident is None
    assert world.record.awaited == ()


def test_late_episode_is_told_without_touching_the_open_incident():
    world = World()
    world.hear(build_finding("a", cleared=300))
    world.hear(build_finding("b", end=900, raised_at=at(880)))
    still_open = world.open_incident
    assert isinstance(world.hear(build_finding("a")), OpenResolved)
    assert world.open_incident == still_open
    assert len(world.incidents) == 2


HELD = Flapping(hold=timedelta(seconds=300))


def hear_all(*findings, now):
    world = World()
    for one in findings:
        world.hear(one, now, HELD)
    return world


@pytest.mark.parametrize(
    "now", [310, 599, 600], ids=["just over", "a second before the hold is", "after the hold"]
)
def test_an_end_that_comes_first_is_held_as_long_as_one_that_comes_in_order(now):
    raised, cleared = build_finding(), build_finding(cleared=300)
    in_order = hear_all(raised, cleared, now=now)
    reordered = hear_all(cleared, raised, cleared, raised, now=now)
    assert reordered.incidents == in_order.incidents
    assert reordered.record == in_order.record
    assert (reordered.open_incident is None) == (now == 600)
    assert isinstance(reordered.decisions[1], Open if now < 600 else OpenResolved)
    assert {one.reason for one in reordered.decisions[2:]} <= {"already_cleared", "already_settled"}


def test_what_comes_back_within_the_hold_of_an_end_that_came_first_belongs_to_it():
    world = hear_all(build_finding("a", cleared=300), build_finding("a"), now=310)
    back = world.hear(build_finding("b", end=420, raised_at=at(400)), 420, HELD)
    assert (back.reason, back.incident.cleared_at, len(world.incidents)) == ("finding_added", None, 1)


@pytest.mark.parametrize(("begins", "incidents"), [(599, 1), (601, 2)])
def test_an_episode_of_which_word_comes_late_joins_what_it_came_back_as_within_the_hold_only(
    begins, incidents
):
    back = build_finding("b", end=begins, raised_at=at(begins))
    world = hear_all(build_finding("a", cleared=300), back, build_finding("a"), now=5000)
    assert len(world.incidents) == incidents
    assert world.open_incident.latest.finding_id == back.finding_id
    assert world.record.awaited == ()
    assert world.hear(build_finding("a", cleared=300), 5000, HELD).reason in {
        "already_cleared",
        "already_settled",
    }


def test_what_got_worse_after_a_hand_and_is_over_before_that_is_heard_is_held_too():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    worse = world.hear(build_finding(end=300, cleared=400, severity=Severity.CRITICAL), 410, HELD)
    assert isinstance(worse, Open)
    assert worse.incident.cleared_at == at(400)
    assert [one.reason for one in worse.entries if one.what == "incident_opened"] == ["worse_than_resolved"]


def test_every_order_of_one_doubled_episode_ends_in_the_same_incident():
    story = [
        build_finding(severity=Severity.INFO),
        build_finding(end=90, severity=Severity.WARNING),
        build_finding(end=120, cleared=300, severity=Severity.CRITICAL),
    ] * 2
    ends = set()
    for order in set(itertools.permutations(range(6))):
        world = World()
        for step in order:
            world.hear(story[step])
        assert world.open_incident is None
        ends.add(msgspec.json.encode(world.incidents))
    assert len(ends) == 1


def test_staged_finding_is_recorded_as_such_and_can_be_promoted():
    world = World()
    assert isinstance(world.hear(build_finding(staged=True)), Open)
    assert world.open_incident.staged
    promoted = promote(world.open_incident, world.record, by="ada", now=at(120))
    assert not promoted.incident.staged
    assert [(entry.what, entry.by) for entry in promoted.entries] == [("incident_promoted", "ada")]
    assert promote(promoted.incident, world.record, by="bob", now=at(130)) == Ignore(reason="already_told")


def test_detector_that_left_its_trial_is_told():
    world = World()
    world.hear(build_finding(staged=True))
    world.hear(build_finding(end=90, staged=False))
    assert not world.open_incident.staged


def test_finding_older_than_the_records_memory_is_stale():
    world = World()
    for number in range(SETTLED_KEPT + 2):
        raised = 1000 * (number + 1)
        world.hear(build_finding(str(number), end=raised, raised_at=at(raised)))
        world.hear(build_finding(str(number), end=raised, cleared=raised + 10))
    assert len(world.record.settled) == SETTLED_KEPT
    assert world.hear(build_finding("0", end=1000)) == Ignore(reason="stale")
    assert world.hear(build_finding("5", end=6000)) == Ignore(reason="already_settled")


def test_torn_read_is_retried():
    record = OpenRecord(fingerprint="f", incident_id="gone")
    with pytest.raises(ConflictError):
        decide_on_finding(build_finding(), record, None, at(0))


def test_acknowledging_twice_names_the_first_who_did():
    world = World()
    world.hear(build_finding())
    world.store(acknowledge(world.open_incident, world.record, by="ada", now=at(110)))
    assert acknowledge(world.open_incident, world.record, by="bob", now=at(120)) == Ignore(
        reason="already_acknowledged"
    )
    assert world.open_incident.acknowledged_by == "ada"


def test_hand_that_resolves_leaves_name_and_reason():
    world = World()
    world.hear(build_finding())
    decision = resolve_by_hand(world.open_incident, world.record, by="ada", reason="a test", now=at(200))
    world.store(decision)
    assert decision.incident.resolved_by == "ada"
    assert decision.entries[0].data == {"note": "a test"}
    assert resolve_by_hand(decision.incident, world.record, by="bob", reason="", now=at(201)) == Ignore(
        reason="already_resolved"
    )
    assert world.hear(build_finding(end=250)) == Ignore(reason="already_settled")
    assert isinstance(world.hear(build_finding("b", raised_at=at(900), end=900)), Open)


def test_what_gets_worse_after_a_hand_resolved_it_opens_anew_and_ends_by_its_evidence():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    assert world.hear(build_finding(end=250, severity=Severity.WARNING)) == Ignore(reason="already_settled")
    worse = build_finding(end=300, severity=Severity.CRITICAL)
    opened = world.hear(worse)
    assert isinstance(opened, Open)
    assert (opened.reason, opened.incident.opened_at) == ("worse_than_resolved", worse.window.end)
    assert world.hear(worse) == Ignore(reason="already_folded")
    assert world.hear(build_finding(severity=Severity.WARNING)) == Ignore(reason="already_folded")
    ended = world.hear(build_finding(end=300, cleared=400, severity=Severity.CRITICAL))
    assert isinstance(ended, Resolve)
    assert ended.incident.incident_id == opened.incident.incident_id
    assert world.hear(worse) == Ignore(reason="already_settled")


def test_what_gets_worse_while_another_episode_is_open_belongs_to_that_and_ends_with_it():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    world.hear(build_finding("b", raised_at=at(900), end=900, severity=Severity.WARNING))
    worse = world.hear(build_finding(end=950, severity=Severity.CRITICAL))
    assert isinstance(worse, Update)
    assert isinstance(world.hear(build_finding("b", raised_at=at(900), end=900, cleared=990)), Update)
    assert isinstance(world.hear(build_finding(end=950, cleared=1000)), Resolve)


def test_what_got_worse_after_a_hand_and_ends_before_that_is_heard_is_told_as_both_and_opens_nothing_again():
    """A worse state that comes late, from its queue or a dead letter, would open what no clearing ends any more."""
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    ended = world.hear(build_finding(end=300, cleared=400, severity=Severity.CRITICAL))
    assert isinstance(ended, OpenResolved)
    assert world.hear(build_finding(end=300, severity=Severity.CRITICAL)) == Ignore(reason="already_settled")
    assert world.record.incident_id is None


def test_what_ended_after_a_hand_no_worse_than_it_was_is_over_for_good():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    assert isinstance(world.hear(build_finding(end=300, cleared=400, severity=Severity.WARNING)), Note)
    assert world.hear(build_finding(end=290, severity=Severity.CRITICAL)) == Ignore(reason="already_settled")


def test_what_was_critical_when_a_hand_resolved_it_stays_over():
    world = World()
    world.hear(build_finding(severity=Severity.CRITICAL))
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="known", now=at(200)))
    assert world.hear(build_finding(end=900, severity=Severity.CRITICAL)) == Ignore(reason="already_settled")


def test_progress_of_the_diagnosis_is_noted_even_after_the_end():
    world = World()
    world.hear(build_finding())
    world.hear(build_finding(cleared=300))
    (incident,) = world.incidents.values()
    done = Progress("finished", "restored", at(400), explained=24)
    decision = note_progress(incident, world.record, done, by="advance_diagnosis")
    assert decision.incident.diagnosis == done
    assert decision.incident.state is State.RESOLVED
    assert decision.entries == ()


def test_diagnosis_that_never_begins_is_in_the_trail():
    world = World()
    world.hear(build_finding())
    off = Progress("off", "cooling_down", at(50))
    decision = note_progress(world.open_incident, world.record, off, by="advance_diagnosis")
    assert [(entry.what, entry.reason) for entry in decision.entries] == [("diagnosis_off", "cooling_down")]


def test_progress_that_comes_late_changes_nothing():
    world = World()
    world.hear(build_finding())
    later = Progress("explaining", "observed_enough", at(200))
    world.store(note_progress(world.open_incident, world.record, later, by="advance_diagnosis"))
    earlier = Progress("observing", "swapped", at(150))
    for late in (later, earlier):
        assert note_progress(world.open_incident, world.record, late, by="x") == Ignore(
            reason="progress_already_known"
        )


def test_an_early_clearing_too_many_comes_again_and_none_is_forgotten():
    world = World()
    for number in range(AWAITED_KEPT):
        world.hear(build_finding(str(number), cleared=200))
    with pytest.raises(RetryError):
        world.hear(build_finding(str(AWAITED_KEPT), cleared=200))
    assert isinstance(world.hear(build_finding("0")), OpenResolved)
    assert isinstance(world.hear(build_finding(str(AWAITED_KEPT), cleared=200)), Note)


def test_what_was_cleared_a_day_before_and_never_raised_makes_room():
    world = World()
    for number in range(AWAITED_KEPT):
        world.hear(build_finding(str(number), cleared=200))
    late = world.hear(build_finding("99", cleared=200 + 86400))
    assert isinstance(late, Note)
    assert len(late.record.awaited) == 1


def test_two_incidents_of_a_second_have_names_of_their_own():
    world = World()
    first = world.hear(build_finding("1"))
    world.hear(build_finding("1", cleared=200))
    second = world.hear(build_finding("2"))
    assert isinstance(second, Open)
    assert second.incident.opened_at == first.incident.opened_at
    assert second.incident.incident_id.startswith(first.incident.incident_id + "-")
    assert len(second.incident.incident_id) <= 40  # models and jobs are named after it, in 63 characters


def test_what_ends_as_no_longer_judged_says_so_whatever_came_first():
    """Of two that ended, the later says why; a clearing that came first says it as well."""
    world = World()
    world.hear(build_finding("a"))
    world.hear(build_finding("b", end=90))
    world.hear(build_finding("a", cleared=300, no_longer_judged=True))
    by_evidence = world.hear(build_finding("b", cleared=310))
    assert (by_evidence.reason, by_evidence.incident.ended_unjudged) == ("evidence_fell_back", False)
    world = World()
    world.hear(build_finding(cleared=300, no_longer_judged=True))
    early = world.hear(build_finding())
    assert early.incident.ended_unjudged
    assert [one.reason for one in early.entries[2:]] == ["no_longer_judged", "no_longer_judged"]


def test_what_waited_to_come_back_and_was_no_longer_judged_did_not_stay_away():
    hold = Flapping(hold=timedelta(minutes=5))
    world = World()
    world.hear(build_finding())
    gone = build_finding(cleared=300, no_longer_judged=True)
    waiting = decide_on_finding(gone, world.record, world.open_incident, at(301), hold)
    assert waiting.reason == "may_come_back"
    over = stay_away(waiting.incident, waiting.record, hold, at(700))
    assert (over.reason, over.entries[0].reason) == ("no_longer_judged", "no_longer_judged")
    assert over.incident.ended_unjudged
    by_hand = resolve_by_hand(waiting.incident, waiting.record, by="ada", reason="x", now=at(400)).incident
    assert not by_hand.ended_unjudged
    assert "had fallen back" not in tell_ending(by_hand, describe(by_hand.latest, {})).what


def come_and_go(world, hold, episodes, **changes):
    """Episodes of a fingerprint, each back before the hold is over; what was told of each."""
    told = []
    for number in range(episodes):
        start = 100 * number
        begin = build_finding(str(number), end=start + 10, raised_at=at(start + 10), **changes)
        over = msgspec.structs.replace(begin, cleared_at=at(start + 50))
        for finding in (begin, over):
            world.hear(finding, start + 60, hold)
            told.append(finding)
    return told


def test_what_comes_and_goes_for_days_makes_no_incident_without_end_larger():
    """DynamoDB takes 400 KB: past that nothing of it could be stored, no rise, no acknowledgement, no end."""
    world, hold = World(), Flapping(hold=timedelta(minutes=5))
    told = come_and_go(world, hold, 300)
    assert len(world.incidents) == 1
    assert len(world.open_incident.findings) <= ENDED_KEPT + 1
    assert len(msgspec.json.encode(world.open_incident)) < 40_000
    assert len(msgspec.json.encode(world.record)) < 20_000
    for again in told:
        assert isinstance(world.hear(again), Ignore)
    over = stay_away(world.open_incident, world.record, hold, at(100_000))
    assert (over.reason, over.incident.resolved_at) == ("evidence_stayed_away", at(29_950))


def test_what_was_told_is_not_on_trial_however_often_it_comes_back_on_trial():
    world, hold = World(), Flapping(hold=timedelta(minutes=5))
    come_and_go(world, hold, 1)
    told = world.open_incident.latest.finding_id
    come_and_go(world, hold, 40, staged=True)
    assert not world.open_incident.staged
    assert told in {one.finding_id for one in world.open_incident.findings}
    assert len(world.open_incident.findings) <= ENDED_KEPT + 2


def test_what_goes_on_is_cleared_however_late_though_younger_ones_were_forgotten():
    world, hold = World(), Flapping(hold=timedelta(minutes=5))
    world.hear(build_finding("on", end=5, raised_at=at(5)))
    come_and_go(world, hold, SETTLED_KEPT + ENDED_KEPT + 10)
    late = build_finding("on", end=5, raised_at=at(5), cleared=20)
    assert world.record.forgotten_through > at(20)
    world.hear(late, 99_000, hold)
    assert world.open_incident is None


def test_what_gets_worse_than_was_acknowledged_is_open_again():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.store(acknowledge(world.open_incident, world.record, by="ada", now=at(70)))
    same = world.hear(build_finding(end=90, severity=Severity.WARNING))
    assert same.incident.state is State.ACKNOWLEDGED
    worse = world.hear(build_finding(end=100, severity=Severity.CRITICAL), now=110)
    assert (worse.incident.state, worse.incident.acknowledged_by) == (State.OPEN, None)
    assert worse.incident.lapsed_at == at(110)
    lapsed = worse.entries[-1]
    assert (lapsed.what, lapsed.reason) == ("acknowledgement_lapsed", "got_worse")
    assert lapsed.data == {"why": "ada had acknowledged it as warning"}
    again = acknowledge(world.open_incident, world.record, by="bo", now=at(120))
    assert again.incident.acknowledged_by == "bo"


def test_what_a_trial_says_is_no_worse_than_it_was_when_a_person_resolved_it():
    world = World()
    world.hear(build_finding(severity=Severity.WARNING))
    world.hear(build_finding("trial", staged=True))
    assert world.open_incident.severity is Severity.WARNING
    world.store(resolve_by_hand(world.open_incident, world.record, by="ada", reason="x", now=at(200)))
    assert world.hear(build_finding("trial", end=90, staged=True)) == Ignore(reason="already_settled")
