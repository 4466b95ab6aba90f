"""The hook records as much as it is told to, says which request a step was, and harms nobody when it cannot write."""

from __future__ import annotations

import hashlib

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
    if "TENSORS_MAX_BYTES" in limits:  # bytes are known once they are written
        answer(endpoint, served, 1)
    _, answers = answer(endpoint, served, sent)
    assert len(find_steps(tmp_path)) == recorded
    assert answers == answer(endpoint, plain, sent)[1]


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
