"""Receivers that fail, functions that die, events that are lost: late, perhaps twice, never not at all."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest

from sagewatch.alert.outbox import LARGE_GROUP
from sagewatch.errors import DeliveryError, RetryError
from sagewatch.flows.alert_waits import ROUNDS_AT_MOST
from sagewatch.memory.items import MemoryItems
from tests.acceptance.conftest import MONITORS
from tests.acceptance.fuse import Fuse
from tests.acceptance.language import START, Story
from tests.acceptance.test_flapping import PAGED


def test_a_receiver_that_is_down_for_an_hour_is_told_when_it_is_back(tell):
    story = tell()
    story.at("0s").goes_down("on-call/slack", back="1h")
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "1h", "1h16m")
    story.ends("2h")
    assert 4 <= story.count_asked("on-call/slack") <= 14  # it is not hammered


def test_an_incident_that_is_over_while_the_receiver_is_down_is_told_as_both(tell):
    story = tell()
    story.at("0s").goes_down("on-call/slack", back="1h")
    story.at("1s").raises("stop")
    story.at("30m").clears("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/mail", "resolved", "30m")
    story.expect("on-call/slack", "firing", "1h", "1h16m")
    story.expect("on-call/slack", "resolved", "1h", "1h16m")
    story.ends("2h")


def test_retry_after_is_waited_for_to_the_second(tell):
    story = tell()
    story.at("0s").throttles("on-call/slack", times=2, retry_after=37)
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "1m15s")
    story.ends("30m")
    assert story.count_asked("on-call/slack") == 3


def test_a_receiver_that_asked_for_time_is_left_alone_by_every_group(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_by: [incident]}")
    story.at("0s").throttles("on-call/slack", times=1, retry_after=50)
    story.at("1s").raises("stop")
    for number in range(8):
        story.at(f"{2 + number}s").raises(f"sign-{number}")
        story.expect("on-call/mail", "firing", f"{2 + number}s")
        story.expect("on-call/slack", "firing", "51s")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "51s")
    story.ends("30m")
    assert story.count_asked("on-call/slack") == 10


def test_a_receiver_that_hangs_is_tried_by_one_group_at_a_time(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_by: [incident]}")
    story.at("0s").goes_down("on-call/slack", back="29s")
    for number in range(10):
        story.at("1s").raises(f"sign-{number}")
        story.expect("on-call/mail", "firing", "1s")
        story.expect("on-call/slack", "firing", "31s")
    story.ends("30m")
    assert story.count_asked("on-call/slack") == 11


@pytest.mark.parametrize("reason", ["message_not_found", "edit_window_closed"])
def test_a_slack_message_that_cannot_be_changed_any_more_is_followed_by_a_new_one(tell, reason):
    story, lost = tell(), []
    update = story.ears.update_message

    def change(receiver, handle, message):
        if handle == "C1:1":
            lost.append(handle)
            raise DeliveryError(f"{receiver}/slack", reason, recoverable=False)
        update(receiver, handle, message)

    story.ears.post_message = number_posts(story.ears.post_message)
    story.ears.update_message = change
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("1h").clears("stop")
    story.at("1h").clears("yield")
    story.expect("on-call/mail", "firing", "0s", "1h")
    story.expect("on-call/slack", "firing", "0s")
    story.expect("on-call/mail", "firing", "10m", "1h")
    story.expect("on-call/slack", "firing", "10m")  # anew, with both
    story.expect("on-call/slack", "updated", "1h")  # the first of the two ends; in place again
    story.expect_all("resolved", "1h")
    story.ends("3h")
    assert lost == ["C1:1"]
    assert story.wakeups.dead == []


def test_a_resolve_that_is_owed_outlives_an_outage_of_days(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1m").goes_down("on-call/slack", back="7h")
    story.at("2m").clears("stop")
    story.play_only("6h")
    items, name = story.world.state.items, story.find("stop")
    kept = {
        debt.receiver: items.get(
            f"group#{debt.group}#{debt.receiver.split('/')[1]}", f"member#{name}"
        ).expires_at
        for debt in story.world.state.load_debts(name)
    }
    delayed = [one for one in story.world.state.load_entries(name) if one.what == "alert_delayed"]
    assert 5 <= len(delayed) <= 6  # of some thirty
    # The rows of what is over: who was told may forget it, who was not outlives the outage.
    days = (START + timedelta(days=4)).timestamp()
    assert kept["on-call/mail"] < days < (START + timedelta(days=80)).timestamp() < kept["on-call/slack"]
    story.play_only("7h30m")
    assert [one.kind for one in story.ears.heard if one.target == "on-call/slack"][-1] == "resolved"


def test_news_after_the_end_outlives_an_outage_of_hours(tell):
    """What a diagnosis found stands in the message that says that it is over, whenever its channel is back."""
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")
    story.at("11m").goes_down("on-call/slack", back="9h")
    story.at("12m").diagnoses("stop", "explaining")
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m")
    story.expect("on-call/slack", "resolved", "9h", "9h16m", contains="heat maps")
    story.ends("12h")
    assert story.world.alerts.list_due() == []


def test_news_right_after_the_end_of_many_is_told_once_their_message_may_change_again(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 30s}\n")
    names = [f"c{number}" for number in range(LARGE_GROUP + 1)]
    for name in names:
        story.at("0s").raises(name)
        story.at("10m").clears(name)
    story.at("10m1s").diagnoses("c0", "explaining")
    story.play_only("1h")
    (last,) = (one.at - START for one in story.ears.heard if one.at > START + timedelta(minutes=10))
    assert timedelta(minutes=10, seconds=30) <= last <= timedelta(minutes=12)
    assert story.world.alerts.list_due() == []


def test_what_was_told_to_its_end_is_not_told_again_when_its_row_has_expired(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").clears("stop")

    def expire(told):
        items, name = told.world.state.items, told.find("stop")
        for debt in told.world.state.load_debts(name):
            pk, sk = f"group#{debt.group}#{debt.receiver.split('/')[1]}", f"member#{name}"
            items.delete(pk, sk, items.get(pk, sk).version)

    def send_again(told):
        for event in [one for one in told.bus.events if one["detail-type"].startswith("Incident")]:
            told._deliver(event)  # somebody redrives dead letters

    story.at("5d").does(expire)
    story.at("5d1m").does(send_again)
    story.expect_all("firing", "0s")
    story.expect_all("resolved", "10m")
    story.ends("6d")


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("target", ["on-call/slack", "on-call/mail", "on-call/pagerduty"])
def test_whoever_was_told_by_somebody_who_died_hears_the_end_also_in_a_silence(target, known):
    """Each write is once the last: what was heard as firing is heard as over, whatever the books know of it."""
    number, blown, heard = 0, True, 0
    while blown:
        number += 1
        story = Story(
            MemoryItems(), MONITORS.replace("mail: {}", "mail: {}, pagerduty: {key: 'secret:sagewatch/p'}")
        )
        if known:  # the receiver has another message already, which is over
            story.at("0s").raises("yield")
            story.at("1m").clears("yield")
            story.play_only("2m")
        before = len([one for one in story.ears.heard if one.target == target])
        fuse = Fuse(story, 0)
        story.at("10m").does(lambda told, fuse=fuse, number=number: setattr(fuse, "left", number))
        story.at("10m").raises("stop")
        story.at("10m10s").does(lambda told, fuse=fuse: setattr(fuse, "left", 0))
        story.at("10m10s").silences("endpoint=signs", length="5h", by="ada", reason="x")
        story.at("10m20s").clears("stop")
        story.play_only("2h")
        blown = fuse.blown
        kinds = [one.kind for one in story.ears.heard if one.target == target][before:]
        if any(one in {"firing", "trigger"} for one in kinds):
            heard += 1
            assert kinds[-1] in {"resolved", "resolve"}, (number, kinds)
        assert sum(one in {"resolved", "resolve"} for one in kinds) <= 1, (number, kinds)
        assert story.world.alerts.list_due() == [], number
    assert heard >= 2


@pytest.mark.parametrize("perhaps_taken", [False, True])
def test_whoever_did_not_answer_is_told_the_end_also_in_a_silence(tell, perhaps_taken):
    story = tell()

    def hang(name):
        return DeliveryError(name, "TimeoutError", recoverable=True, perhaps_taken=perhaps_taken)

    story.at("0s").does(
        lambda told: told.ears.break_until("on-call/slack", START + timedelta(seconds=20), hang)
    )
    story.at("1s").raises("stop")
    story.at("10s").silences("endpoint=signs", length="5h", by="ada", reason="x")
    story.at("15s").clears("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/mail", "resolved", "15s")
    if perhaps_taken:
        story.expect("on-call/slack", "resolved", "31s", "1m")
    story.ends("2h")


def number_posts(post):
    """Handles that count the posts: C1:1, C1:2."""
    count = iter(range(1, 100))

    def call(receiver, message):
        post(receiver, message)
        return f"C1:{next(count)}"

    return call


def test_a_retry_after_without_reason_is_not_waited_for(tell):
    story = tell()
    story.at("0s").throttles("on-call/slack", times=1, retry_after=10**15)
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "1h1s", "1h2m")
    story.ends("2h")


def test_an_hour_at_most_is_waited_for_and_then_asked_again(tell):
    story = tell()
    story.at("0s").throttles("on-call/slack", times=3, retry_after=2 * 3600)
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "3h1s", "3h2m")
    story.ends("4h")


def test_a_failure_of_another_kind_shortens_no_pause_that_a_receiver_asked_for(tell):
    story = tell(MONITORS.replace(", mail: {}", "") + "routes: {receiver: on-call, group_by: [incident]}")
    story.at("0s").throttles("on-call/slack", times=1, retry_after=900)
    story.at("1s").raises("stop")

    def fails_at_the_same_time(told):
        """A call for another incident had begun before the 429 came, and hung."""
        told.world.alerts.save_pause("on-call/slack", told.clock.now + timedelta(seconds=30))

    story.at("5s").does(fails_at_the_same_time)
    story.at("1m").raises("yield")
    story.expect("on-call/slack", "firing", "15m1s", "16m1s", contains="stop")
    story.expect("on-call/slack", "firing", "15m1s", "16m1s", contains="yield")
    story.ends("1h")


def test_a_later_word_makes_a_pause_longer(tell):
    story = tell(MONITORS.replace(", mail: {}", ""))
    pause = story.world.alerts
    pause.save_pause("on-call/slack", START)
    pause.save_pause("on-call/slack", START + timedelta(minutes=2))
    pause.save_pause("on-call/slack", START + timedelta(minutes=1))
    assert pause.load_pause("on-call/slack") == START + timedelta(minutes=2)


def test_a_summary_that_was_the_last_of_many_words_is_ended_all_the_same(tell, monkeypatch):
    monkeypatch.setattr("sagewatch.flows.settle_target._MESSAGES_AT_ONCE", 1)
    story = tell(PAGED.replace("budget: 3", "budget: 1"))
    story.at("0s").raises("stop")
    story.at("5m").clears("stop")
    story.at("10m").loses_events(until="20m")
    story.at("11m").raises("stop")
    story.at("15m").clears("stop")
    story.play_only("2h")
    told = [json.loads(text) for text in story.texts("on-call/pagerduty")]
    summary = [one["event_action"] for one in told if one["dedup_key"].endswith("-digest")]
    assert summary == ["trigger", "resolve"]


def test_a_retry_after_of_nothing_is_no_leave_to_call_without_end(tell):
    story = tell()
    story.at("0s").throttles("on-call/slack", times=200, retry_after=0)
    story.at("1s").raises("stop")
    story.play_only("10m")
    calls = [at for at, target in story.ears.asked if target == "on-call/slack"]
    assert min(later - earlier for earlier, later in pairwise(calls)) >= timedelta(seconds=1)
    assert len(calls) <= ROUNDS_AT_MOST + 11  # then once a minute, by the tick


@pytest.mark.parametrize("group_by", ["[endpoint, kind]", "[incident]"])
def test_an_outage_of_hours_is_no_chain_that_lambda_would_stop(tell, group_by):
    """Lambda calls more than 16 wake-ups, each asked for by the one before, an endless loop, and stops it."""
    story = tell(MONITORS + f"routes: {{receiver: on-call, group_by: {group_by}, repeat_interval: 1d}}")
    rounds, wake = [], story.wakeups.wake

    def count(fact, at, after_seconds):
        rounds.append(fact.rounds)
        wake(fact, at, after_seconds)

    story.wakeups.wake = count
    story.at("0s").goes_down("on-call/slack", back="9h")
    for number in range(3):
        story.at(f"{number + 1}s").raises(f"sign-{number}")
    story.play_only("10h")
    assert max(rounds) == ROUNDS_AT_MOST
    told = [one.at - START for one in story.ears.heard if one.target == "on-call/slack"]
    assert timedelta(hours=9) <= told[0] <= timedelta(hours=9, minutes=17)


def test_a_resolve_that_is_throttled_is_told_once_later(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("9m").throttles("on-call/slack", times=1, retry_after=90)
    story.at("10m").clears("stop", times=3)
    story.expect_all("firing", "0s")
    story.expect("on-call/mail", "resolved", "10m")
    story.expect("on-call/slack", "resolved", "11m30s")
    story.ends("30m")


def test_what_a_receiver_refuses_for_good_is_a_dead_letter_with_its_reason(tell):
    story = tell()
    story.at("0s").refuses("on-call/slack", "channel_not_found")
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.ends("3h")
    ((fact, reason),) = story.wakeups.dead
    assert reason == "on-call/slack: channel_not_found"
    assert fact.forced
    assert story.count_asked("on-call/slack") == 1


def test_a_dead_letter_that_is_sent_again_is_tried_again(tell):
    story = tell()
    story.at("0s").refuses("on-call/slack", "channel_not_found", back="30m")
    story.at("1s").raises("stop")
    story.at("40m").does(lambda told: told.bus.publish([told.wakeups.dead[0][0]], told.clock.now))
    story.expect("on-call/mail", "firing", "1s")
    story.expect("on-call/slack", "firing", "40m")
    story.ends("1h")


def test_when_both_are_down_both_are_told(tell):
    story = tell()
    for target in ("on-call/slack", "on-call/mail"):
        story.at("0s").goes_down(target, back="20m")
    story.at("1s").raises("stop")
    story.expect_all("firing", "20m", "36m")
    story.ends("1h")


def test_every_event_is_lost_for_an_hour_and_ticks_tell_all(tell):
    story = tell()
    story.at("0s").loses_events(until="1h")
    story.at("1s").raises("stop")
    story.at("20m").raises("leaves", endpoint="churn")
    story.at("30m").clears("stop")
    story.expect_all("firing", "1h", "1h2m", contains="signs")
    story.expect_all("resolved", "1h", "1h2m", contains="signs")
    story.expect_all("firing", "1h", "1h2m", contains="churn")
    story.ends("2h")


@pytest.mark.parametrize("broken", [RetryError("throttled"), msgspec.DecodeError("truncated")])
def test_a_stream_that_cannot_be_judged_keeps_no_alert_waiting(tell, broken):
    story, in_tick, judged, failed = tell(), [], [], []
    load = story.world.state.load_checkpoint

    def load_or_fail(stream):
        if in_tick and stream.endpoint == "signs":  # the first of them
            raise broken
        if in_tick:
            judged.append(story.clock.now)
        return load(stream)

    def pass_tick():
        in_tick.append(True)
        with pytest.raises(type(broken)):
            pass_once()
        in_tick.clear()
        failed.append(story.clock.now)

    pass_once, story._pass_tick = story._pass_tick, pass_tick
    story.world.state.load_checkpoint = load_or_fail
    story.at("0s").silences("endpoint=signs", length="30m", by="ada", reason="camera swap")
    story.at("1s").raises("stop")
    story.expect_all("firing", "30m", "31m")
    story.ends("1h")
    assert failed  # it is not hidden: the Lambda's alarm sees it
    assert set(judged) == set(failed)


def test_a_dead_letter_that_is_not_taken_at_once_is_kept_later(tell):
    story, give_up, vain = tell(), [], []

    def throttle(*letter):
        vain.append(letter)
        if len(vain) < 3:
            raise RetryError("throttled")
        give_up[0](*letter)

    give_up.append(story.wakeups.give_up)
    story.wakeups.give_up = throttle
    story.at("0s").refuses("on-call/slack", "channel_not_found")
    story.at("1s").raises("stop")
    story.expect("on-call/mail", "firing", "1s")
    story.ends("1h")
    assert [reason for _, reason in story.wakeups.dead] == ["on-call/slack: channel_not_found"]


def test_a_page_whose_acknowledge_is_refused_is_ended_also_in_a_silence(tell):
    """The trigger was taken: what comes after it may fail as it likes."""
    story = tell(
        MONITORS.replace("mail: {}", "pagerduty: {key: 'secret:sagewatch/pagerduty'}")
        + "routes: {receiver: on-call, group_wait: 30s}"
    )
    post = story.ears.post_hook

    def refuse(target, body, at):
        if body["event_action"] == "acknowledge":
            raise DeliveryError(target, "HTTP 429", recoverable=True, after_seconds=20)
        post(target, body, at)

    story.ears.post_hook = refuse
    story.at("0s").raises("stop")
    story.at("10s").acknowledges("stop", by="ada")
    story.at("31s").silences("endpoint=signs", length="5h", by="ada", reason="x")
    story.at("35s").clears("stop")
    story.expect("on-call/slack", "firing", "30s")
    story.expect("on-call/slack", "resolved", "35s")
    story.expect("on-call/pagerduty", "trigger", "30s")
    story.expect("on-call/pagerduty", "resolve", "50s", "2m")
    story.ends("2h")


@pytest.mark.parametrize("perhaps_taken", [False, True])
def test_a_topic_that_did_not_answer_is_told_the_end_also_in_a_silence(tell, perhaps_taken):
    story = tell()

    def hang(name):
        return RetryError("ReadTimeoutError", perhaps_taken=perhaps_taken)

    story.at("0s").does(
        lambda told: told.ears.break_until("on-call/mail", START + timedelta(seconds=20), hang)
    )
    story.at("1s").raises("stop")
    story.at("10s").silences("endpoint=signs", length="5h", by="ada", reason="x")
    story.at("15s").clears("stop")
    story.expect("on-call/slack", "firing", "1s")
    story.expect("on-call/slack", "resolved", "15s")
    if perhaps_taken:
        story.expect("on-call/mail", "resolved", "31s", "1m")
    story.ends("2h")


FLAPS = (
    MONITORS.replace("mail: {}", "mail: {}, pagerduty: {key: 'secret:sagewatch/pagerduty'}")
    + "flapping: {budget: 2, per: 1d, digest: 1h}\n"
)


@pytest.mark.parametrize("target", ["on-call/slack", "on-call/mail", "on-call/pagerduty"])
@pytest.mark.parametrize("silenced", [False, True])
def test_what_was_summed_up_and_stays_is_ended_although_no_answer_came(tell, target, silenced):
    """It is told anew as firing, the receiver takes it and does not answer, and it is over before the next try."""
    story = tell(FLAPS)
    for number in range(4):
        story.at(f"{number * 10}m").raises("stop")
        story.at(f"{number * 10 + 5}m").clears("stop")
    story.at("40m").raises("stop")
    story.at("1h39m59s").loses_answers(target, times=1)
    if silenced:
        story.at("1h40m10s").silences("subject=stop", length="5h", by="ada", reason="x")
    story.at("1h40m15s").clears("stop")
    story.play_only("5h")
    heard = [
        one for one in story.ears.heard if one.target == target and one.at >= START + timedelta(minutes=99)
    ]
    keys = [read_key(one.text) for one in heard]
    assert [one.kind for one in heard if "-digest" not in read_key(one.text)] in (
        ["firing", "resolved"],
        ["trigger", "resolve"],
    )
    assert len(set(keys) - {f"{keys[0].rpartition('-')[0]}-digest"}) == 1
    assert story.world.alerts.list_due() == []


@pytest.mark.parametrize("target", ["on-call/slack", "on-call/mail", "on-call/pagerduty"])
@pytest.mark.parametrize("again", [False, True])
def test_what_is_told_anew_after_its_silence_is_ended_although_no_answer_came(tell, target, again):
    story = tell(FLAPS)
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="1h", by="ada", reason="x")
    story.at("30m").clears("yield")
    story.at("1h19m59s").loses_answers(target, times=1)
    if again:
        story.at("1h20m10s").silences("subject=stop", length="5h", by="ada", reason="x")
    story.at("1h20m15s").clears("stop")
    story.play_only("5h")
    heard = [
        one for one in story.ears.heard if one.target == target and one.at >= START + timedelta(minutes=31)
    ]
    assert [one.kind for one in heard] in (["firing", "resolved"], ["trigger", "resolve"])
    assert "Class stop is back" in heard[-1].text or len({read_key(one.text) for one in heard}) == 1
    assert story.world.alerts.list_due() == []


def read_key(text):
    found = re.search(r'"dedup_key": "([^"]+)"', text)
    return found[1] if found else ""
