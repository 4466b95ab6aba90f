"""Verdicts: AWS's, its faults included, and ours beside them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from sagewatch.errors import RejectedInputError
from sagewatch.quality.align import Mode, align_tables
from sagewatch.quality.checks import CheckSettings, find_violations
from sagewatch.quality.constraints import parse_constraints
from sagewatch.quality.distance import compare_chi_square, make_robust, measure_compat, measure_exact
from sagewatch.quality.drift import DriftSettings
from sagewatch.quality.numerals import format_double
from sagewatch.quality.profile import Shape, Tables
from sagewatch.quality.readout import Counts
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.summary import build_statistics, suggest_constraints
from sagewatch.quality.violation_table import name_columns, read_finding
from tests.unit.quality.tables import batch_of, numbers, profile_of

COMPAT = CheckSettings(DriftSettings(Mode.COMPAT))
EXACT = CheckSettings()


def tables_of(*batches):
    tables = Tables()
    for batch in batches:
        assert tables.add(batch)
    return tables


def compare(current, baseline, settings=EXACT, constraints=None):
    """Violations of columns against columns, as (feature, check) pairs."""
    table = profile_of(baseline)
    expected = suggest_constraints(table) if constraints is None else constraints
    alignment = align_tables(tables_of(batch_of(current)), expected.names, settings.drift.mode)
    return find_violations(alignment, expected, build_statistics(table), settings)


def names(violations):
    return [(each.feature_name, each.constraint_check_type) for each in violations]


@pytest.mark.parametrize(
    ("ranks", "sizes", "expected"),
    [
        ((46, 40), (233, 64), 0.17354640931273702),
        ((32, 32), (215, 57), 0.14440240796849557),
        ((112, 81), (303, 119), 0.11630482464065406),
        ((37, 37), (233, 72), 0.11238588915222741),
    ],
)
def test_robust_distances_equal_aws_own_to_the_last_bit(ranks, sizes, expected):
    assert make_robust(abs(ranks[0] / sizes[0] - ranks[1] / sizes[1]), *sizes) == expected


def test_compat_counts_a_value_once_however_often_it_came():
    current, baseline = Sketch(), Sketch()
    current.add(np.array([0.0] * 10 + [1.0] * 90))
    baseline.add(np.array([0.0] * 80 + [1.0] * 20))
    assert measure_compat(current, baseline).value == 0.0
    found = measure_exact(current, baseline)
    assert (found.value, found.at, found.current, found.baseline) == (pytest.approx(0.7), "0.0", 100, 100)


def test_compat_keeps_the_weight_of_the_highest_level():
    current, baseline = Sketch(), Sketch()
    current.levels, current._sizes = [[np.array([1.0, 2.0, 3.0])], [np.array([1.0])]], [3, 1]
    baseline.add(np.array([1.0, 2.0, 3.0]))
    # By hand: {1: 2, 2: 1, 3: 1} of 4 against {1: 1, 2: 1, 3: 1} of 3; the largest difference is 2/4 - 1/3.
    found = measure_compat(current, baseline)
    assert found.value == pytest.approx(2 / 4 - 1 / 3)
    assert (found.current, found.baseline) == (4, 3)


def test_a_binary_feature_from_20_to_90_percent_is_found_in_exact_and_missed_by_aws_arithmetic():
    rng = np.random.default_rng(7)
    baseline = {"flag": numbers((rng.random(1000) < 0.2).astype(int).tolist())}
    current = {"flag": numbers((rng.random(200) < 0.9).astype(int).tolist())}
    assert names(compare(current, baseline, COMPAT)) == []
    violation = compare(current, baseline)[0]
    assert (violation.feature_name, violation.constraint_check_type) == ("flag", "baseline_drift_check")
    assert violation.evidence.effect_size == pytest.approx(0.7, abs=0.08)
    assert (violation.evidence.sample_size, violation.evidence.baseline_size) == (200, 1000)
    assert violation.description.startswith("Baseline drift distance: 0.")


def test_60_rows_of_the_baseline_itself_alarm_in_compat_and_not_in_exact():
    rng = np.random.default_rng(11)
    days = rng.exponential(30, size=(9999, 20)).astype(int)
    baseline = {f"d{column}": numbers(days[:, column].tolist()) for column in range(20)}
    drawn = rng.choice(len(days), 60)
    current = {name: [values[row] for row in drawn] for name, values in baseline.items()}
    assert len(compare(current, baseline, COMPAT)) > 10
    assert compare(current, baseline) == []


def test_a_shift_of_a_fifth_of_a_standard_deviation_is_found_in_10000_rows():
    rng = np.random.default_rng(2)
    baseline = {f"x{n}": numbers(rng.normal(size=10_000).tolist()) for n in range(3)}
    current = {f"x{n}": numbers(rng.normal(0.2 * (n == 1), size=10_000).tolist()) for n in range(3)}
    found = compare(current, baseline)
    assert names(found) == [("x1", "baseline_drift_check")]
    assert found[0].evidence.mean_shift == pytest.approx(0.2, abs=0.05)
    assert names(compare(current, baseline, COMPAT)) == []


def test_floats_for_integers_break_aws_type_check_and_not_ours():
    baseline = {"sex": ["0", "1"] * 100}
    current = {"sex": ["0"] * 201 + ["0.0"] * 120}
    found = compare(current, baseline, COMPAT)
    assert found[0].description == (
        "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
        "Observed: Only 62.616822429906534% of data is Integral."
    )
    assert ("sex", "data_type_check") not in names(compare(current, baseline))
    assert ("sex", "data_type_check") in names(compare({"sex": ["0", "0.5"]}, baseline))


def test_whole_numbers_are_fractions_in_exact_only():
    baseline, current = {"x": ["0.5", "1.5"]}, {"x": ["1", "1"]}
    assert names(compare(current, baseline, COMPAT)) == [("x", "data_type_check")]
    assert compare(current, baseline) == []


def test_completeness_and_categories_speak_in_aws_words():
    baseline = {"flag": ["Y", "N"] * 50, "fare": ["1"] * 100}
    current = {"flag": ["Y"] + ["X"] * 110, "fare": [None] * 111}
    found = {each.constraint_check_type: each for each in compare(current, baseline, COMPAT)}
    assert found["completeness_check"].description == "Value: 0.0 does not meet the constraint requirement! "
    assert found["categorical_values_check"].description == (
        "Value: 0.009009009009009009 does not meet the constraint requirement! "
    )
    assert "drift_check" not in found


def test_new_categories_are_named_in_exact():
    found = compare({"c": ["a", "z", "z", "y"]}, {"c": ["a", "b"] * 20})
    named = [each for each in found if each.constraint_check_type == "categorical_values_check"]
    assert named[0].evidence.categories == ["z", "y"]


@pytest.mark.parametrize("settings", [COMPAT, EXACT], ids=["compat", "exact"])
@pytest.mark.parametrize("new", [100, 300, 3000])
def test_the_share_of_known_values_is_told_however_many_new_ones_there_are(settings, new):
    words = [f"new{at}" if at < new else f"w{at % 7}" for at in range(20_000)]
    found = compare({"c": words}, {"c": [f"w{at % 7}" for at in range(700)]}, settings)
    told = next(each for each in found if each.constraint_check_type == "categorical_values_check")
    share = 1 - new / 20_000
    assert told.description == f"Value: {share} does not meet the constraint requirement! "


def test_a_long_value_is_one_more_unknown_value():
    found = compare({"c": ["a"] * 98 + ["x" * 2000] * 2}, {"c": ["a", "b"] * 50})
    told = next(each for each in found if each.constraint_check_type == "categorical_values_check")
    assert told.evidence.statistic == 0.98
    assert told.evidence.categories[0].startswith("xxx")
    assert len(told.evidence.categories[0]) < 100


def test_known_values_that_changed_places_drift_among_many_new_ones():
    rng = np.random.default_rng(3)
    baseline = {"c": rng.choice(["a", "b"], 5000, p=[0.9, 0.1]).tolist()}
    current = {"c": [*rng.choice(["a", "b"], 5000, p=[0.1, 0.9]).tolist(), *[f"n{at}" for at in range(300)]]}
    assert ("c", "baseline_drift_check") in names(compare(current, baseline))
    assert ("c", "baseline_drift_check") not in names(compare(current, baseline, COMPAT))


def test_a_little_less_complete_than_an_incomplete_baseline_is_chance_in_exact():
    baseline = {"x": ["1"] * 90 + [None] * 10}
    current = {"x": ["1"] * 89 + [None] * 11}
    assert names(compare(current, baseline, COMPAT)) == [("x", "completeness_check")]
    assert compare(current, baseline) == []
    assert ("x", "completeness_check") in names(compare({"x": ["1"] * 40 + [None] * 60}, baseline))


def test_negatives_where_the_baseline_had_none_are_found():
    found = compare({"x": ["1", "2", "-1", "3"] * 5}, {"x": ["1", "2", "3"] * 10})
    assert ("x", "negative_values_check") in names(found)
    assert names(compare({"x": ["-1", "2"]}, {"x": ["-1", "2"]})) == []


def test_a_window_with_a_tenth_of_its_usual_rows_has_collapsed():
    settings = CheckSettings(expected_rows=1000)
    assert names(compare({"x": ["1"] * 50}, {"x": ["1"] * 50}, settings)) == [("Rows", "row_count_check")]
    assert compare({"x": ["1"] * 150}, {"x": ["1"] * 50}, settings) == []


@pytest.mark.parametrize("method", ["LInfinity", "ChiSquared"])
def test_a_drifted_category_is_found_and_an_unchanged_one_is_not(method):
    baseline = profile_of({"c": ["a"] * 300 + ["b"] * 200})
    constraints = parse_constraints(
        b'{"features":[{"name":"c","inferred_type":"String","completeness":1.0}],"monitoring_config":'
        b'{"distribution_constraints":{"categorical_drift_method":"%s"}}}' % method.encode()
    )
    for settings in (EXACT, COMPAT):
        drifted = align_tables(tables_of(batch_of({"c": ["a"] * 20 + ["b"] * 180})), ("c",), Mode.EXACT)
        same = align_tables(tables_of(batch_of({"c": ["a"] * 120 + ["b"] * 80})), ("c",), Mode.EXACT)
        statistics = build_statistics(baseline)
        assert names(find_violations(drifted, constraints, statistics, settings)) == [
            ("c", "baseline_drift_check")
        ]
        assert find_violations(same, constraints, statistics, settings) == []


def test_small_categories_are_joined_before_the_chi_square_test():
    statistic, chance = compare_chi_square({"a": 50, "b": 50}, {"a": 98, "b": 1, "c": 1})
    assert np.isnan(statistic)
    assert np.isnan(chance)
    statistic, chance = compare_chi_square({"a": 60, "b": 40}, {"a": 50, "b": 50})
    # By hand: (60 - 50)^2 / 50 twice; beyond 4 with one degree of freedom lies 4.55 %.
    assert statistic == pytest.approx(4.0)
    assert chance == pytest.approx(0.04550026389635842)


OVERRIDE = b'{"evaluate_constraints":"Disabled"}'


@pytest.mark.parametrize(
    "where",
    [
        b'"monitoring_config_overrides":%s',
        b'"monitoringConfigOverrides":%s',
        b'"string_constraints":{"domains":["a"],"monitoring_config_overrides":%s}',
    ],
)
def test_a_feature_is_switched_off_in_all_three_spellings(where):
    written = (
        b'{"features":[{"name":"c","inferred_type":"String","completeness":1.0,' + where % OVERRIDE + b"}]}"
    )
    constraints = parse_constraints(written)
    assert compare({"c": ["x", None]}, {"c": ["a"] * 3}, EXACT, constraints) == []


def test_an_override_of_one_threshold_keeps_the_others():
    constraints = parse_constraints(
        b'{"features":[{"name":"x","inferred_type":"Integral","completeness":1.0,"monitoring_config_overrides":'
        b'{"distribution_constraints":{"comparison_threshold":0.9}}}],"monitoring_config":{"datatype_check_threshold":0.5}}'
    )
    config = constraints.config_of(constraints.features[0])
    assert config.distribution_constraints.comparison_threshold == 0.9
    assert config.datatype_check_threshold == 0.5
    rng = np.random.default_rng(1)
    shifted = {"x": numbers(rng.integers(5, 15, 500).tolist())}
    assert compare(shifted, {"x": numbers(rng.integers(0, 10, 500).tolist())}, EXACT, constraints) == []


def test_a_wrong_number_of_columns_is_aws_only_word_in_compat():
    baseline = {f"f{n}": ["1"] * 5 for n in range(9)}
    current = tables_of(batch_of({f"_c{n}": ["x"] for n in range(8)}, Shape(8, 1)))
    expected = suggest_constraints(profile_of(baseline))
    for settings in (COMPAT, EXACT):
        alignment = align_tables(current, expected.names, settings.drift.mode)
        found = find_violations(alignment, expected, None, settings)
        assert names(found) == [("Missing columns", "missing_column_check")]
        assert found[0].description == (
            "There are missing columns in current dataset. Number of columns in current dataset: 8, "
            "Number of columns in baseline constraints: 9"
        )


def test_a_baseline_of_inputs_alone_is_compared_with_the_inputs_in_exact():
    inputs = {f"f{n}": [str(n)] * 20 for n in range(11)}
    expected = suggest_constraints(profile_of(inputs))
    captured = {"_c0": ["0.9"] * 20} | {f"_c{n + 1}": values for n, values in enumerate(inputs.values())}
    tables = tables_of(batch_of(captured, Shape(12, 1)))
    statistics = build_statistics(profile_of(inputs))
    assert names(
        find_violations(align_tables(tables, expected.names, Mode.COMPAT), expected, statistics, COMPAT)
    ) == [("Extra columns", "extra_column_check")]
    assert (
        find_violations(align_tables(tables, expected.names, Mode.EXACT), expected, statistics, EXACT) == []
    )


def test_of_many_missing_columns_the_first_are_named_and_all_are_counted():
    """Whole in the sentence's place, however many names the report has room for."""
    baseline = {"id": ["1"] * 30} | {f"c{number:02}": ["1"] * 30 for number in range(30)}
    current = {"id": ["1"] * 30} | {f"n{number:02}": ["1"] * 30 for number in range(30)}
    found = compare(current, baseline)
    assert [name_columns(each) for each in found[:2]] == [
        "; missing: c00, c01, c02, c03, c04 and 25 more",
        "; extra: n00, n01, n02, n03, n04 and 25 more",
    ]


def test_named_columns_are_matched_by_name_and_the_rest_is_still_checked():
    baseline = {"a": ["1"] * 30, "b": ["x"] * 30, "c": ["2"] * 30}
    found = compare({"b": ["y"] * 30, "a": ["1"] * 30, "new": ["0"] * 30}, baseline)
    assert [each.evidence.categories for each in found[:2]] == [["c"], ["new"]]
    assert {name for name, _ in names(found[2:])} == {"b"}


def test_rows_that_do_not_fit_are_left_out_and_counted():
    fitting = batch_of({f"_c{n}": ["1"] * 10 for n in range(3)}, Shape(3, 1))
    odd = batch_of({"_c0": ["1"] * 4}, Shape(1))
    alignment = align_tables(tables_of(fitting, odd), ("a", "b", "c"), Mode.EXACT)
    assert (alignment.table.rows, alignment.left_out, alignment.violations) == (10, {1: 4}, [])


def mixed(odd_rows, width=1):
    """Ten rows that fit a baseline of three columns, and others that do not."""
    fitting = batch_of({f"_c{n}": ["1"] * 10 for n in range(3)}, Shape(3, 1))
    odd = batch_of({f"_c{n}": ["1"] * odd_rows for n in range(width)}, Shape(width))
    return tables_of(fitting, odd)


@pytest.mark.parametrize(("width", "kind"), [(1, "missing"), (5, "extra")])
def test_requests_of_another_shape_are_told_of_though_most_fit(width, kind):
    expected = suggest_constraints(profile_of({name: ["1"] * 10 for name in "abc"}))
    alignment = align_tables(mixed(4, width), expected.names, Mode.EXACT)
    (found,) = find_violations(alignment, expected, None, EXACT)
    assert found.constraint_check_type == f"{kind}_column_check"
    assert found.description.startswith(f"There are {kind} columns in current dataset.")
    assert found.description.endswith("baseline constraints: 3. Observed in 28.57% of rows.")
    assert found.numbers == (width, 3.0)
    assert (found.evidence.statistic, found.evidence.sample_size) == (pytest.approx(4 / 14), 14)
    row = read_finding(found)
    assert (row.expected, row.seen) == ("3 columns", f"{width} columns in 28.57% of rows")


def test_the_baselines_threshold_for_types_says_how_many_rows_may_be_odd():
    features = (
        b'{"features":[{"name":"a","inferred_type":"Integral"},{"name":"b","inferred_type":"Integral"},'
    )
    features += (
        b'{"name":"c","inferred_type":"Integral"}],"monitoring_config":{"datatype_check_threshold":0.7}}'
    )
    expected = parse_constraints(features)
    alignment = align_tables(mixed(4), expected.names, Mode.EXACT)
    assert find_violations(alignment, expected, None, EXACT) == []
    worse = align_tables(mixed(5), expected.names, Mode.EXACT)
    assert names(find_violations(worse, expected, None, EXACT)) == [
        ("Missing columns", "missing_column_check")
    ]


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (Counts(lines=100, rejected=10), 0),
        (Counts(lines=100, rejected=11), 1),
        (Counts(lines=100, error_responses=90), 1),
        (Counts(lines=1000, rejected=11, outside_window=900), 1),
        (Counts(lines=1, rejected=1000), 1),
        (Counts(), 0),
    ],
)
def test_records_that_could_not_be_used_are_told_of_when_they_are_many(counts, found):
    expected = suggest_constraints(profile_of({"a": ["1"] * 10}))
    alignment = align_tables(tables_of(batch_of({"a": ["1"] * 10})), ("a",), Mode.EXACT)
    told = find_violations(alignment, expected, None, EXACT, counts)
    assert names(told) == [("Records", "unreadable_records_check")] * found
    compat = msgspec.structs.replace(EXACT, drift=DriftSettings(Mode.COMPAT))
    assert find_violations(alignment, expected, None, compat, counts) == []
    for one in told:
        assert one.numbers[1] == 10
        assert read_finding(one).expected == "at most 10 %"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0.0"), (-0.0, "-0.0"), (1e7, "1.0E7"), (9999999.0, "9999999.0"), (0.001, "0.001"), (1e-4, "1.0E-4"),
     (1.4402689218907343e10, "1.4402689218907343E10"), (-2.5e-7, "-2.5E-7"), (float("nan"), "NaN")],
)  # fmt: skip
def test_doubles_are_printed_as_java_prints_them(number, text):
    assert format_double(number) == text


def test_a_key_that_is_null_counts_as_left_out():
    """Writers in other languages write every key that their type has."""
    bare = parse_constraints(b'{"features":[{"name":"a","inferred_type":"String"}]}')
    assert bare == parse_constraints(
        b'{"features":[{"name":"a","inferred_type":"String","completeness":null,"num_constraints":null,'
        b'"string_constraints":null,"monitoring_config_overrides":null}],'
        b'"monitoring_config":{"distribution_constraints":null,"datatype_check_threshold":null}}'
    )
    (override,) = parse_constraints(
        b'{"features":[{"name":"a","inferred_type":"String","monitoring_config_overrides":'
        b'{"distribution_constraints":{"comparison_threshold":null,"perform_comparison":"Disabled"}}}]}'
    ).features
    config = bare.config_of(override)
    assert config.distribution_constraints.perform_comparison == "Disabled"
    assert config.distribution_constraints.comparison_threshold == 0.1


@pytest.mark.parametrize("nothing", ["null", "NaN", "-Infinity"])
def test_a_statistic_that_is_no_number_is_not_there(nothing):
    (feature,) = parse_statistics(
        b'{"features":[{"name":"NaN","inferred_type":"Fractional","string_statistics":null,"numerical_statistics":'
        b'{"common":{"num_present":3,"num_missing":0},"mean":%s,"max":2.5}}]}' % nothing.encode()
    ).features
    assert (feature.name, feature.numerical_statistics.mean, feature.numerical_statistics.max) == (
        "NaN",
        None,
        2.5,
    )


def test_a_file_that_an_editor_marked_is_read():
    assert parse_constraints(b'\xef\xbb\xbf{"features":[{"name":"a","inferred_type":"String"}]}').names == (
        "a",
    )


def test_a_file_that_lacks_what_it_must_have_is_refused_null_or_not():
    for name in (b"null", b"5"):
        with pytest.raises(RejectedInputError, match="no constraints"):
            parse_constraints(b'{"features":[{"name":%s,"inferred_type":"String"}]}' % name)
