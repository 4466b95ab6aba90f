"""A batch of messages: each counts on its own, what they owe together is done once, the failed come again."""

from __future__ import annotations

import json
import random
from datetime import timedelta

from sagewatch.entry import Batch, handle
from sagewatch.errors import ConflictError, RefusedError, RetryError
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.evidence import build_page_key
from sagewatch.flows.follow_up import FollowUp
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.observability import get_logger
from tests.unit.flows.captures import draw_attacked, draw_clean, put_file
from tests.unit.flows.worlds import MONITORS, NOW, build_event, build_finding, build_world

STREAM = Stream("signs", "AllTraffic")


def put_ten_files(world):
    rng = random.Random(1)
    return [
        put_file(world, draw(20, rng), NOW + timedelta(seconds=number), number=number)
        for number, draw in enumerate([draw_clean] * 7 + [draw_attacked] * 3)
    ]


def message(event, number):
    return {"messageId": f"m{number}", "eventSource": "aws:sqs", "body": json.dumps(event)}


def run(world, events, flow=ingest_capture):
    return Batch(flow, world).run([message(event, number) for number, event in enumerate(events)])


def failed(answer):
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def count_evaluations(world):
    seen = []
    load = world.state.load_checkpoint
    world.state.load_checkpoint = lambda stream: seen.append(stream) or load(stream)
    return seen


def test_ten_files_of_a_stream_are_judged_once():
    world = build_world()
    evaluations = count_evaluations(world)
    assert failed(run(world, put_ten_files(world))) == []
    assert evaluations == [STREAM]
    assert [event["detail"]["subject"] for event in world.bus.events] == ["14"]


def test_a_batch_finds_what_files_one_by_one_find():
    together, apart = build_world(), build_world()
    run(together, put_ten_files(together))
    for event in put_ten_files(apart):
        run(apart, [event])
    ids = [
        {
            event["detail"]["finding_id"]
            for event in world.bus.events
            if event["detail-type"] == "Finding Raised"
        }
        for world in (together, apart)
    ]
    assert ids[0] == ids[1] != set()


def test_a_file_that_cannot_be_read_comes_again_alone():
    world = build_world()
    events = put_ten_files(world)
    del events[3]["detail"]["object"]["key"]
    assert failed(run(world, events)) == ["m3"]
    assert sum(segment.predictions for segment in world.state.load_segments(STREAM, None)) == 180


def test_when_the_judging_fails_every_file_that_owes_it_comes_again():
    world = build_world()
    events = put_ten_files(world)
    world.state.save_checkpoint = world.state.load_checkpoint = crossed
    elsewhere = {"id": "x", "source": "aws.s3", "detail-type": "Object Created", "time": NOW.isoformat(),
                 "detail": {"bucket": {"name": "captures"}, "object": {"key": "capture/x.jsonl", "size": 1, "etag": "e"}}}  # fmt: skip
    assert failed(run(world, [*events, elsewhere])) == [f"m{number}" for number in range(10)]
    assert sum(segment.predictions for segment in world.state.load_segments(STREAM, None)) == 200


def test_files_that_come_again_are_judged_and_not_counted_again():
    world = build_world()
    events = put_ten_files(world)
    load = world.state.load_checkpoint
    world.state.load_checkpoint = crossed
    run(world, events)
    world.state.load_checkpoint = load
    assert failed(run(world, events)) == []
    assert [event["detail"]["subject"] for event in world.bus.events] == ["14"]
    assert sum(segment.predictions for segment in world.state.load_segments(STREAM, None)) == 200


def test_a_replayed_file_is_judged_beside_the_real_one():
    world = build_world()
    events = put_ten_files(world)
    replayed = [{**event, "replay-name": "rehearsal.20261121T120000Z"} for event in events]
    assert failed(run(world, [event for pair in zip(events, replayed, strict=True) for event in pair])) == []
    marks = [event["detail"].get("replay_name") for event in world.bus.events]
    assert marks == [None, "rehearsal.20261121T120000Z"]


def test_a_flow_that_owes_nothing_answers_as_before():
    world = build_world()
    assert failed(run(world, [{"source": "somebody"}], manage_incident)) == []
    answer = Batch(manage_incident, world).run([{"messageId": "m0", "eventSource": "aws:sqs", "body": "{"}])
    assert failed(answer) == ["m0"]


def crossed(*_):
    raise ConflictError("item_was_changed")


def test_what_nobody_foresaw_comes_again_and_is_in_the_log_without_its_text(caplog):
    def fail(_fact, _world):
        raise ValueError("https://hooks.example/SECRET")

    world = build_world()
    answer = run(world, put_ten_files(world)[:1], fail)
    assert failed(answer) == ["m0"]
    (record,) = [one for one in caplog.records if one.getMessage() == "record_failed"]
    assert record.error == "ValueError"
    assert record.place.startswith("fail:")
    assert "SECRET" not in caplog.text


def test_a_record_for_which_no_time_is_left_is_not_begun_and_comes_again():
    world = build_world()
    files = put_ten_files(world)
    left = iter([60, 50, 40, *[39] * 7])
    records = [message(event, number) for number, event in enumerate(files)]
    answer = Batch(ingest_capture, world, lambda: next(left) >= 40).run(records)
    assert failed(answer) == [f"m{number}" for number in range(3, 10)]
    assert len(world.state.load_segments(STREAM, None)) == 3


def test_a_follow_up_for_which_no_time_is_left_is_not_begun_and_its_message_comes_again():
    ran, left = [], iter([60, 19])

    def owe(fact, _world):
        return FollowUp(fact.etag, lambda: ran.append(fact.etag))

    world = build_world()
    records = [message(event, number) for number, event in enumerate(put_ten_files(world)[:2])]
    answer = Batch(owe, world, has_time_to_follow=lambda: next(left) >= 20).run(records)
    assert failed(answer) == ["m1"]
    assert len(ran) == 1


def test_what_aws_refused_for_good_is_in_the_log_by_operation_and_code(caplog):
    caplog.set_level("INFO", logger=get_logger().name)  # commands that ran before in this process are quieter

    def be_refused(_fact, _world):
        raise RefusedError("PutObject", "AccessDenied", "arn:aws:iam::123456789012:role/SECRET may not")

    world = build_world()
    assert failed(run(world, put_ten_files(world)[:1], be_refused)) == ["m0"]
    (record,) = [one for one in caplog.records if one.getMessage() == "record_refused"]
    assert (record.operation, record.reason) == ("PutObject", "AccessDenied")
    assert "SECRET" not in caplog.text


def test_a_message_whose_receiver_fails_asks_nothing_of_the_bucket_and_its_page_is_made_up_for():
    world = build_world(MONITORS + "routes: {receiver: ml-on-call, group_by: [incident]}")
    handle(manage_incident, build_event(build_finding()), world)
    (opened,) = [one for one in world.bus.events if one["detail-type"] == "Incident Opened"]
    items = world.state.items
    get = items.get

    def get_unless_of_mail(pk, sk):
        if "ml-on-call/mail" in pk + sk:
            raise RetryError("ThrottlingException")
        return get(pk, sk)

    items.get = get_unless_of_mail
    assert failed(run(world, [opened], deliver_alert)) == ["m0"]
    assert len(world.chat.posted) == 1
    assert not any(bucket == "evidence" for bucket, _ in world.objects.bodies)
    (incident,) = world.state.list_incidents()
    assert world.state.load_turn(incident.incident_id).crossed
    items.get = get
    world.now.move(timedelta(minutes=1))
    told = len(world.bus.events)
    tick(Ticked(world.now()), world)
    due = [one for one in world.bus.events[told:] if one["detail-type"] == "Alert Due"]
    assert failed(run(world, due, deliver_alert)) == []
    assert ("evidence", build_page_key(incident.incident_id)) in world.objects.bodies
    assert len(world.chat.posted) == 1


def test_the_messages_of_a_batch_go_before_anything_is_asked_of_the_bucket_of_pages():
    world = build_world(MONITORS + "routes: {receiver: ml-on-call, group_by: [incident]}")
    for number in range(3):
        finding = build_finding(subject=str(number), fingerprint=f"f{number}", finding_id=f"{number}")
        handle(manage_incident, build_event(finding), world)
    opened = [one for one in world.bus.events if one["detail-type"] == "Incident Opened"]
    order = []
    post, read = world.chat.post_message, world.objects.open_object

    def write_down(what, call):
        return lambda *arguments: order.append(what) or call(*arguments)

    world.chat.post_message = write_down("told", post)
    world.objects.open_object = write_down("asked", read)
    assert failed(run(world, opened, deliver_alert)) == []
    assert order[:3] == ["told"] * 3
    assert "told" not in order[3:]
    assert sum("index.html" in key for _, key in world.objects.bodies) == 4  # theirs, and the list of all
