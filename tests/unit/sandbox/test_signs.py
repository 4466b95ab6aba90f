"""Drawn signs: all classes, the same for the same seed, and unlike each other."""

from __future__ import annotations

import csv
from importlib import resources

import numpy as np
import pytest

from sagewatch.sandbox.signfaces import CLASS_COUNT, draw_face
from sagewatch.sandbox.signs import draw_sign, read_sign_names
from tests.endpoint_under_test import PHOTOGRAPHS


@pytest.mark.parametrize("class_id", range(CLASS_COUNT))
def test_each_class_is_drawn_alike_from_the_same_seed_only(class_id):
    first, again, other = (draw_sign(class_id, np.random.default_rng(seed), 48) for seed in (1, 1, 2))
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() > 1


def test_no_two_faces_are_alike():
    faces = np.stack(
        [np.asarray(draw_face(class_id).reduce(8), dtype=float) for class_id in range(CLASS_COUNT)]
    )
    for class_id in range(CLASS_COUNT):
        others = np.abs(faces - faces[class_id]).mean(axis=(1, 2, 3))
        others[class_id] = np.inf
        assert others.min() > 1, f"{class_id} and {others.argmin()} look alike"


@pytest.mark.parametrize("size", [16, 31, 128, 200])
def test_any_size_from_16_pixels_is_drawn(size):
    assert draw_sign(14, np.random.default_rng(0), size).shape == (size, size, 3)


@pytest.mark.parametrize(("class_id", "size"), [(-1, 96), (43, 96), (14, 15)])
def test_what_cannot_be_drawn_is_refused(class_id, size):
    with pytest.raises(ValueError, match=r"not one of|below 16"):
        draw_sign(class_id, np.random.default_rng(0), size)


def test_the_names_are_one_a_class_in_order():
    text = resources.files("sagewatch.sandbox").joinpath("signnames.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [int(row["ClassId"]) for row in rows] == list(range(CLASS_COUNT))
    assert read_sign_names()[14] == "Stop"
    assert len(set(read_sign_names())) == CLASS_COUNT


@pytest.mark.real
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no GTSRB photographs on this machine")
def test_the_names_are_those_of_the_data_set():
    with (PHOTOGRAPHS / "signnames.csv").open() as lines:
        assert [row["SignName"] for row in csv.DictReader(lines)] == read_sign_names()
