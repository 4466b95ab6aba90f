"""The training recipe: what it keeps apart, and that it runs."""

from __future__ import annotations

import importlib

import pytest
import torch

from sagewatch.sandbox.traffic import write_drawn_signs
from tests.endpoint_under_test import WEIGHTS


@pytest.fixture(scope="module")
def train(endpoint):
    return importlib.import_module("train")


@pytest.fixture(scope="module")
def pictures(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_drawn_signs(folder, per_class=2, seed=3)
    return train.read_pictures(folder)


def test_pictures_are_read_at_the_models_size_with_class_and_track(pictures):
    assert pictures.pixels.shape == (86, 3, 128, 128)
    assert pictures.classes.tolist() == [class_id for class_id in range(43) for _ in range(2)]
    assert pictures.tracks[:2] == ("0/00000", "0/00001")


def test_no_track_is_learned_and_held_out_and_every_class_is_held_out(train, pictures):
    learned, held = train.hold_out_tracks(pictures, 0.2, torch.Generator().manual_seed(0))
    assert not set(learned.tracks) & set(held.tracks)
    assert len(learned.tracks) + len(held.tracks) == 86
    assert set(held.classes.tolist()) == set(range(43))


def test_distorted_pictures_stay_pictures_and_alike_from_one_seed(train, pictures):
    x = pictures.pixels[:4].float() / 255
    first, again = (train.augment(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == x.shape
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_equal_answers_need_no_distilling(train):
    logits = torch.randn(5, 43, generator=torch.Generator().manual_seed(0))
    assert float(train.distil(logits, logits)) == pytest.approx(0, abs=1e-6)
    assert float(train.distil(logits, -logits)) > 0.1


def test_an_epoch_changes_weights_but_neither_the_parent_nor_batchnorms_statistics(
    train, endpoint, pictures, plain
):
    parent = endpoint.model.load_weights(WEIGHTS)
    before = {name: value.clone() for name, value in parent.state_dict().items()}
    tuned = train.fine_tune(parent, pictures, pictures, epochs=1, rate=1e-3, seed=0).state_dict()
    assert all(torch.equal(value, parent.state_dict()[name]) for name, value in before.items())
    assert not torch.equal(tuned["fc.weight"], before["fc.weight"])
    assert torch.equal(tuned["bn1.running_mean"], before["bn1.running_mean"])
    assert train.accuracy(plain.model, pictures) >= 0.95
