"""Counts of values: exact while they are few, bounded beyond, whatever the order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sagewatch.errors import RejectedInputError
from sagewatch.quality.class_share import count_classes, find_class_violations
from sagewatch.quality.column import ColumnProfile
from sagewatch.quality.profile import Shape, Tables
from sagewatch.quality.tally import VALUES_COUNTED, Tally
from tests.unit.quality.tables import batch_of


def tally_of(words):
    counted = pc.value_counts(pa.array(words, pa.string()))
    tally = Tally()
    tally.add(counted.field(0), counted.field(1).to_numpy())
    return tally


def merged(parts):
    whole = Tally()
    for part in parts:
        whole.merge(Tally.from_state(part.to_state()))
    return whole


def captured(*parts):
    """Answers of one column, read in parts that are merged through their files."""
    tables = Tables()
    for part in parts:
        one = Tables()
        one.add(batch_of({"_c0": part, "_c1": ["1"] * len(part)}, Shape(2, 1)))
        tables.merge(Tables.decode(one.encode()))
    return tables


def test_few_values_are_counted_exactly_in_any_order():
    parts = [tally_of([f"v{at % (70 * k)}" for at in range(3000)]) for k in (1, 20, 40)]
    one, other = merged(parts), merged(parts[::-1])
    assert one.counts == other.counts
    assert (one.missed, one.others, sum(one.counts.values())) == (0, 0, 9000)


@pytest.mark.parametrize("seed", range(5))
def test_of_very_many_values_a_frequent_one_is_found_within_its_bound(seed):
    rng = np.random.default_rng(seed)
    words = [*(f"u{at}" for at in range(60_000)), *["often"] * 5000, *[f"s{at % 50}" for at in range(5000)]]
    rng.shuffle(words)
    parts = [tally_of(words[at : at + 9000]) for at in range(0, len(words), 9000)]
    for whole in (merged(parts), merged(rng.permutation(np.array(parts, dtype=object)))):
        assert whole.total == 70_000
        assert 0 < whole.missed <= 70_000 / VALUES_COUNTED
        assert whole.counts["often"] <= 5000 <= whole.counts["often"] + whole.missed


@pytest.mark.parametrize(
    "rare",
    [
        [str(1000 + at) for at in range(1000)],
        ["x" * 1100, *map(str, range(1000, 1999))],
        [f"{at}.5" for at in range(1000)],
    ],
    ids=["a thousand classes", "a long answer", "numbers that are no classes"],
)
@pytest.mark.parametrize("parts", [1, 7])
def test_a_class_above_its_share_is_found_among_any_others(rare, parts):
    answers = [*["14"] * 4000, *rare]
    np.random.default_rng(1).shuffle(answers)
    classes = count_classes(
        captured(*(list(part) for part in np.array_split(np.array(answers, object), parts)))
    )
    assert (classes.counts["14"], classes.total, classes.missed) == (4000, 5000, 0)
    assert [each.feature_name for each in find_class_violations(classes, 0.5)] == ["14"]
    assert find_class_violations(classes, 0.8) == []


def test_a_long_answer_that_comes_again_and_again_is_a_class_of_its_own():
    found = find_class_violations(count_classes(captured(["y" * 3000] * 8 + ["1", "2"])), 0.5)
    assert [each.evidence.statistic for each in found] == [0.8]


def test_older_partial_profiles_are_read_and_give_no_verdict_that_was_not_counted():
    column = ColumnProfile()
    column.add(pa.array(["7"] * 10))
    state = column.to_state()
    del state["tally"]
    assert ColumnProfile.from_state({**state, "categories": {"7": 10}}).categories == {"7": 10}
    unknown = ColumnProfile.from_state({**state, "categories": None})
    assert (unknown.categories, unknown.present) == (None, 10)
    with pytest.raises(RejectedInputError, match="were not counted"):
        find_class_violations(unknown.tally, 0.5)
