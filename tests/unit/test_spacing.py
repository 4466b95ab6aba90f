"""Some of many, evenly."""

from __future__ import annotations

import pytest

from sagewatch.spacing import spread


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [0]), (2, [0, 2]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_items_are_spread_evenly(count, expected):
    assert spread(range(5), count) == expected
