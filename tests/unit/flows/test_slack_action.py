"""A button of a Slack message: proven to be Slack's, by somebody who may, carried out once."""

from __future__ import annotations

import base64
import json
import urllib.parse
from datetime import timedelta

import pytest

from sagewatch.diagnose.model import Phase
from sagewatch.entry import handle
from sagewatch.errors import RetryError
from sagewatch.events.slack import sign_request
from sagewatch.finding import Severity, Stream, build_fingerprint
from sagewatch.flows.act_by_hand import add_silence, build_incident_matchers, end_silence
from sagewatch.flows.advance_diagnosis import advance_diagnosis, advance_endpoint
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.slack_action import slack_action
from sagewatch.incident.calendar import parse_recurrence
from sagewatch.incident.model import State
from sagewatch.world import Desk
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)

APP = """
slack:
  signing: "secret:sagewatch/signing"
  users: {U00000001: operator, U00000002: responder}
"""
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


class Stage:
    """A world with an incident that everybody was told of, and the desk at which Slack's requests arrive."""

    def __init__(self, app=APP, **finding):
        self.world = build_world(MONITORS + app)
        self.secrets = {"sagewatch/signing": SECRET}
        self.whispers = []
        self.asked = []
        self.desk = Desk(
            monitors=self.world.monitors, bus=self.world.bus, place=self.world.place, now=self.world.now,
            get_secret=lambda name: self.secrets[name], refresh_secret=self.refresh,
            answer_privately=lambda url, words: self.whispers.append((url, words)),
        )  # fmt: skip
        self.pump = Pump(self.world)
        handle(manage_incident, build_event(build_finding(**finding)), self.world)
        self.pump.run()
        (self.listed,) = self.world.state.list_incidents()
        self.incident_id = self.listed.incident_id

    def refresh(self, name):
        self.asked.append(name)
        return self.secrets.get(f"{name}/new", self.secrets[name])

    @property
    def incident(self):
        return self.world.state.load_incident(self.incident_id)

    def buttons(self):
        message = (self.world.chat.updated or [(0, 0, self.world.chat.posted[-1][1])])[-1][2]
        return {
            b["action_id"]: b
            for block in message["blocks"]
            if block["type"] == "actions"
            for b in block["elements"]
        }

    def event(
        self,
        action,
        *,
        user="U00000001",
        at=NOW,
        value=None,
        secret=SECRET,
        stamp=None,
        encoded=True,
        team=None,
    ):
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "ada"} | ({"team_id": team} if team else {}),
            "response_url": "https://hooks.slack.com/actions/1",
            "actions": [
                {
                    "action_id": action,
                    "value": value or self.incident_id,
                    "action_ts": f"{at.timestamp():.6f}",
                }
            ],
        }
        body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
        stamp = stamp or str(int(self.world.now().timestamp()))
        return {
            "headers": {
                "x-slack-request-timestamp": stamp,
                "x-slack-signature": sign_request(body, stamp, secret),
            },
            "body": base64.b64encode(body).decode() if encoded else body.decode(),
            "isBase64Encoded": encoded,
        }

    def press(self, action, **how):
        status = slack_action(self.event(action, **how), self.desk)["statusCode"]
        self.carry_out()
        return status

    def carry_out(self):
        self.pump.run()

    def repeat(self):
        """The queues bring every wish once more."""
        for event in [one for one in self.world.bus.events if one["detail-type"] == "Action Requested"]:
            handle(manage_incident, event, self.world)
            handle(advance_diagnosis, event, self.world)
        self.pump.run()

    def trail(self, what):
        return [one for one in self.world.state.load_entries(self.incident_id) if one.what == what]


def test_acknowledging_is_in_the_trail_with_the_persons_name_and_changes_the_message():
    stage = Stage()
    assert stage.press("acknowledge") == 200
    assert stage.incident.state is State.ACKNOWLEDGED
    (entry,) = stage.trail("incident_acknowledged")
    assert entry.by == "ada (Slack U00000001)"
    assert "acknowledge" not in stage.buttons()
    assert "Acknowledged by ada (Slack U00000001)." in stage.world.chat.replies[-1][2]["text"]


def test_a_body_that_is_not_encoded_is_read_too():
    assert Stage().press("acknowledge", encoded=False) == 200


@pytest.mark.parametrize("action", ["acknowledge", "silence", "resolve", "restore", "diagnose"])
def test_a_double_click_and_slacks_repetitions_do_it_once(action):
    stage = Stage()
    for at in (NOW, NOW, NOW + timedelta(seconds=2)):
        assert stage.press(action, at=at) == 200
    before = (
        len(stage.world.state.load_entries(stage.incident_id)),
        len(stage.world.alerts.list_silences(NOW)),
    )
    stage.repeat()
    stage.repeat()
    assert before == (
        len(stage.world.state.load_entries(stage.incident_id)),
        len(stage.world.alerts.list_silences(NOW)),
    )
    assert before[1] == (action == "silence")


def test_a_silence_that_was_ended_by_hand_does_not_come_back_with_a_late_repetition():
    stage = Stage()
    stage.press("silence")
    (silence,) = stage.world.alerts.list_silences(NOW)
    assert (silence.by, silence.ends_at - silence.starts_at) == ("ada (Slack U00000001)", timedelta(hours=1))
    stage.world.now.move(timedelta(minutes=5))
    end_silence(silence.silence_id, by="ada", world=stage.world)
    stage.repeat()
    assert stage.world.alerts.list_silences(stage.world.now()) == ()


def test_a_double_click_whose_silence_was_ended_by_hand_does_not_come_back_either():
    stage = Stage()
    for at in (NOW, NOW + timedelta(seconds=2)):
        stage.press("silence", at=at)
    (silence,) = stage.world.alerts.list_silences(NOW)
    stage.world.now.move(timedelta(minutes=5))
    end_silence(silence.silence_id, by="ada", world=stage.world)
    stage.repeat()
    assert stage.world.alerts.list_silences(stage.world.now()) == ()


@pytest.mark.parametrize(
    ("length", "every", "added"),
    [
        (timedelta(minutes=5), None, 1),
        (timedelta(days=90), "Sun 02:00-04:00", 1),
        (timedelta(hours=1), None, 0),
        (timedelta(hours=2), None, 0),
    ],
)
def test_only_a_silence_that_does_as_much_as_the_button_swallows_it(length, every, added):
    """Somebody is answered that it is silenced for an hour: a shorter one, or one that mutes on Sundays, is another wish."""
    stage = Stage()
    matchers, again = build_incident_matchers(stage.incident), every and parse_recurrence(every)
    add_silence(matchers, length, by="bob", reason="deploy", world=stage.world, every=again)
    stage.world.now.move(timedelta(seconds=30))
    pressed = stage.world.now()
    stage.press("silence", at=pressed)
    stage.repeat()
    by_button = [one for one in stage.world.alerts.list_silences(pressed) if one.by.startswith("ada")]
    assert [one.ends_at - pressed for one in by_button] == [timedelta(hours=1)] * added
    assert len(stage.trail("incident_silenced")) == added


@pytest.mark.parametrize(("user", "action"), [("U00000009", "acknowledge"), ("U00000002", "restore")])
def test_who_may_not_is_told_so_politely_and_nothing_happens(user, action):
    stage = Stage()
    before = len(stage.world.bus.events)
    assert stage.press(action, user=user) == 200
    assert len(stage.world.bus.events) == before
    ((url, words),) = stage.whispers
    assert url == "https://hooks.slack.com/actions/1"
    assert "Nothing was changed" in words
    assert user in words


@pytest.mark.parametrize(
    ("user", "team", "state"),
    [
        ("U00000009", "T00000001", State.ACKNOWLEDGED),
        ("U00000009", "T00000002", State.OPEN),
        ("U00000009", None, State.OPEN),
        ("U00000002", "T00000002", State.ACKNOWLEDGED),
    ],
)
def test_who_comes_from_another_workspace_only_looks_unless_named(user, team, state):
    """A channel may be shared with another company, and Slack signs its people's presses like ours."""
    stage = Stage(APP + "  others: responder\n  team: T00000001\n")
    assert stage.press("acknowledge", user=user, team=team) == 200
    assert stage.incident.state is state
    if state is State.OPEN:
        assert "Nothing was changed" in stage.whispers[-1][1]


def test_two_buttons_pressed_at_one_moment_are_both_carried_out_in_any_order():
    for actions in (("acknowledge", "resolve"), ("resolve", "acknowledge")):
        stage = Stage()
        for user, action in zip(("U00000001", "U00000002"), actions, strict=True):
            assert slack_action(stage.event(action, user=user), stage.desk)["statusCode"] == 200
        stage.carry_out()
        stage.repeat()
        assert stage.incident.state is State.RESOLVED
        assert len(stage.trail("incident_resolved")) == 1


def test_a_press_that_is_caught_and_sent_again_within_the_five_minutes_undoes_nothing():
    stage = Stage()
    caught = stage.event("acknowledge")
    slack_action(caught, stage.desk)
    stage.carry_out()
    stage.world.now.move(timedelta(minutes=1))
    stage.press("resolve", at=NOW + timedelta(minutes=1))
    stage.world.now.move(timedelta(minutes=3))
    before = len(stage.world.state.load_entries(stage.incident_id))
    assert slack_action(caught, stage.desk)["statusCode"] == 200
    stage.carry_out()
    assert stage.incident.state is State.RESOLVED
    assert len(stage.world.state.load_entries(stage.incident_id)) == before


def test_a_request_that_slack_did_not_sign_is_refused_before_it_is_read():
    stage = Stage()
    before = len(stage.world.bus.events)
    assert stage.press("resolve", secret="guessed") == 401
    assert len(stage.world.bus.events) == before
    assert stage.incident.state is State.OPEN


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_nobody_gets_in_with_the_empty_signing_secret(nothing):
    stage = Stage()
    stage.secrets["sagewatch/signing"] = nothing
    before = len(stage.world.bus.events)
    assert stage.press("acknowledge", secret="") == 401
    assert len(stage.world.bus.events) == before


@pytest.mark.parametrize("seconds", [-301, 301, 10**12])
def test_a_request_outside_the_five_minutes_is_refused_even_if_signed(seconds):
    stage = Stage()
    stamp = str(int(NOW.timestamp()) + seconds)
    assert stage.press("resolve", stamp=stamp) == 401
    assert stage.incident.state is State.OPEN


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"body": None},
        {"headers": {"x-slack-request-timestamp": "-1"}},
        {"body": "%", "isBase64Encoded": True},
        {
            "body": "\ud800",
            "headers": {
                "x-slack-request-timestamp": str(int(NOW.timestamp())),
                "x-slack-signature": "\ud800",
            },
        },
    ],
)
def test_whatever_the_internet_sends_is_answered_with_a_refusal(event):
    stage = Stage()
    assert slack_action(event, stage.desk)["statusCode"] in {400, 401}


def test_a_newline_at_the_end_of_the_signing_secret_is_none_of_it():
    stage = Stage()
    stage.secrets["sagewatch/signing"] = f"{SECRET}\n"
    assert stage.press("acknowledge") == 200
    assert stage.asked == []


def test_a_rotated_secret_is_looked_up_once_more():
    stage = Stage()
    stage.secrets["sagewatch/signing/new"] = "rotated"
    assert stage.press("acknowledge", secret="rotated") == 200
    assert stage.asked == ["sagewatch/signing"]


def test_restoring_gives_the_endpoint_back_at_once_and_says_who_asked():
    stage = Stage()
    world = stage.world
    world.hosting.settle()
    advance_endpoint("signs", world)
    stage.pump.run()
    assert world.state.load_diagnosis("signs").phase is Phase.OBSERVING
    assert "restore" in stage.buttons()
    assert stage.press("restore") == 200
    world.hosting.settle()
    advance_endpoint("signs", world)
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.phase, diagnosis.outcome) == (Phase.FINISHED, "stopped_by_hand")
    assert world.hosting.describe_endpoint("signs")["EndpointConfigName"] == diagnosis.original_config
    (entry,) = stage.trail("diagnosis_stop_asked")
    assert entry.by == "ada (Slack U00000001)"


def test_an_operator_who_asks_for_a_diagnosis_need_not_wait_for_the_cooldown():
    stage = Stage()
    record_and_settle(stage.world)
    handle(manage_incident, build_event(build_finding(cleared_at=NOW + timedelta(minutes=1))), stage.world)
    again = build_finding(finding_id="f2", raised_at=NOW + timedelta(minutes=9))
    handle(manage_incident, build_event(again), stage.world)
    stage.pump.run()
    stage.incident_id = stage.world.state.list_incidents()[0].incident_id
    assert stage.incident.diagnosis.reason == "cooling_down"
    assert stage.press("diagnose", at=NOW + timedelta(minutes=10)) == 200
    assert stage.world.state.load_diagnosis("signs").incident_id == stage.incident_id
    assert stage.trail("diagnosis_asked_for")


def test_no_diagnosis_begins_for_a_silenced_incident_even_by_hand_and_the_trail_says_why():
    stage = Stage()
    record_and_settle(stage.world)
    handle(manage_incident, build_event(build_finding(cleared_at=NOW + timedelta(minutes=1))), stage.world)
    stage.press("silence")
    again = build_finding(finding_id="f2", raised_at=NOW + timedelta(minutes=9))
    handle(manage_incident, build_event(again), stage.world)
    stage.pump.run()
    stage.incident_id = stage.world.state.list_incidents()[0].incident_id
    stage.press("diagnose", at=NOW + timedelta(minutes=10))
    assert stage.incident.diagnosis.reason == "incident_is_silenced"
    assert stage.world.state.load_diagnosis("signs").incident_id != stage.incident_id


def test_a_bus_that_takes_nothing_makes_slack_tell_the_person_to_press_again():
    stage = Stage()

    def refuse(facts, at):
        raise RetryError("throttled")

    stage.world.bus.publish = refuse
    assert slack_action(stage.event("acknowledge"), stage.desk)["statusCode"] == 503
    assert stage.whispers == []


def test_a_store_of_secrets_that_does_not_answer_makes_slack_tell_the_person_to_press_again():
    stage = Stage()
    before = len(stage.world.bus.events)

    def fail(_):
        raise RetryError("ReadTimeoutError")

    object.__setattr__(stage.desk, "get_secret", fail)
    answer = slack_action(stage.event("acknowledge"), stage.desk)
    assert (answer["statusCode"], answer["body"]) == (503, "ReadTimeoutError")
    assert len(stage.world.bus.events) == before


@pytest.mark.parametrize(("seconds", "words"), [(1.4, 1), (1.6, 0)])
def test_a_press_that_took_long_to_put_on_the_bus_is_answered_without_words(seconds, words):
    stage = Stage()
    publish = stage.world.bus.publish

    def publish_slowly(facts, at):
        stage.world.now.move(timedelta(seconds=seconds))
        publish(facts, at)

    stage.world.bus.publish = publish_slowly
    assert stage.press("acknowledge") == 200
    assert len(stage.whispers) == words
    assert stage.incident.state is State.ACKNOWLEDGED


def test_an_answer_that_slack_does_not_take_changes_nothing():
    stage = Stage()

    def fail(url, words):
        raise RetryError("TimeoutError")

    object.__setattr__(stage.desk, "answer_privately", fail)
    assert stage.press("acknowledge") == 200
    assert stage.incident.state is State.ACKNOWLEDGED


def test_no_buttons_without_an_app_that_answers_them():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert "actions" not in {block["type"] for block in world.chat.posted[-1][1]["blocks"]}


def test_who_joins_what_somebody_took_speaks_first_and_can_be_acknowledged():
    """Nobody has taken it, whatever became of the one that the message began with, and however much milder it is."""
    stage = Stage()
    stage.press("acknowledge")
    stage.world.now.move(timedelta(minutes=10))
    stream = Stream("signs", "AllTraffic")
    joins = build_finding(
        finding_id="f2",
        fingerprint=build_fingerprint(stream, "class-concentration", "38"),
        subject="38",
        raised_at=stage.world.now(),
        severity=Severity.WARNING,
    )
    handle(manage_incident, build_event(joins), stage.world)
    stage.pump.run()
    (newcomer,) = (one for one in stage.world.state.list_incidents() if one.incident_id != stage.incident_id)
    message = json.dumps(stage.world.chat.updated[-1][2])
    assert "Class 38" in stage.world.chat.updated[-1][2]["text"]
    assert "*Acknowledged*" not in message
    assert ", acknowledged)" in message
    buttons = stage.buttons()
    assert buttons["acknowledge"]["value"] == newcomer.incident_id
    assert buttons["acknowledge"]["text"]["text"] == "Acknowledge"
    assert buttons["resolve"]["value"].split() == [newcomer.incident_id, stage.incident_id]
    stage.press("acknowledge", value=newcomer.incident_id)
    assert stage.world.state.load_incident(newcomer.incident_id).state is State.ACKNOWLEDGED
    assert "acknowledge" not in stage.buttons()
