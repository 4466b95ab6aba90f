"""The picture beside a heat map is the one that was sent, whatever the model wants pictures to be."""

from __future__ import annotations

import numpy as np
import pytest

from sagewatch.explain.fullgrad import explain
from sagewatch.explain.heatmap import input_picture
from sagewatch.explain.layers import IMAGENET, IMAGENET_MEAN, IMAGENET_STD
from sagewatch.explain.pixels import show_input

SENT = np.random.default_rng(1).random((3, 8, 8))
SENT[:, 0, 0], SENT[:, 0, 1] = 0, 1


def normalise(mean, deviation):
    return (SENT - np.reshape(mean, (3, 1, 1))) / np.reshape(deviation, (3, 1, 1))


def test_the_shipped_models_input_is_shown_as_it_was_sent(recorded):
    sent = recorded[0].tensors["ResNet_input_0"][0]
    explanation = explain(recorded[0].tensors, "x")
    shown = np.asarray(input_picture(explanation.image)).transpose(2, 0, 1) / 255
    back = (shown - np.reshape(IMAGENET_MEAN, (3, 1, 1))) / np.reshape(IMAGENET_STD, (3, 1, 1))
    assert np.abs(back - sent).max() <= 1e-5
    assert explanation.colours == ""


@pytest.mark.parametrize(
    "known",
    [((0, 0, 0), (1, 1, 1)), ((0.5,) * 3, (0.5,) * 3), ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3)), ((0,) * 3, (1 / 255,) * 3)],
)  # fmt: skip
def test_what_the_hook_was_told_is_undone(known):
    shown, colours = show_input(normalise(*known), known)
    assert np.abs(shown - SENT).max() <= 1e-5
    assert colours == ""


@pytest.mark.parametrize(
    ("used", "says"),
    [
        (((0, 0, 0), (1, 1, 1)), "taken as 0 to 1"),
        (((0.5,) * 3, (0.5,) * 3), "taken as -1 to 1"),
        (IMAGENET, "ImageNet"),
        (((0,) * 3, (1 / 255,) * 3), "stretched, its values are 0 to 255"),
    ],
)
def test_what_it_was_not_told_is_guessed_and_said_so(used, says):
    shown, colours = show_input(normalise(*used), None)
    assert np.abs(shown - SENT).max() <= 1e-3
    assert says in colours


def test_an_input_without_a_number_or_of_one_value_is_shown_all_the_same():
    nothing, _ = show_input(np.full((3, 4, 4), np.nan), None)
    assert input_picture(nothing).size == (4, 4)
    even, _ = show_input(np.full((3, 4, 4), 300.0), None)
    assert input_picture(even).size == (4, 4)


def test_of_other_channels_than_the_normalisations_the_colours_are_guessed():
    shown, colours = show_input(np.linspace(-3, 7, 32).reshape(2, 4, 4), IMAGENET)
    assert shown.shape == (3, 4, 4)
    assert colours == "stretched, its values are -3 to 7"


def test_the_sheet_says_that_colours_are_a_guess(recorded):
    import dataclasses

    from sagewatch.explain.report import _caption

    known = explain(recorded[0].tensors, "x")
    guessed = dataclasses.replace(known, colours="taken as 0 to 1")
    last = [_caption(recorded[0].file, one, "Stop", "")[-1] for one in (known, guessed)]
    assert "guess" not in last[0]
    assert "the input (colours a guess: taken as 0 to 1), the map" in last[1]
