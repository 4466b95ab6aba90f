"""More incidents in one message than DynamoDB writes at once: what is promised of few holds of many."""

from __future__ import annotations

from collections import Counter

import pytest

from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.incident_changes import build_due
from tests.acceptance.conftest import MONITORS
from tests.acceptance.ears import Killed
from tests.acceptance.language import START

MAILED = MONITORS.replace('slack: {channel: "#ml", token: "secret:sagewatch/slack"}, ', "")
WAITING = MAILED + "routes: {receiver: on-call, group_wait: 30s}"
NAMES = [f"c{number:02}" for number in range(8)]


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    """Three members a transaction, where it is thirty."""
    monkeypatch.setattr("sagewatch.alert_state.groups._AT_ONCE", 3)


def watch_parts(story, says, act):
    """Do something once, right after the first of several transactions that write down what a message said."""
    items, done = story.items, []
    write = items.write

    def write_and_act(writes):
        result = write(writes)
        said = f'"told":"{says}"'.encode()
        if (
            not done
            and len(writes) > 6
            and any(one.item.sk == "ledger" and said in one.item.body for one in writes)
        ):
            done.append(True)
            act()
        return result

    items.write = write_and_act
    return done


def count_told(story):
    return Counter(debt.told for name in NAMES for debt in story.world.state.load_debts(story.find(name)))


def test_who_is_killed_between_two_parts_leaves_no_end_untold(tell):
    """Half of what the mail told of is not in the books; then a silence begins, and all is over before its end."""
    story = tell(WAITING)
    for name in NAMES:
        story.at("0s").raises(name)

    def kill():
        raise Killed

    killed = watch_parts(story, "firing", kill)
    story.at("1m").silences("endpoint=signs", length="2h", by="ada", reason="deploy")
    for name in NAMES:
        story.at("10m").clears(name)
    story.play_only("4h")
    assert killed
    assert count_told(story) == {"resolved": len(NAMES)}
    assert story.world.alerts.list_due() == []


@pytest.mark.parametrize("says", ["firing", "resolved"])
def test_who_comes_between_two_parts_tells_nothing_a_second_time(tell, says):
    story = tell(WAITING)
    for name in NAMES:
        story.at("0s").raises(name)
        story.at("1h").clears(name)

    def come_between():
        for name in NAMES:
            deliver_alert(build_due(story.world.state.load_incident(story.find(name))), story.world)

    came = watch_parts(story, says, come_between)
    story.play_only("4h")
    assert came
    mails = [(one.kind, one.at - START) for one in story.ears.heard if one.target == "on-call/mail"]
    assert [kind for kind, _ in mails] == ["firing", "resolved"], mails
    assert count_told(story) == {"resolved": len(NAMES)}
