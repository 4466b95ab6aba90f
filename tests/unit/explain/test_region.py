"""The region of interest: where a model is expected to look, and how much of its relevance lies elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.explain.region import CENTRE, Region, outside_share, read_region


@pytest.mark.parametrize(
    ("saliency", "expected"),
    [
        (np.zeros((10, 10)), 0.0),
        (np.ones((10, 10)), 0.36),
        (np.pad(np.ones((8, 8)), 1), 0.0),
        (1 - np.pad(np.ones((8, 8)), 1), 1.0),
    ],
)
def test_the_share_outside_the_middle(saliency, expected):
    assert outside_share(saliency) == pytest.approx(expected)


def test_a_region_of_interest_can_be_given():
    saliency = np.zeros((10, 10))
    saliency[0, 0] = saliency[9, 9] = 1
    assert outside_share(saliency, Region(0, 0, 0.5, 0.5)) == 0.5


def test_nothing_is_the_middle():
    assert read_region("", "here") == CENTRE
    assert read_region(" 0, 0, 1, 0.5 ", "here") == Region(0, 0, 1, 0.5)


@pytest.mark.parametrize(
    "text", ["0.1,0.1,0.9", "a,b,c,d", "0.5,0,0.5,1", "0,0,1,1.1", "0.9,0,0.1,1", "nan,0,1,1"]
)
def test_what_is_no_rectangle_in_the_picture_is_refused(text):
    with pytest.raises(ConfigurationError, match="REGION"):
        read_region(text, "environment")
