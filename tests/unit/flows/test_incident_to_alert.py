"""From a finding to messages: once each, whatever is doubled, reordered or interrupted."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from sagewatch.entry import handle
from sagewatch.errors import ConfigurationError, ConflictError, DeliveryError, RetryError
from sagewatch.events import Ticked
from sagewatch.flows.advance_diagnosis import advance_diagnosis
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from tests.unit.flows.worlds import NOW, Pump, build_event, build_finding, build_world, record_and_settle

CLEARED = build_finding(cleared_at=NOW + timedelta(minutes=5))


def subjects(world):
    return [subject.split("]")[0].strip("[") for subject, _ in world.mail.mails]


def test_a_finding_becomes_one_mail_and_one_slack_message():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert subjects(world) == ["FIRING"]
    assert len(world.chat.posted) == 1


def test_a_clearing_resolves_by_one_more_mail_and_in_place_in_slack():
    world = build_world()
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    handle(manage_incident, build_event(CLEARED), world)
    pump.run()
    assert subjects(world) == ["FIRING", "RESOLVED"]
    assert len(world.chat.posted) == 1
    assert "RESOLVED" in str(world.chat.updated[-1][2]["text"])


def test_a_clearing_that_comes_before_its_raising_still_gives_one_of_each():
    world = build_world()
    for finding in (CLEARED, build_finding(), CLEARED, build_finding()):
        handle(manage_incident, build_event(finding), world)
    Pump(world).run()
    assert subjects(world) == ["FIRING", "RESOLVED"]


def test_every_event_delivered_three_times_backwards_tells_nobody_twice():
    world = build_world()
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    handle(manage_incident, build_event(CLEARED), world)
    pump.run()
    before = (list(world.mail.mails), len(world.chat.posted), len(world.chat.updated))
    for event in [*reversed(world.bus.events)] * 3:
        for flow in (manage_incident, deliver_alert):
            handle(flow, event, world)
    assert (world.mail.mails, len(world.chat.posted), len(world.chat.updated)) == before


def test_a_staged_finding_tells_nobody():
    world = build_world()
    handle(manage_incident, build_event(build_finding(staged=True)), world)
    Pump(world).run()
    assert world.mail.mails == []
    assert world.chat.posted == []


def test_a_receiver_that_is_down_keeps_no_other_waiting_and_is_told_later():
    world = build_world()
    post = world.chat.post_message

    def refuse(receiver, message):
        raise DeliveryError(receiver, "ratelimited", recoverable=True, after_seconds=3)

    world.chat.post_message = refuse
    handle(manage_incident, build_event(build_finding()), world)
    opened = world.bus.events[-1]
    handle(deliver_alert, opened, world)
    assert subjects(world) == ["FIRING"]
    ((woken_at, _),) = world.wakeups.pending
    assert woken_at == NOW + timedelta(seconds=3)
    world.chat.post_message = post
    world.now.move(timedelta(seconds=3))
    handle(deliver_alert, opened, world)
    assert len(world.chat.posted) == 1
    assert subjects(world) == ["FIRING"]


def test_two_that_deliver_at_once_send_one_message():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    opened = world.bus.events[-1]
    publish = world.mail.publish_mail

    def deliver_meanwhile(subject, body):
        world.mail.publish_mail = publish
        handle(deliver_alert, opened, world)
        return publish(subject, body)

    world.mail.publish_mail = deliver_meanwhile
    handle(deliver_alert, opened, world)
    assert subjects(world) == ["FIRING"]


class Killed(BaseException):
    """The function is gone."""


def crash_points(act):
    """Run `act` in a fresh world, killed after the nth write to the outside, for every n there is."""
    for limit in range(1, 200):
        world = build_world()
        count = 0

        def counted(method, limit=limit):
            def call(*args, **kwargs):
                nonlocal count
                result = method(*args, **kwargs)
                count += 1
                if count == limit:
                    raise Killed
                return result

            return call

        items = world.state._items
        for owner, names in (
            (items, ("write",)),
            (world.bus, ("publish",)),
            (world.objects, ("put_object",)),
            (world.mail, ("publish_mail",)),
            (world.chat, ("post_message", "update_message")),
            (
                world.hosting,
                ("create_model", "create_endpoint_config", "update_endpoint", "delete_endpoint_config",
                 "delete_model", "create_processing_job"),
            ),
        ):  # fmt: skip
            for name in names:
                setattr(owner, name, counted(getattr(owner, name)))
        if not act(world):
            return limit
        yield limit, world
    raise AssertionError("the story never ended")


def play_until_killed(world):
    try:
        play(world)
    except Killed:
        return True
    return False


def play(world):
    pump = Pump(world)
    handle(manage_incident, build_event(build_finding()), world)
    pump.run()
    record_and_settle(world)
    pump.run()
    handle(manage_incident, build_event(CLEARED), world)
    pump.run()


def test_whole_story_ends_on_the_original_config_with_nothing_left():
    world = build_world()
    play(world)
    assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config"
    assert sorted(world.hosting.configs) == ["signs-config"]
    assert sorted(world.hosting.models) == ["signs-model"]
    diagnosis = world.state.load_diagnosis("signs")
    assert (diagnosis.phase, diagnosis.outcome, diagnosis.told) == ("finished", "explained", True)
    assert [name for name, _ in world.hosting.calls] == [
        "CreateModel",
        "CreateEndpointConfig",
        "UpdateEndpoint",
        "UpdateEndpoint",
        "CreateProcessingJob",
        "DeleteEndpointConfig",
        "DeleteModel",
    ]


def test_killed_after_any_write_the_story_is_taken_up_and_ends_the_same():
    seen = 0
    for limit, world in crash_points(play_until_killed):
        seen += 1
        # The queue delivers everything again; the claim of a dead sender lapses; the tick comes.
        world.now.move(timedelta(minutes=2))
        for finding in (build_finding(), build_finding(), CLEARED):
            handle(manage_incident, build_event(finding), world)
        for _ in range(3):
            redeliver(world)
            record_and_settle(world)
            tick(Ticked(world.now()), world)
        redeliver(world)
        assert world.hosting.endpoints["signs"]["EndpointConfigName"] == "signs-config", limit
        assert sorted(world.hosting.configs) == ["signs-config"], limit
        assert sorted(world.hosting.models) == ["signs-model"], limit
        told = subjects(world)
        assert told[0] == "FIRING", limit
        assert told[-1] == "RESOLVED", limit
        # At most the message whose sender died after sending is repeated.
        assert len(told) <= 3, (limit, told)
        assert len(world.chat.posted) <= 2, limit
    assert seen > 40


def redeliver(world):
    for event in list(world.bus.events):
        for flow in (manage_incident, advance_diagnosis, deliver_alert):
            try:
                handle(flow, event, world)
            except (RetryError, ConflictError):
                world.now.move(timedelta(minutes=2))
                handle(flow, event, world)


def test_the_tick_wakes_a_diagnosis_whose_events_were_all_lost():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    handle(advance_diagnosis, world.bus.events[-1], world)
    world.hosting.settle()
    tick(Ticked(world.now()), world)
    due = world.bus.events[-1]
    assert due["detail-type"] == "Diagnosis Due"
    handle(advance_diagnosis, due, world)
    assert world.state.load_diagnosis("signs").phase == "observing"


def test_an_endpoint_whose_mode_is_off_is_never_touched():
    monitors = "version: 1\nendpoints: {signs: {}}\nreceivers: {a: {mail: {}}}"
    world = build_world(monitors)
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert world.hosting.calls == []
    assert (
        world.state.load_incident("20261121T120000Z-" + build_finding().fingerprint).diagnosis.reason
        == "mode_is_off"
    )


def test_a_rejected_event_names_what_is_missing():
    world = build_world()
    event = build_event(build_finding())
    del event["detail"]["subject"]
    with pytest.raises(Exception, match="subject"):
        handle(manage_incident, event, world)


def test_facts_of_no_concern_change_nothing():
    world = build_world()
    for flow in (manage_incident, advance_diagnosis, deliver_alert):
        flow(Ticked(NOW), world)
    assert world.bus.events == []
    assert msgspec.json.encode(world.mail.mails) == b"[]"


def test_no_message_waits_for_the_page_whose_place_is_held_until_it_is_written():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    key = next(f"incidents/{one.incident_id}/index.html" for one in world.state.list_incidents())
    there, written = [], []
    publish, put = world.mail.publish_mail, world.objects.put_object

    def look(subject, body):
        there.append(("evidence", key) in world.objects.bodies)
        return publish(subject, body)

    def write_down(bucket, name, body, content_type):
        written.extend([b"is being written" in body] if name == key else [])
        put(bucket, name, body, content_type)

    world.mail.publish_mail, world.objects.put_object = look, write_down
    Pump(world).run()
    assert there == [False]
    assert (written[0], any(written[1:])) == (True, False)


def test_a_page_that_a_crash_kept_from_being_written_is_written_by_the_next_look():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    (opened,) = world.bus.events
    put = world.objects.put_object

    def die(bucket, key, body, content_type):
        if b"is being written" not in body:
            raise RetryError("killed")
        put(bucket, key, body, content_type)

    world.objects.put_object = die
    with pytest.raises(RetryError):
        handle(deliver_alert, opened, world)
    world.objects.put_object = put
    handle(deliver_alert, opened, world)
    assert len(world.mail.mails) == 1
    (page,) = [
        body for (_, key), body in world.objects.bodies.items() if key.count("/") == 2 and "index" in key
    ]
    assert b"is being written" not in page


def test_a_receiver_whose_secret_is_missing_keeps_no_other_waiting_and_is_a_dead_letter():
    world = build_world()

    def fail(receiver, message):
        raise ConfigurationError("does not exist", where="Secrets Manager", key="sagewatch/slack")

    world.chat.post_message = fail
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    assert subjects(world) == ["FIRING"]
    (incident,) = world.state.list_incidents()
    refused = [one for one in world.state.load_entries(incident.incident_id) if one.what == "alert_refused"]
    assert [one.reason for one in refused] == ["does not exist"]
