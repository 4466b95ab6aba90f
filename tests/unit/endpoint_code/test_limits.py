"""The hook records as much as it is told to, says which request a step was, and harms nobody when it cannot write."""

from __future__ import annotations

import hashlib
import queue

import boto3
import numpy as np
import pytest
import torch
from botocore.exceptions import ClientError

from sagewatch.explain import names
from sagewatch.explain.trial import TrialReader, find_steps
from tests.endpoint_under_test import encode_npy, start

NPY = "application/x-npy"


def answer(endpoint, served, count):
    rng = np.random.default_rng(4)
    bodies = [encode_npy(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(count)]
    answers = [endpoint.inference.transform_fn(served, body, NPY, "") for body in bodies]
    if served.recorder is not None:
        assert served.recorder.drain(timeout_seconds=60)
    return bodies, answers


@pytest.mark.parametrize(
    ("limits", "sent", "recorded"),
    [
        ({}, 5, 5),
        ({"TENSORS_EVERY": "3"}, 7, 3),
        ({"TENSORS_MAX_REQUESTS": "2"}, 5, 2),
        ({"TENSORS_MAX_BYTES": "1000"}, 4, 1),
        ({"TENSORS_EVERY": "2", "TENSORS_MAX_REQUESTS": "2"}, 9, 2),
    ],
)
def test_no_more_is_recorded_than_allowed_and_every_request_is_answered(
    endpoint, plain, tmp_path, monkeypatch, limits, sent, recorded
):
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    served = start(endpoint, str(tmp_path))
    _, answers = answer(endpoint, served, sent)
    assert len(find_steps(tmp_path)) == recorded
    assert answers == answer(endpoint, plain, sent)[1]


def test_what_waits_to_be_written_counts_as_well_as_what_is(endpoint, tmp_path, monkeypatch):
    """A slow disk and thirty requests: the cap holds for what is written in the end."""
    from threading import Event

    goes_on = Event()
    publish = endpoint.tensor_store.DirectoryPublisher.publish

    def wait(*arguments):
        goes_on.wait(60)
        publish(*arguments)

    monkeypatch.setattr(endpoint.tensor_store.DirectoryPublisher, "publish", wait)
    monkeypatch.setenv("TENSORS_MAX_BYTES", "4500000")
    served = start(endpoint, str(tmp_path))
    rng = np.random.default_rng(4)
    for _ in range(12):
        body = encode_npy(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        endpoint.inference.transform_fn(served, body, NPY, "")
    goes_on.set()
    assert served.recorder.drain(timeout_seconds=60)
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert len(find_steps(tmp_path)) == 3
    assert 3_500_000 < written <= 4_500_000


def test_a_step_that_was_dropped_leaves_its_place_to_the_next(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORS_MAX_REQUESTS", "2")
    served = start(endpoint, str(tmp_path))
    with monkeypatch.context() as patch:

        def full(*_):
            raise queue.Full

        patch.setattr(served.recorder._waiting, "put_nowait", full)
        answer(endpoint, served, 3)
    answer(endpoint, served, 3)
    assert len(find_steps(tmp_path)) == 2


def test_a_limit_that_is_no_number_leaves_the_endpoint_plain(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORS_EVERY", "often")
    assert start(endpoint, str(tmp_path)).recorder is None


def test_each_step_names_its_request_by_the_digest_of_its_body(endpoint, tmp_path):
    served = start(endpoint, str(tmp_path))
    bodies, _ = answer(endpoint, served, 3)
    steps = find_steps(tmp_path)
    reader = TrialReader(steps)
    digests = [bytes(reader.read(step).tensors[names.REQUEST]).hex() for step in steps]
    assert digests == [hashlib.sha256(body).hexdigest() for body in bodies]
    forward, all_ = reader.read(steps[0]).tensors[names.SECONDS]
    assert 0 < forward < all_


def test_a_full_disk_fails_no_prediction_and_leaves_no_half_step(endpoint, plain, tmp_path, monkeypatch):
    from pathlib import Path

    write = Path.write_bytes
    room = [400_000]

    def fill(path, content):
        room[0] -= len(content)
        if room[0] < 0:
            write(path, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill)
    served = start(endpoint, str(tmp_path))
    _, answers = answer(endpoint, served, 4)
    assert answers == answer(endpoint, plain, 4)[1]
    assert not list(tmp_path.rglob("*.partial"))
    reader = TrialReader(find_steps(tmp_path))
    for step in find_steps(tmp_path):
        reader.read(step)


def test_s3_that_refuses_fails_no_prediction(endpoint, plain, monkeypatch):
    class Refusing:
        def put_object(self, **_):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

    monkeypatch.setattr(boto3, "client", lambda *_, **__: Refusing())
    served = start(endpoint, "s3://evidence/tensors/i1")
    _, answers = answer(endpoint, served, 3)
    assert answers == answer(endpoint, plain, 3)[1]


def test_a_request_that_is_not_recorded_costs_no_backward_pass(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORS_MAX_REQUESTS", "1")
    served = start(endpoint, str(tmp_path))
    answer(endpoint, served, 1)
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: pytest.fail("a backward pass"))
    answer(endpoint, served, 2)
