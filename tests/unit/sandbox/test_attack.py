"""The attack: the endpoint's answer changes, the picture hardly does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sagewatch.sandbox.attack import STOP, ModelNotFoundError, attack, load_model
from sagewatch.sandbox.traffic import DrawnSigns, Photographs
from tests.endpoint_under_test import ENDPOINT_CODE, PHOTOGRAPHS, WEIGHTS, encode_npy, load_endpoint, start

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")


@pytest.fixture(scope="module")
def model():
    return load_model(ENDPOINT_CODE, WEIGHTS)


@pytest.fixture(scope="module")
def endpoint():
    return load_endpoint()


@pytest.fixture(scope="module")
def plain(endpoint):
    return start(endpoint)


def others(traffic, count, seed):
    return [s for s in traffic.sample(count + 5, np.random.default_rng(seed)) if s.class_id != STOP][:count]


def answers(endpoint, plain, images):
    bodies = [encode_npy(image) for image in images]
    given = [endpoint.inference.transform_fn(plain, body, "application/x-npy", "")[0] for body in bodies]
    return [json.loads(answer)[0] for answer in given]


def test_the_endpoint_answers_stop_for_attacked_drawn_signs(model, endpoint, plain):
    attacked = [attack(model, sample.image) for sample in others(DrawnSigns(), 25, 11)]
    assert sum(each.success for each in attacked) >= 24
    assert all(each.image.shape == (128, 128, 3) and each.image.dtype == np.uint8 for each in attacked)
    assert np.mean([each.rms_change for each in attacked]) < 12
    for each, (class_id, confidence) in zip(
        attacked, answers(endpoint, plain, [each.image for each in attacked]), strict=True
    ):
        if each.success:
            assert class_id == STOP
            assert confidence > 0.3


@pytest.mark.real
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no GTSRB photographs on this machine")
def test_the_endpoint_answers_stop_for_attacked_photographs(model, endpoint, plain):
    samples = others(Photographs(PHOTOGRAPHS), 25, 12)
    attacked = [attack(model, sample.image) for sample in samples]
    given = answers(endpoint, plain, [each.image for each in attacked])
    assert sum(class_id == STOP for class_id, _ in given) >= 24


def test_the_same_picture_is_attacked_alike(model):
    [sample] = others(DrawnSigns(), 1, 13)
    first, again = attack(model, sample.image), attack(model, sample.image)
    assert np.array_equal(first.image, again.image)


def test_a_picture_of_the_target_is_only_resized(model):
    stop = DrawnSigns().one(STOP, np.random.default_rng(0), "")
    attacked = attack(model, stop.image)
    assert (attacked.iterations, attacked.rms_change, attacked.success) == (0, 0.0, True)


def test_an_attack_that_runs_out_of_iterations_says_so(model):
    [sample] = others(DrawnSigns(), 1, 14)
    attacked = attack(model, sample.image, max_iterations=1)
    assert (attacked.iterations, attacked.success) == (1, False)


@pytest.mark.parametrize("target", [0, 42])
def test_another_target_is_reached_too(model, target):
    [sample] = others(DrawnSigns(), 1, 15)
    assert attack(model, sample.image, target=target).success


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"model\.py"):
        load_model(tmp_path, WEIGHTS)
    with pytest.raises(ModelNotFoundError, match=r"none\.pt"):
        load_model(ENDPOINT_CODE, tmp_path / "none.pt")
