"""Where the model looks on suspicious inputs, against where it looks otherwise, in a figure and in words."""

from __future__ import annotations

import numpy as np
import pytest

from sagewatch.explain.comparison import Group, compare


def spot(row, column, side=20):
    blurred = np.zeros((side, side))
    blurred[row - 1 : row + 2, column - 1 : column + 2] = 1
    return blurred


@pytest.mark.parametrize(
    ("suspicious", "distance", "verdict"),
    [
        ((10, 10), 0.0, "nothing says that the model looks elsewhere"),
        ((10, 14), 1.0, "looks at other parts of the sign"),
        ((1, 1), 1.0, "looks past the sign more than it does otherwise"),
    ],
)
def test_the_sentence_says_where_the_model_looks(suspicious, distance, verdict):
    found = compare(
        Group("suspicious input", [spot(*suspicious)] * 5),
        Group("clean input of that class", [spot(10, 10)] * 6),
    )
    assert found.distance == pytest.approx(distance)
    assert verdict in found.sentence
    assert found.sentence.startswith("On 5 suspicious inputs against 6 clean inputs of that class, ")


def test_a_model_that_returns_to_the_sign_is_said_to():
    near, far = [spot(10, 10), spot(10, 11)] * 3, [spot(1, 1), spot(2, 2)] * 3
    found = compare(Group("suspicious input", near), Group("clean input", far))
    assert "more narrowly" in found.sentence
    assert found.suspicious_outside < found.others_outside


@pytest.mark.parametrize(
    ("left", "right"),
    [([], [spot(5, 5)]), ([spot(5, 5)], []), ([np.zeros((4, 4))], [np.ones((4, 4))]),
     ([np.ones((4, 4))], [np.ones((5, 5))])],
)  # fmt: skip
def test_nothing_is_compared_with_nothing(left, right):
    assert compare(Group("a", left), Group("b", right)) is None


def test_groups_of_the_same_inputs_are_seldom_called_different():
    rng = np.random.default_rng(7)
    called = 0
    for _ in range(60):
        maps = [rng.random((12, 12)) ** 4 for _ in range(14)]
        found = compare(Group("suspicious input", maps[:7]), Group("clean input", maps[7:]))
        called += found.distance > found.by_chance
    assert called <= 8, "about 3 of 60"


def test_two_inputs_are_too_few_to_say():
    found = compare(Group("suspicious input", [spot(1, 1)]), Group("clean input", [spot(10, 10)]))
    assert found.by_chance == 1.0
    assert "On 1 suspicious input against 1 clean input, " in found.sentence
