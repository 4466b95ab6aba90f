"""What a receiver refuses for good keeps nothing else from it, and says nothing of what it never saw."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli.checks.receivers import find_left_open
from sagewatch.cli.explain import explain
from sagewatch.cli.store import Store
from sagewatch.errors import DeliveryError
from sagewatch.flows.alert_waits import LETTERS_AT_MOST
from sagewatch.monitors import parse_monitors
from tests.acceptance.conftest import MONITORS
from tests.acceptance.language import START
from tests.acceptance.test_flapping import PAGED
from tests.acceptance.test_summaries import flap

HOOKED = MONITORS.replace(
    "mail: {}", "mail: {}, webhook: {url: 'https://example.com/x', secret: 'secret:sagewatch/hook'}"
)
FLAPPING = HOOKED + "flapping: {budget: 1, per: 1d}\n"
RISING = """
version: 1
endpoints: {signs: {}}
receivers:
  team: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}}
  pager: {pagerduty: {key: "secret:sagewatch/pagerduty"}}
routes:
  receiver: team
  repeat_interval: 4h
  routes:
    - {match: ["severity=warning"], receiver: team, repeat_interval: 12h}
    - {match: ["severity=critical"], receiver: pager, repeat_interval: 24h}
"""
GONE = RISING.replace("pager:", "night:").replace("receiver: pager", "receiver: night")


def read_explained(story, name):
    """What ``sagewatch explain`` says of the incident."""
    done = CliRunner().invoke(explain, [story.find(name)], obj=Store(world=story.world, outputs={}))
    assert done.exit_code == 0, done.output
    return done.output


def list_letters(story):
    """About whom dead letters are, in order."""
    return [fact.incident_id for fact, _ in story.wakeups.dead]


def redrive(story):
    """Somebody sends all dead letters again."""
    letters, story.wakeups.dead = story.wakeups.dead, []
    story.bus.publish([fact for fact, _ in letters], story.clock.now)


def claim(story):
    """Another function is sending the message of the incident's group at this moment."""
    (group,) = {d.group for d in story.world.state.load_debts(story.find("stop")) if "slack" in d.receiver}
    ledger = story.world.alerts.load_ledger(group, "on-call/slack")
    until = story.clock.now + timedelta(seconds=60)
    story.world.alerts.save_ledger(msgspec.structs.replace(ledger, claimed_until=until))


def test_an_end_has_a_letter_of_its_own_where_that_of_a_word_before_it_was_purged(tell):
    """PagerDuty would stay open for ever: nobody has a letter of it, and no alarm rings."""
    paged = MONITORS.replace("mail: {}", "mail: {}, pagerduty: {key: 'secret:sagewatch/pagerduty'}")
    story = tell(paged)
    story.at("0s").raises("stop")
    story.at("20m").refuses("on-call/pagerduty", "HTTP 400", back="40m")
    story.at("21m").acknowledges("stop", by="ada")
    story.at("22m").does(lambda told: told.wakeups.dead.clear())
    story.at("25m").clears("stop")
    story.play_only("30m")
    assert list_letters(story) == [story.find("stop")]
    story.at("1h").does(redrive)
    story.play_only("2h")
    assert [one.kind for one in story.ears.heard if "pagerduty" in one.target] == ["trigger", "resolve"]
    assert not list_letters(story)


def test_a_letter_that_is_sent_again_while_its_receiver_is_gone_stays_a_letter(tell):
    """Nobody looks at what is over: without the letter its end would be told to nobody, whoever comes back."""
    story = tell(RISING)
    story.at("0s").raises("stop")
    story.at("20m").refuses("pager/pagerduty", "HTTP 400", back="40m")
    story.at("30m").clears("stop")
    story.at("1h").deploys(GONE)
    for hours in (2, 3):
        story.at(f"{hours}h").does(redrive)
        story.play_only(f"{hours}h1m")
        ((letter, why),) = story.wakeups.dead
        assert (letter.incident_id, letter.receiver) == (story.find("stop"), "pager/pagerduty")
        assert why == "pager/pagerduty: monitors.yml names it no more"
    story.at("4h").deploys(RISING)
    story.at("5h").does(redrive)
    story.play_only("6h")
    heard = [(one.kind, one.at - START) for one in story.ears.heard if one.target == "pager/pagerduty"]
    assert heard == [("trigger", timedelta(0)), ("resolve", timedelta(hours=5))]
    assert not story.wakeups.dead


def test_who_came_back_and_was_told_has_nothing_to_close_by_hand(tell):
    story = tell(RISING)
    story.at("0s").raises("stop")
    story.at("1h").deploys(GONE)
    story.play_only("2h")
    story.at("3h").deploys(RISING)
    assert "by hand unless it is named again" in read_explained(story, "stop")
    story.at("4h").clears("stop")
    story.play_only("5h")
    (line,) = (
        one
        for one in read_explained(story, "stop").splitlines()
        if "receiver_gone" in one and "pager/" in one
    )
    assert "did not name that receiver" in line
    assert "by hand" not in line


def test_of_hundreds_in_a_refused_message_the_trails_are_written_together(tell):
    """There may be a thousand: one by one they would take half of the time that the function has."""
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 1m}\n")
    story.at("0s").refuses("on-call/slack", "is_archived")
    names = [f"c{number}" for number in range(210)]
    for name in names:
        story.at("1m").raises(name)
    lines = []
    write = story.items.write

    def count(writes):
        refused = [one for one in writes if b"alert_refused" in one.item.body]
        lines.append(len(refused)) if refused else None
        return write(writes)

    story.items.write = count
    story.play_only("3m")
    assert sum(lines) == len(names)
    assert max(lines) == min(len(names), 100)
    assert len(lines) == -(-len(names) // 100)


def test_a_refused_end_keeps_no_newcomer_of_its_group_from_the_receiver(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").silences("subject=stop", length="2h", by="ada", reason="known")
    story.at("30m").clears("yield")
    story.at("1h").refuses("on-call/slack", "is_archived", back="1h40m")
    story.at("1h30m").clears("stop")
    story.at("3h").raises("bus")
    story.expect_all("firing", "0s")
    story.expect("on-call/slack", "updated", "10m")
    story.expect("on-call/mail", "firing", "10m")
    story.expect_all("resolved", "30m", contains="Class yield is back")
    story.expect("on-call/mail", "resolved", "1h30m", contains="Class stop is back")
    story.expect_all("firing", "3h", contains="Class bus takes")
    # It took a message, so what it had refused is tried once more.
    story.expect("on-call/slack", "resolved", "3h", contains="Class stop is back")
    story.ends("4h")
    assert list_letters(story) == [story.find("stop")]
    assert "refused" in read_explained(story, "stop")
    assert "refused" not in read_explained(story, "bus")


def test_a_refused_summary_keeps_no_newcomer_from_the_receiver(tell):
    story = tell(FLAPPING)
    story.at("0s").raises("stop")
    story.at("1m").clears("stop")
    story.at("1h").refuses("on-call/webhook", "HTTP 404", back="1h20m")
    story.at("1h10m").raises("stop")
    story.at("1h30m").raises("bus")
    story.play_only("2h")
    heard = [(one.kind, "bus" in one.text) for one in story.ears.heard if one.target == "on-call/webhook"]
    assert heard[:3] == [("firing", False), ("resolved", False), ("firing", True)]
    assert list_letters(story) == [story.find("stop")]
    assert "refused" not in read_explained(story, "bus")


def test_what_a_receiver_goes_on_refusing_has_a_letter_for_each_incident(tell):
    story = tell()
    story.at("0s").refuses("on-call/slack", "is_archived")
    story.at("1m").raises("stop")
    story.at("10m").raises("yield")
    story.at("20m").clears("stop")
    story.play_only("3h50m")
    assert {story.find("stop"), story.find("yield")} <= set(list_letters(story))
    assert story.count_asked("on-call/slack") <= 3  # each message once, however often anybody looks
    for name in ("stop", "yield"):
        assert "[receiver_refused]" in read_explained(story, name)


def test_a_reminder_that_is_refused_once_ends_no_reminders(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("3h").refuses("on-call/slack", "is_archived", back="5h")
    story.expect_all("firing", "0s")
    for hours in (4, 8, 12):
        story.expect("on-call/mail", "repeated", f"{hours}h", f"{hours}h1m")
    for hours in (8, 12):
        story.expect("on-call/slack", "repeated", f"{hours}h", f"{hours}h1m")
    story.ends("13h")
    assert list_letters(story) == [story.find("stop")]


def test_a_rise_that_is_refused_ends_no_reminders(tell):
    story = tell()
    story.at("0s").raises("stop", severity="warning")
    story.at("1h").refuses("on-call/slack", "is_archived", back="2h")
    story.at("1h30m").raises("stop", severity="critical")
    story.play_only("9h")
    kinds = [one.kind for one in story.ears.heard if one.target == "on-call/slack"]
    assert kinds.count("repeated") >= 1
    assert list_letters(story) == [story.find("stop")]


def test_newcomers_that_are_refused_keep_no_end_from_who_was_told_and_hear_none(tell):
    story = tell()
    story.at("0s").raises("stop")
    story.at("1h").does(refuse_the_words("Class bus"))
    story.at("1h1m").raises("bus")
    story.at("2h").clears("bus")
    story.at("2h").clears("stop")
    story.play_only("3h")
    mails = [(one.kind, "Class bus" in one.text) for one in story.ears.heard if one.target == "on-call/mail"]
    assert mails == [("firing", False), ("resolved", False)]


def refuse_the_words(words):
    """SNS takes everything but what says this."""

    def install(story):
        take = story.ears.publish_mail

        def publish(subject, body):
            if words in subject + body:
                raise DeliveryError("on-call/mail", "InvalidParameter", recoverable=False)
            return take(subject, body)

        story.ears.publish_mail = publish

    return install


def test_who_is_told_by_a_route_that_no_more_leads_there_keeps_its_timers(tell):
    story = tell(RISING)
    story.at("0s").raises("stop", severity="warning")
    story.at("1m").raises("stop", severity="critical")
    story.expect("team/slack", "firing", "0s")
    story.expect("pager/pagerduty", "trigger", "1m")
    story.expect("team/slack", "updated", "1m")
    story.expect("team/slack", "worsened", "1m")
    story.expect("team/slack", "repeated", "12h1m", "12h2m")
    story.ends("23h")


@pytest.mark.parametrize("over", [False, True])
def test_an_alert_of_a_receiver_that_is_gone_is_written_down_once(tell, over):
    story = tell(RISING)
    story.at("0s").raises("stop")
    story.at("1h").deploys(GONE)
    if over:
        story.at("2h").clears("stop")
    story.play_only("3h")
    written, owed = [line for line in read_explained(story, "stop").splitlines() if "receiver_gone" in line]
    assert "The end could not be told to pager/pagerduty" in written
    assert "by hand" in written
    assert owed.startswith("pager/pagerduty was told that it fires")


def test_a_summary_that_is_open_at_a_receiver_that_is_gone_is_written_down_and_counted(tell):
    """PagerDuty would page on for it, and nobody would say that it is to be closed by hand."""
    renamed = PAGED.replace("on-call", "night")
    story = tell(PAGED)
    flap(story, 4, stays=True)
    story.play_only("31m")
    (line,) = find_left_open(parse_monitors(renamed, "monitors.yml"), story.items)
    assert (line.what, line.found.split(" open")[0]) == ("receiver on-call/pagerduty", "has 1 alert")
    story.at("40m").deploys(renamed)
    story.at("50m").clears("stop")
    story.play_only("8h")
    written, owed = [one for one in read_explained(story, "stop").splitlines() if "receiver_gone" in one]
    assert "The end could not be told to on-call/pagerduty" in written
    assert owed.startswith("on-call/pagerduty heard of it in a summary")


def test_a_summary_that_is_over_leaves_nothing_open_at_a_receiver_that_is_gone(tell):
    renamed = PAGED.replace("on-call", "night")
    story = tell(PAGED)
    flap(story, 4)
    story.at("36m").deploys(renamed)
    story.at("37m").diagnoses("stop", "finished")
    story.play_only("8h")
    assert "receiver_gone" not in read_explained(story, "stop")


@pytest.mark.parametrize(
    ("trouble", "latest"),
    [
        (lambda m: m.throttles("on-call/slack", times=1, retry_after=90), "22m"),
        (lambda m: m.goes_down("on-call/slack", back="22m"), "25m"),
        (lambda m: m.silences("subject=stop", length="1h", by="ada", reason="we mend it"), "1h20m"),
        (lambda m: m.does(claim), "24m"),
    ],
    ids=["throttled", "down", "silenced", "claimed"],
)
def test_a_letter_that_is_sent_again_while_nobody_can_be_told_is_told_later(tell, trouble, latest):
    story = tell()
    story.at("0s").refuses("on-call/slack", "is_archived", back="10m")
    story.at("1m").raises("stop")
    trouble(story.at("19m59s"))
    story.at("20m").does(redrive)
    story.expect("on-call/mail", "firing", "1m")
    story.expect("on-call/slack", "firing", "20m", latest)
    story.ends("2h")
    assert not story.wakeups.dead


def test_a_receiver_that_asked_for_a_pause_is_not_called_for_letters_that_are_sent_again(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_by: [subject]}\n")
    story.at("0s").refuses("on-call/slack", "is_archived", back="10m")
    for name in ("stop", "yield", "bus"):
        story.at("1m").raises(name)
    story.at("20m").throttles("on-call/slack", times=1, retry_after=120)
    story.at("20m").does(redrive)
    story.play_only("21m59s")
    asked = story.count_asked("on-call/slack")
    assert asked == 4  # three that were refused, and the one that was told to wait
    story.play_only("24m")
    assert {one.kind for one in story.ears.heard if one.target == "on-call/slack"} == {"firing"}
    assert len(story.texts("on-call/slack")) == 3


@pytest.mark.parametrize("news", ["acknowledged", "diagnosed", "none"])
def test_messages_that_are_refused_together_are_asked_once_each(tell, news):
    story = tell()
    story.at("0s").raises("stop")
    story.at("20m").refuses("on-call/slack", "is_archived")
    if news == "acknowledged":
        story.at("21m").acknowledges("stop", by="ada")
    if news == "diagnosed":
        story.at("21m").diagnoses("stop", "explaining")
    story.at("22m").raises("yield")
    story.play_only("1h22m")
    assert story.count_asked("on-call/slack") <= 3
    assert max(Counter(list_letters(story)).values()) == 1
    trail = [entry.what for entry in story.world.state.load_entries(story.find("yield"))]
    assert trail.count("alert_refused") == 1


def test_letters_that_are_sent_again_too_early_come_back_and_do_not_multiply(tell):
    story = tell(MONITORS)
    for channel in ("on-call/slack", "on-call/mail"):
        story.at("0s").refuses(channel, "is_archived", back="1h")
    names = ("stop", "yield", "bus")
    for name in names:
        story.at("1m").raises(name)
    story.play_only("10m")
    letters = len(story.wakeups.dead)
    assert 0 < letters <= 2 * len(names)
    for minutes in (20, 30, 40):
        asked = story.count_asked("on-call/slack")
        story.at(f"{minutes}m").does(redrive)
        story.play_only(f"{minutes + 5}m")
        assert 0 < len(story.wakeups.dead) <= letters
        assert story.count_asked("on-call/slack") - asked <= len(names)
    story.at("1h10m").does(redrive)
    story.play_only("1h20m")
    assert not story.wakeups.dead
    for channel in ("on-call/slack", "on-call/mail"):
        assert all(any(f"Class {name} " in text for text in story.texts(channel)) for name in names)


def test_of_many_in_a_refused_message_each_is_told_why_and_the_letters_stay_few(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 1m}\n")
    story.at("0s").refuses("on-call/slack", "is_archived", back="15m")
    names = [f"c{number}" for number in range(LETTERS_AT_MOST + 2)]
    for name in names:
        story.at("1m").raises(name)
    story.play_only("5m")
    assert len(story.wakeups.dead) == LETTERS_AT_MOST
    without = [name for name in names if story.find(name) not in list_letters(story)]
    assert len(without) == 2
    for name in (*without, names[0]):
        assert "[receiver_refused]" in read_explained(story, name)
        trail = [entry.what for entry in story.world.state.load_entries(story.find(name))]
        assert trail.count("alert_refused") == 1
    story.wakeups.dead = story.wakeups.dead[:1]  # one is enough: it brings all that its group is owed
    story.at("20m").does(redrive)
    story.play_only("25m")
    assert len(story.texts("on-call/slack")) == 1
    assert all("[receiver_refused]" not in read_explained(story, name) for name in without)


def test_of_two_that_got_worse_in_a_refused_message_each_has_its_letter(tell):
    story = tell(MONITORS + "routes: {receiver: on-call, group_wait: 30s}\n")
    story.at("0s").raises("stop", severity="warning")
    story.at("0s").raises("yield", severity="warning")
    story.at("10m").refuses("on-call/slack", "is_archived")
    story.at("11m").raises("stop", severity="critical")
    story.at("11m").raises("yield", severity="critical")
    story.play_only("20m")
    assert Counter(list_letters(story)) == {story.find("stop"): 1, story.find("yield"): 1}
