"""A round of the tick while S3 or SageMaker takes requests and does not answer: every endpoint has its turn in it."""

from __future__ import annotations

import dataclasses
import re
import socket
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sagewatch.aws import client
from sagewatch.aws.deadline import EVIDENCE_SECONDS, TURN_SECONDS, TURNS_SECONDS, Turns
from sagewatch.aws.s3 import S3Objects
from sagewatch.aws.schedules import SageMakerSchedules
from sagewatch.entry import Batch, handle
from sagewatch.errors import RefusedError, RetryError
from sagewatch.events import Ticked
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.memory.world import MemoryClock
from sagewatch.observability import get_logger
from sagewatch.wiring import read_clock
from tests.unit.aws.local_aws import aws_at
from tests.unit.aws.test_http import serve
from tests.unit.flows.worlds import MONITORS as PEOPLE_TOLD
from tests.unit.flows.worlds import NOW, build_event, build_finding, build_world
from tests.unit.test_entry import message

ENDPOINTS = tuple(f"signs-{number}" for number in range(8))
MONITORS = "version: 1\nendpoints:\n" + "".join(
    f"  {name}: {{detectors: {{no-data: {{after: 2h}}}}, "
    "quality: {every: 1h, scheduler: model-monitor, baseline: s3://b/baseline}}\n"
    for name in ENDPOINTS
)
PEOPLE = PEOPLE_TOLD + "routes: {receiver: ml-on-call, group_by: [incident]}"
TEMPLATE = Path(__file__).resolve().parents[3] / "serverless.yml"
EACH, TOGETHER = 0.2, 0.5
MINUTE = timedelta(minutes=1)
SERVICES = ("S3", "SAGEMAKER")


@contextmanager
def aws_that_hangs():
    """Lines are taken and nothing is ever said; yields the socket, whose backlog holds them."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as server,
        aws_at(server.getsockname()[1], *SERVICES),
    ):
        yield


def tell_silent(world):
    """The endpoints of which it was said that no capture comes."""
    return {one["detail"]["endpoint"] for one in world.bus.events if one["detail"].get("kind") == "no-data"}


def turns(now=read_clock):
    return Turns(now, EACH, TOGETHER)


def test_an_s3_and_a_sagemaker_that_hang_keep_no_endpoint_from_its_turn():
    world = build_world(MONITORS)
    tick(Ticked(world.now()), world)
    world.now.move(timedelta(hours=3))
    with aws_that_hangs():
        world = dataclasses.replace(
            world, objects=S3Objects(turns()), schedules=SageMakerSchedules(turns=turns())
        )
        began = time.monotonic()
        tick(Ticked(world.now()), world)
        took = time.monotonic() - began
    assert tell_silent(world) == set(ENDPOINTS)
    # The rest is for making the clients on a busy machine: without turns the eight of them took more than a minute.
    assert took < 2 * TOGETHER + 8


def test_what_hangs_takes_its_time_once_a_round_and_is_asked_again_in_the_next():
    now = MemoryClock(NOW)
    asked = []

    def hang():
        asked.append(now())
        now.move(timedelta(seconds=EACH))
        raise TimeoutError

    waiting = turns(now)
    for _ in range(2):
        for _ in range(20):
            with pytest.raises(TimeoutError):
                waiting.ask(hang)
        now.move(MINUTE - timedelta(seconds=TOGETHER))
    rounds = [sum(one < NOW + MINUTE for one in asked), sum(one >= NOW + MINUTE for one in asked)]
    assert rounds == [3, 3]


def test_an_s3_that_hangs_keeps_no_message_of_a_batch_and_takes_its_time_once():
    """Real sockets: the messages are out before S3 is asked, and all its questions together have their time."""
    world = build_world(PEOPLE)
    for number in range(4):
        finding = build_finding(subject=str(number), fingerprint=f"f{number}", finding_id=f"{number}")
        handle(manage_incident, build_event(finding), world)
    opened = [one for one in world.bus.events if one["detail-type"] == "Incident Opened"]
    with aws_that_hangs():
        world = dataclasses.replace(world, objects=S3Objects(Turns(read_clock, 1.0, 2.0), brisk=True))
        told, post = [], world.chat.post_message

        def write_down(*arguments):
            told.append(time.monotonic() - began)
            return post(*arguments)

        world.chat.post_message = write_down
        began = time.monotonic()
        answer = Batch(deliver_alert, world).run([message(one, number) for number, one in enumerate(opened)])
        took = time.monotonic() - began
    assert len(told) == 4
    assert max(told) < 1
    assert took < 2 + 2
    assert (
        len(answer["batchItemFailures"]) == 4
    )  # the pages are owed: the facts come again, and tell nobody twice


def test_the_bucket_of_pages_takes_half_of_the_time_in_which_people_are_told():
    timeout = int(re.search(r"\n  deliver_alert:.*?timeout: (\d+)", TEMPLATE.read_text(), re.DOTALL)[1])
    assert timeout >= 2 * EVIDENCE_SECONDS


def test_a_body_that_breaks_off_is_tried_again():
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    with serve(answer) as (port, _), aws_at(port, *SERVICES):
        body = S3Objects().open_object("evidence", "page")
        with pytest.raises(RetryError):
            body.read()


def test_what_s3_does_not_let_us_write_is_a_refusal_of_ours():
    def answer(handler):
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        handler.send_response(403)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serve(answer) as (port, _), aws_at(port, *SERVICES):
        for write in (S3Objects().put_object, S3Objects().create_object):
            with pytest.raises(RefusedError, match="AccessDenied"):
                write("evidence", "page", b"", "text/html")


def test_one_line_that_is_lost_is_tried_again_within_the_turn():
    lost = []

    def answer(handler):
        if not lost:
            lost.append(handler)
            handler.close_connection = True
            return
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(answer) as (port, _), aws_at(port, *SERVICES):
        assert S3Objects(Turns(read_clock)).list_after("captures", "a/", "", 100) == []


def test_both_together_leave_the_round_a_third_of_its_time():
    timeout = int(re.search(r"\n  tick:.*?timeout: (\d+)", TEMPLATE.read_text(), re.DOTALL)[1])
    assert timeout * 2 / 3 >= 2 * TURNS_SECONDS


def test_a_page_that_was_given_up_is_not_written_once_more():
    """A repetition would be written over what others wrote since."""

    def fail(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_response(503)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(fail) as (port, seen), aws_at(port, *SERVICES):
        with pytest.raises(RetryError):
            S3Objects(Turns(read_clock), brisk=True).put_object("evidence", "page", b"", "text/html")
        assert len(seen) == 1


def test_a_write_is_over_before_its_turn_is():
    patience = client.BRISK_ONCE
    assert patience.connect_timeout + patience.read_timeout < TURN_SECONDS
    assert patience.retries["total_max_attempts"] == 1


def test_what_nobody_foresaw_of_one_endpoint_keeps_no_other_from_its_turn(caplog):
    caplog.set_level("INFO", logger=get_logger().name)  # commands that ran before in this process are quieter
    world = build_world(MONITORS)
    tick(Ticked(world.now()), world)
    world.now.move(timedelta(hours=3))
    load = world.state.list_streams

    def load_unless_first(endpoint):
        if endpoint == ENDPOINTS[0]:
            raise ValueError("ada@example.com")
        return load(endpoint)

    world.state.list_streams = load_unless_first
    with pytest.raises(ValueError, match="ada"):
        tick(Ticked(world.now()), world)
    assert tell_silent(world) >= set(ENDPOINTS[1:])
    (failed,) = [one for one in caplog.records if one.getMessage() == "tick_part_failed"]
    assert failed.endpoint == ENDPOINTS[0]
    assert "ada@" not in caplog.text
