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
        ((10, 10), 0.0, "looks at the same places"),
        ((10, 14), 1.0, "looks at other parts of the sign"),
        ((1, 1), 1.0, "looks past the sign more than it does otherwise"),
    ],
)
def test_the_sentence_says_where_the_model_looks(suspicious, distance, verdict):
    found = compare(
        Group("suspicious input", [spot(*suspicious)] * 3),
        Group("clean input of that class", [spot(10, 10)] * 5),
    )
    assert found.distance == pytest.approx(distance)
    assert verdict in found.sentence
    assert found.sentence.startswith("On 3 suspicious inputs against 5 clean inputs of that class, ")


def test_a_model_that_returns_to_the_sign_is_said_to():
    found = compare(Group("suspicious input", [spot(10, 10)]), Group("clean input", [spot(1, 1), spot(2, 2)]))
    assert "more narrowly" in found.sentence
    assert found.suspicious_outside < found.others_outside


@pytest.mark.parametrize(
    ("left", "right"),
    [([], [spot(5, 5)]), ([spot(5, 5)], []), ([np.zeros((4, 4))], [np.ones((4, 4))]),
     ([np.ones((4, 4))], [np.ones((5, 5))])],
)  # fmt: skip
def test_nothing_is_compared_with_nothing(left, right):
    assert compare(Group("a", left), Group("b", right)) is None
