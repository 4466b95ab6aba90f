"""Which features moved, ranked, with both distributions."""

from __future__ import annotations

import pytest

from sagewatch.quality.moved import rank_features
from sagewatch.quality.statistics import parse_statistics
from tests.unit.quality.histograms import build_statistics


def rank(current, baseline):
    return rank_features(
        parse_statistics(build_statistics(current)), parse_statistics(build_statistics(baseline))
    )


def test_the_farthest_stands_first_and_equal_ones_by_name():
    usual = {
        "age": [10, 10, 10, 10],
        "day": [10, 10, 10, 10],
        "plan": {"yes": 10, "no": 30},
        "b": [5, 5],
        "a": [5, 5],
    }
    now = {
        "age": [0, 0, 10, 30],
        "day": [9, 11, 10, 10],
        "plan": {"yes": 20, "no": 20},
        "b": [5, 5],
        "a": [5, 5],
    }
    ranked = rank(now, usual)
    assert [one.name for one in ranked] == ["age", "plan", "day", "a", "b"]
    # By hand: three quarters below 75 before... a half below 2, none now; 50 % yes against 25 %.
    assert [one.distance for one in ranked[:2]] == [pytest.approx(0.5, abs=0.03), 0.25]
    assert [bar.label for bar in ranked[1].bars] == ["no", "yes"]


def test_what_only_one_side_has_or_is_of_another_type_is_left_out():
    assert rank({"new": [1, 2], "kind": {"x": 3}}, {"gone": [1, 2], "kind": [1, 2]}) == []


def test_means_and_missing_values_stand_beside():
    (one,) = rank({"age": [0, 4]}, {"age": [4, 0]})
    assert (one.mean, one.usual_mean, one.missing) == (1.5, 0.5, 0.0)
