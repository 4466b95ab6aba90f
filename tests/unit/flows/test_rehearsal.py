"""A replayed event acts on rows of its own and on the test receiver; a live one as if it came anew."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default

from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.store import Store
from sagewatch.entry import handle
from sagewatch.errors import ConfigurationError
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.streams import view_stream
from sagewatch.memory.world import MemoryLetters
from sagewatch.rehearsal import build_replay_name, choose_world, open_rehearsal, read_replay_name
from sagewatch.sandbox.mail_rules import find_refused_letter
from tests.unit.flows.captures import draw_attacked, draw_clean, put_files
from tests.unit.flows.worlds import LISTENERS, MONITORS, NOW, build_world

SLACK_APP = """
slack:
  signing: "secret:sagewatch/signing"
  users: {U00000001: operator}
"""
WITH_TEST = MONITORS.replace(
    "receivers:",
    "routes: {receiver: ml-on-call}\nreceivers:\n  test: {slack: {channel: '#test', token: 'secret:sagewatch/t'}}",
)
FLOWS = (ingest_capture, manage_incident, advance_diagnosis, deliver_alert)


def replay(world, name):
    """An attack's captures, as EventBridge replays them, and all that follows."""
    rng = random.Random(1)
    predictions = draw_clean(300, rng) + draw_attacked(60, rng)
    for event in put_files(world, predictions, NOW):
        envelope = {**event, "replay-name": name}
        handle(ingest_capture, envelope, choose_world(world, envelope))
    done = 0
    for _ in range(5):
        while done < len(world.bus.events):
            event = world.bus.events[done]
            done += 1
            for flow in LISTENERS.get(event["detail-type"], ()):
                handle(flow, event, choose_world(world, event))
        world.now.move(timedelta(minutes=1))
        for event in [one for one in world.bus.events if one["detail-type"] == "Incident Opened"]:
            handle(deliver_alert, event, choose_world(world, event))


def test_a_rehearsal_leaves_everything_real_untouched():
    world = build_world(WITH_TEST)
    replay(world, build_replay_name(NOW, live=False))
    assert any(event["detail-type"] == "Incident Opened" for event in world.bus.events)
    assert all(read_replay_name(event) == "rehearsal.20261121T120000Z" for event in world.bus.events)
    assert world.hosting.calls == []
    assert world.mail.mails == []
    assert world.metrics.values == []
    assert world.state.list_incidents() == []
    assert all(pk.startswith("replay#rehearsal.") for pk, _ in world.state.items.rows)
    written = [key for bucket, key in world.objects.bodies if bucket == "evidence"]
    assert all(key.startswith("replays/rehearsal.") for key in written)


def test_what_a_live_replay_said_is_rehearsed_like_anything_else_in_an_archive():
    world = build_world(WITH_TEST + SLACK_APP)
    replay(world, build_replay_name(NOW, live=True))
    said = [dict(one) for one in world.bus.events]
    assert {read_replay_name(one) for one in said} == {"live.20261121T120000Z"}
    before = (
        len(world.chat.posted),
        len(world.mail.mails),
        len(world.hosting.calls),
        len(world.metrics.values),
    )
    real = {key: row for key, row in world.state.items.rows.items() if not key[0].startswith("replay#")}
    for name in (build_replay_name(NOW + timedelta(hours=1), live=False), "started-by-hand-in-the-console"):
        for event in said:
            envelope = {**event, "replay-name": name}
            assert read_replay_name(envelope) == name
            for flow in LISTENERS.get(event["detail-type"], ()):
                handle(flow, envelope, choose_world(world, envelope))
    assert (len(world.mail.mails), len(world.hosting.calls), len(world.metrics.values)) == before[1:]
    assert {receiver for receiver, _ in world.chat.posted[before[0] :]} <= {"test"}
    rows = world.state.items.rows
    assert {key: row for key, row in rows.items() if not key[0].startswith("replay#")} == real


def test_a_rehearsal_tells_the_test_receiver_alone_and_says_what_it_is():
    world = build_world(WITH_TEST)
    replay(world, build_replay_name(NOW, live=False))
    assert {receiver for receiver, _ in world.chat.posted} == {"test"}
    assert all(message["text"].startswith("[REPLAY] ") for _, message in world.chat.posted)


def list_buttons(world):
    blocks = [block for _, message in world.chat.posted for block in message["blocks"]]
    return [button for block in blocks if block["type"] == "actions" for button in block["elements"]]


def test_a_rehearsals_messages_have_no_buttons_as_they_would_act_on_the_real_incident():
    world = build_world(WITH_TEST + SLACK_APP)
    replay(world, build_replay_name(NOW, live=True))
    assert list_buttons(world) != []
    rehearsed = build_world(WITH_TEST + SLACK_APP)
    replay(rehearsed, build_replay_name(NOW, live=False))
    assert rehearsed.chat.posted != []
    assert list_buttons(rehearsed) == []


def test_the_archives_word_on_real_incidents_says_nothing_to_a_rehearsal_and_leaves_no_dead_letter():
    world = build_world(WITH_TEST)
    replay(world, build_replay_name(NOW, live=True))
    archived = [dict(one) for one in world.bus.events]
    for event in archived:
        event["detail"] = {key: value for key, value in event["detail"].items() if key != "replay_name"}
    pressed = {"action": "resolve", "incident_id": world.state.list_incidents()[0].incident_id, "by": "ada"}
    asked = {**pressed, "at": NOW.isoformat(), "account": "123456789012", "region": "eu-west-1"}
    archived.append({**archived[0], "detail-type": "Action Requested", "detail": asked})
    told = [one for one in archived if not one["detail-type"].startswith("Finding")]
    assert {"Incident Opened", "Action Requested"} <= {one["detail-type"] for one in told}
    before = (len(world.bus.events), len(world.chat.posted), dict(world.state.items.rows))
    for event in told:
        envelope = {**event, "replay-name": build_replay_name(NOW, live=False)}
        for flow in LISTENERS[event["detail-type"]]:
            handle(flow, envelope, choose_world(world, envelope))
    assert (len(world.bus.events), len(world.chat.posted), dict(world.state.items.rows)) == before


def test_a_rule_of_which_a_rehearsal_shows_nothing_is_refused_before_anything_is_played():
    store = Store(world=build_world(), outputs={"EventBus": "bus"})
    result = CliRunner().invoke(cli, ["replay", "--from", "10m", "--rule", "AlertRule"], obj=store)
    assert isinstance(result.exception, ConfigurationError)
    assert "rehearse CaptureRule, MonitoringJobRule, FindingRule, or --live" in str(result.exception)


def test_a_rehearsals_links_lead_to_its_own_pages_and_these_say_what_they_are():
    world = build_world(WITH_TEST)
    name = build_replay_name(NOW, live=False)
    replay(world, name)
    pages = {key: body.decode() for (_, key), body in world.objects.bodies.items() if key.endswith(".html")}
    assert len(pages) == 2
    for said in (*pages.values(), json.dumps([message for _, message in world.chat.posted])):
        links = re.findall(r"s3/object/[^\"|]*prefix=([^\"|]*)", said)
        assert links != []
        assert all(link.startswith(f"replays/{name}/incidents/") for link in links)
    for page in pages.values():
        assert "<strong>REPLAY</strong> of recorded events" in page
        assert re.search(f"Its name: <bdi>{name}</bdi>", page)
    real = build_world(WITH_TEST)
    replay(real, build_replay_name(NOW, live=True))
    assert not [body for body in real.objects.bodies.values() if b"REPLAY" in body or b"replays/" in body]


def test_without_a_test_receiver_a_rehearsal_tells_nobody():
    world = build_world()
    replay(world, build_replay_name(NOW, live=False))
    assert (world.chat.posted, world.mail.mails) == ([], [])


def test_a_replay_of_one_endpoint_leaves_the_others_alone():
    world = build_world(WITH_TEST)
    replay(world, build_replay_name(NOW, live=False, endpoint="another"))
    assert world.bus.events == []
    replay(world, build_replay_name(NOW, live=False, endpoint="signs"))
    assert world.bus.events != []


def test_a_live_replay_of_what_was_counted_changes_nothing():
    world = build_world(WITH_TEST)
    rng = random.Random(1)
    events = put_files(world, draw_clean(300, rng) + draw_attacked(60, rng), NOW)
    for event in events:
        handle(ingest_capture, event, world)
    before = (len(world.bus.events), dict(world.state.items.rows))
    for event in events:
        envelope = {**event, "replay-name": build_replay_name(NOW, live=True)}
        handle(ingest_capture, envelope, choose_world(world, envelope))
    assert (len(world.bus.events), dict(world.state.items.rows)) == before


def rehearse_hours_later(order):
    """The findings of traffic of two hours ago, whose files come in an order, each judged when it came."""
    world = build_world(WITH_TEST.replace("detectors: {", "detectors: {no-data: {after: 30m}, "))
    rng = random.Random(1)
    events = list(put_files(world, draw_clean(300, rng) + draw_attacked(60, rng), NOW))
    world.now.move(timedelta(hours=2))
    name = build_replay_name(world.now(), live=False)
    for event in order(events):
        envelope = {**event, "replay-name": name}
        handle(ingest_capture, envelope, choose_world(world, envelope))
    found = [one["detail"] for one in world.bus.events if one["detail-type"].startswith("Finding")]
    rehearsed = open_rehearsal(world, name)
    stream = rehearsed.state.list_streams("signs")[0]
    view = view_stream(stream, rehearsed)
    return {(one["kind"], one["subject"]) for one in found}, view.folded.late, view.folded.traces


def shuffle_eights(events):
    """As concurrent functions take them: files of a few minutes cross each other."""
    rng, rest = random.Random(2), list(events)
    while rest:
        batch, rest = rest[:8], rest[8:]
        rng.shuffle(batch)
        yield from batch


def test_a_rehearsal_of_traffic_of_hours_ago_judges_every_capture_whatever_the_order_within_minutes():
    straight = rehearse_hours_later(lambda events: events)
    shaken = rehearse_hours_later(shuffle_eights)
    assert straight[0] == shaken[0] == {("class-concentration", "14")}
    assert shaken[1:] == straight[1:]


def test_an_event_of_no_replay_acts_on_the_world_itself():
    world = build_world()
    assert choose_world(world, {"detail": {}}) is world


def test_what_came_of_a_rehearsal_is_seen_by_its_name_and_has_a_page_without_a_test_receiver(tmp_path):
    world = build_world()
    name = build_replay_name(NOW, live=False)
    replay(world, name)
    store = Store(world=world, outputs={"EvidenceBucket": "evidence"})

    def run(*arguments):
        result = CliRunner().invoke(cli, [*arguments, "--json"], obj=store)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    assert json.loads(run("incidents", "list")) == []
    (listed,) = json.loads(run("incidents", "list", "--replay", name))
    found = listed["incident_id"]
    shown = json.loads(run("incidents", "show", found, "--replay", name))
    assert shown["incident"]["subject"] == "14"
    assert f"replays/{name}/incidents/{found}/index.html" in shown["page"]
    assert ("evidence", f"replays/{name}/incidents/{found}/index.html") in world.objects.bodies
    report = json.loads(run("incidents", "report", found, "--replay", name, "--out", str(tmp_path)))
    assert "index.html" in report["files"]
    assert found in run("tail", "--once", "--since", "1d", "--replay", name)
    assert f"replays/{name}/" in json.loads(run("incidents", "open", found, "--replay", name))["url"]
    live = CliRunner().invoke(cli, ["incidents", "list", "--replay", "live.20261121T120000Z"], obj=store)
    assert "is no rehearsal" in str(live.exception)


def test_the_page_of_a_rehearsal_of_last_week_counts_its_captures():
    world = build_world()
    world.now.move(timedelta(days=7))
    name = build_replay_name(world.now(), live=False)
    replay(world, name)
    (page,) = [
        body.decode()
        for (_, key), body in world.objects.bodies.items()
        if key.startswith(f"replays/{name}/incidents/2") and key.endswith("/index.html")
    ]
    assert "Captures since" in page
    assert "no longer counted" not in page


def test_a_rehearsal_of_an_endpoint_that_was_never_captured_is_refused():
    store = Store(world=build_world(), outputs={"EventBus": "bus"})
    result = CliRunner().invoke(cli, ["replay", "--from", "10m", "--endpoint", "no-such"], obj=store)
    assert isinstance(result.exception, ConfigurationError)
    assert "no-such: is no endpoint of which this stack has captured anything" in str(result.exception)


def test_the_test_receiver_is_mailed_at_its_own_addresses_with_every_mail_marked_and_in_a_thread_of_its_own():
    channels = "{html-mail: {sender: a@example.com, to: b@example.com}, mail: {}, amazon-q: {}}"
    world = build_world(
        WITH_TEST.replace("{slack: {channel: '#test', token: 'secret:sagewatch/t'}}", channels)
    )
    letters = MemoryLetters()
    object.__setattr__(world, "letters", letters)
    replay(world, build_replay_name(NOW, live=False))
    (sent,) = letters.sent
    assert sent[:2] == ("a@example.com", ("b@example.com",))
    assert find_refused_letter(sent[2]) == ""
    mail = message_from_bytes(sent[2], policy=default)
    assert mail["Subject"].startswith("[REPLAY] [FIRING]")
    assert ".rehearsal.20261121T120000Z@" in mail["References"] == mail["In-Reply-To"]
    assert mail.get_body(("html",)) is not None
    assert (world.mail.mails, world.mail.chats) == ([], [])
