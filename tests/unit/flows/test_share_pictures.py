"""Heat maps: into the thread once they exist, once; inside the mail; never where inputs are kept from view."""

from __future__ import annotations

import email
import email.policy
import json
from datetime import timedelta

import msgspec
import pytest

from sagewatch.entry import handle
from sagewatch.errors import ConfigurationError, DeliveryError, RetryError
from sagewatch.flows.act_by_hand import add_silence, end_silence
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.memory.world import MemoryLetters
from tests.unit.alert.test_html_mail import build_png
from tests.unit.flows.worlds import (
    MONITORS,
    NOW,
    Pump,
    build_event,
    build_finding,
    build_world,
    record_and_settle,
)

MAILED = MONITORS.replace(
    "mail: {}}",
    "mail: {}, html-mail: {sender: s@example.com, to: [ada@example.com]}, amazon-q: {topic: chat}}",
)


def play(world):
    """An incident is found, diagnosed and explained."""
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    (listed,) = world.state.list_incidents()
    prefix = f"incidents/{listed.incident_id}/explain/"
    world.objects.bodies["evidence", f"{prefix}overlays/1.png"] = build_png()
    record_and_settle(world)
    pump.run()
    return listed.incident_id, pump


def test_heat_maps_come_into_the_thread_once_however_often_the_word_comes():
    world = build_world()
    incident_id, _ = play(world)
    ((receiver, handle_, pictures),) = world.chat.pictures
    assert (receiver, handle_) == ("ml-on-call", "1.000000")
    assert [one.png for one in pictures] == [build_png()]
    for event in [e for e in world.bus.events if e["detail-type"].startswith(("Diagnosis", "Incident"))] * 2:
        handle(deliver_alert, event, world)
    assert len(world.chat.pictures) == 1
    assert [one.what for one in world.state.load_entries(incident_id)].count("pictures_shared") == 1


def test_no_heat_maps_come_while_it_is_silenced_and_they_do_when_it_ends():
    world = build_world()
    silence = add_silence(("kind=~.*",), timedelta(hours=1), by="ada", reason="x", world=world)
    world.alerts.save_silence(msgspec.structs.replace(silence, matchers=("kind=nothing-yet",)))
    handle(manage_incident, build_event(build_finding()), world)
    pump = Pump(world)
    pump.run()
    world.alerts.save_silence(silence)
    (listed,) = world.state.list_incidents()
    prefix = f"incidents/{listed.incident_id}/explain/"
    world.objects.bodies["evidence", f"{prefix}overlays/1.png"] = build_png()
    record_and_settle(world)
    pump.run()
    assert world.chat.posted
    assert world.chat.pictures == []
    end_silence(silence.silence_id, by="ada", world=world)
    pump.run()
    assert len(world.chat.pictures) == 1


@pytest.mark.parametrize(
    ("error", "uploads"),
    [
        (DeliveryError("ml-on-call", "ratelimited", recoverable=True), 1),
        (DeliveryError("ml-on-call", "not_in_channel", recoverable=False), 0),
        (RetryError("ReadTimeoutError"), 1),
        (ConfigurationError("cannot be read", where="Secrets Manager", key="sagewatch/slack"), 1),
    ],
    ids=lambda value: value.reason if isinstance(value, Exception) else str(value),
)
def test_an_upload_that_can_heal_is_tried_with_the_next_word(error, uploads):
    world = build_world()
    upload = world.chat.upload_pictures

    def refuse(receiver, thread, pictures):
        raise error

    world.chat.upload_pictures = refuse
    _, pump = play(world)
    world.chat.upload_pictures = upload
    handle(manage_incident, build_event(build_finding(cleared_at=NOW)), world)
    pump.run()
    assert len(world.chat.pictures) == uploads


def test_the_mail_that_tells_the_end_shows_the_heat_maps_and_the_firing_one_has_none_yet():
    letters = MemoryLetters()
    world = build_world(MAILED)
    object.__setattr__(world, "letters", letters)
    _, pump = play(world)
    handle(manage_incident, build_event(build_finding(cleared_at=NOW)), world)
    pump.run()
    mails = [email.message_from_bytes(raw, policy=email.policy.default) for _, _, raw in letters.sent]
    assert [str(mail["Subject"]).split("]")[0] for mail in mails] == ["[FIRING", "[RESOLVED"]
    shown = [sum(part.get_content_type() == "image/png" for part in mail.walk()) for mail in mails]
    assert shown == [0, 1]
    assert [chat["metadata"]["eventType"] for chat in world.mail.chats] == [
        "sagewatch-firing",
        "sagewatch-resolved",
    ]


def test_an_endpoint_with_sensitive_inputs_shows_none_of_them():
    world = build_world(MAILED.replace("  signs:\n", "  signs:\n    sensitive: [face]\n"))
    letters = MemoryLetters()
    object.__setattr__(world, "letters", letters)
    _, pump = play(world)
    handle(manage_incident, build_event(build_finding(cleared_at=NOW)), world)
    pump.run()
    assert world.chat.pictures == []
    assert not any(b"image/png" in raw for _, _, raw in letters.sent)
    assert json.loads(msgspec.json.encode(world.monitors))["endpoints"]["signs"]["sensitive"] == ["face"]
