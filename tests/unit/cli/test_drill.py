"""A drill goes the way of real findings, tells the receiver `test` alone, and says what is missing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sagewatch.alert.amazon_q import find_faults
from sagewatch.cli.drill import Drilled, run_drill, try_topics
from sagewatch.entry import handle
from sagewatch.errors import DeliveryError
from sagewatch.memory.world import MemoryBus, MemoryHooks
from sagewatch.rehearsal import choose_world
from sagewatch.sandbox.hooks import refuse_event
from tests.unit.flows.worlds import LISTENERS, MONITORS, build_world

WITH_TEST = MONITORS.replace(
    "receivers:\n",
    'routes: {receiver: ml-on-call}\nreceivers:\n  test: {slack: {channel: "#t", token: "secret:sagewatch/t"}}\n',
)
HOOKS = """{pagerduty: {key: "secret:sagewatch/p"}, webhook: {url: "https://example.com/hook", secret: "secret:sagewatch/h"},
    slack-webhook: {url: "secret:sagewatch/w"}}"""
WITH_HOOKS = WITH_TEST.replace('{slack: {channel: "#t", token: "secret:sagewatch/t"}}', HOOKS)


class Wired(MemoryBus):
    """A bus whose events reach the flows that serverless.yml's rules name, as its handlers do it."""

    world = None
    deaf = ()

    def publish(self, facts, at):
        before = len(self.events)
        super().publish(facts, at)
        for event in self.events[before:]:
            for flow in LISTENERS[event["detail-type"]]:
                if flow.__name__ not in self.deaf:
                    handle(flow, event, choose_world(self.world, event))


@pytest.fixture
def start():
    def begin(monitors=WITH_TEST, deaf=()):
        world = build_world(monitors)
        bus = Wired()
        object.__setattr__(world, "bus", bus)
        object.__setattr__(world, "hooks", MemoryHooks())
        bus.world, bus.deaf = world, deaf
        return world

    return begin


def drill(world):
    return run_drill(world, timedelta(seconds=20), lambda seconds: world.now.move(timedelta(seconds=seconds)))


def test_the_test_receiver_hears_both_ends_marked_and_nobody_else_hears_anything(start):
    world = start()
    drilled = drill(world)
    assert drilled.missing == ""
    assert [hop.what for hop in drilled.hops if "told" in hop.what] == [
        "deliver_alert told test/slack (firing)",
        "deliver_alert told test/slack (resolved)",
    ]
    assert {receiver for receiver, _ in world.chat.posted} == {"test"}
    assert all(message["text"].startswith("[REPLAY]") for _, message in world.chat.posted)
    assert world.mail.mails == []
    assert world.state.list_incidents() == []
    assert world.hosting.describe_endpoint("signs")["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    ("monitors", "deaf", "words"),
    [
        (MONITORS, (), "needs a receiver called test"),
        (WITH_TEST, ("manage_incident",), "No incident was opened"),
        (WITH_TEST, ("deliver_alert",), "Nobody was told"),
    ],
)
def test_what_never_came_is_said(start, monitors, deaf, words):
    assert words in drill(start(monitors, deaf)).missing


ALWAYS = """windows: {factory-shut: {mutes: ["kind=no-data"], every: "daily 00:00-00:00"}}
"""


def test_what_mutes_a_drill_is_named(start):
    drilled = drill(start(WITH_TEST + ALWAYS))
    assert drilled.missing.startswith("Nobody was told (firing), because")
    assert "factory-shut" in drilled.missing
    assert "needs a receiver" not in drilled.missing


@pytest.mark.parametrize("how", ["refuses", "is late", "somebody loses patience"])
def test_whoever_took_it_is_told_the_end_whatever_becomes_of_another(start, how):
    world = start(WITH_HOOKS)
    post = world.hooks.post_hook

    def post_or_fail(target, body, at):
        if target == "test/webhook":
            raise DeliveryError(target, "HTTP 404", recoverable=how != "refuses")
        post(target, body, at)

    def lose_patience(_):
        raise KeyboardInterrupt

    world.hooks.post_hook = post_or_fail
    if how == "somebody loses patience":
        with pytest.raises(KeyboardInterrupt):
            run_drill(world, timedelta(seconds=20), lose_patience)
    else:
        assert "test/webhook did not take the message (firing)" in drill(world).missing
    paged = [body["event_action"] for target, body in world.hooks.posted if target == "test/pagerduty"]
    assert paged == ["trigger", "resolve"]


def test_a_receiver_that_refuses_is_named_with_its_reason(start):
    world = start()

    def refuse(receiver, message):
        raise DeliveryError(receiver, "channel_not_found", recoverable=False)

    world.chat.post_message = refuse
    drilled = drill(world)
    assert "did not take the message" in drilled.missing
    assert any("channel_not_found" in hop.what for hop in drilled.hops)


@pytest.mark.parametrize("last", ["trigger", "resolve"])
def test_one_channel_that_took_it_does_not_answer_for_another_that_did_not(start, last):
    world = start(WITH_HOOKS)
    post = world.hooks.post_hook

    def refuse(target, body, at):
        if target == "test/pagerduty" and body["event_action"] == last:
            raise DeliveryError(target, "HTTP 400", recoverable=False)
        post(target, body, at)

    world.hooks.post_hook = refuse
    drilled = drill(world)
    assert drilled.missing.startswith("The receiver test/pagerduty did not take the message")
    assert any("test/webhook" in hop.what for hop in drilled.hops)


def test_pagerduty_and_webhooks_hear_it_marked_and_under_keys_that_nothing_real_has(start):
    world = start(WITH_HOOKS)
    drilled = drill(world)
    assert drilled.missing == ""
    told = {}
    for target, body in world.hooks.posted:
        told.setdefault(target, []).append(body)
    assert set(told) == {"test/pagerduty", "test/webhook", "test/slack_webhook"}
    trigger, resolve = told["test/pagerduty"]
    assert [trigger["event_action"], resolve["event_action"]] == ["trigger", "resolve"]
    assert trigger["payload"]["summary"].startswith("[REPLAY] ")
    assert trigger["payload"]["custom_details"]["Replay"].startswith("rehearsal.")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["dedup_key"].startswith("rehearsal.")
    for event in (trigger, resolve):
        assert refuse_event({**event, "routing_key": "k" * 32}, "k" * 32) == []
    for message in told["test/webhook"]:
        assert message["headline"].startswith("[REPLAY] ")
        assert message["replay"] == message["group"].partition("/")[0] != ""
    assert len({message["group"] for message in told["test/webhook"]}) == 1
    for message in told["test/slack_webhook"]:
        assert message["text"].startswith("[REPLAY] ")
        assert "REPLAY" in json.dumps(message["blocks"][0])


def test_a_hold_of_monitors_does_not_keep_a_drill_from_its_end(start):
    assert drill(start(WITH_TEST + "flapping: {hold: 5m}\n")).missing == ""


def test_a_reply_in_the_thread_is_marked_too(start):
    world = start()
    drill(world)
    assert world.chat.replies
    assert all("[REPLAY]" in message["text"] for *_, message in world.chat.replies)


def test_the_topics_hear_of_a_drill_only_where_that_is_asked_for_and_then_marked(start):
    world = start()
    began, drilled = world.now(), drill(world)
    assert (world.mail.mails, world.mail.chats) == ([], [])
    tried = try_topics(drilled, began, world)
    assert tried.missing == ""
    assert [hop.what for hop in tried.hops if "topic" in hop.what] == [
        "the topic alerts (mail) took a marked message: ask its subscribers whether it came",
        "the topic chat (Amazon Q) took a marked message: ask its subscribers whether it came",
    ]
    ((subject, body),), (chat,) = world.mail.mails, world.mail.chats
    assert subject.startswith("[REPLAY] ")
    assert "nothing is to be done" in body
    assert chat["content"]["title"].startswith("[REPLAY] ")
    assert find_faults(chat) == []


def test_a_topic_that_refuses_is_named_and_the_other_is_tried(start):
    world = start()

    def refuse(subject, body):
        raise DeliveryError("mail", "AuthorizationError", recoverable=False)

    world.mail.publish_mail = refuse
    tried = try_topics(Drilled("i", (), "Nobody was told."), world.now(), world)
    assert tried.missing.startswith("Nobody was told. The topic alerts (mail) did not take")
    assert "AuthorizationError" in tried.missing
    assert len(world.mail.chats) == 1
