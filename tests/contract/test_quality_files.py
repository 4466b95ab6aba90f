"""Files of AWS's own analyzer: all are read, and what we make of the same data is the same, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sagewatch.errors import RejectedInputError
from sagewatch.quality.constraints import parse_constraints, render_constraints
from sagewatch.quality.profile import TableProfile
from sagewatch.quality.sketch import Sketch
from sagewatch.quality.statistics import UNKNOWN, parse_statistics, render_statistics
from sagewatch.quality.summary import build_buckets, build_statistics, suggest_constraints
from sagewatch.quality.violations import parse_violations, render_violations
from tests.unit.quality.tables import REAL, needs_real, profile_of, read_csv_columns

pytestmark = [needs_real, pytest.mark.real]
REPORTS = REAL / "reports"


def files(pattern):
    found = sorted(REPORTS.glob(pattern))
    # Model quality's two files share the names and have another inside.
    return [path for path in found if "regression" not in path.read_text()[:4000]]


def name_of(path):
    return str(path.relative_to(REPORTS))


@pytest.mark.parametrize("path", files("*/*statistics.json"), ids=name_of)
def test_statistics_are_read_whole(path):
    statistics = parse_statistics(path.read_bytes())
    written = json.loads(render_statistics(statistics))
    assert written == json.loads(path.read_bytes())
    assert all(feature.inferred_type != UNKNOWN for feature in statistics.features)


@pytest.mark.parametrize("path", files("*/*constraints.json"), ids=name_of)
def test_constraints_are_read_whole(path):
    constraints = parse_constraints(path.read_bytes())
    raw = json.loads(path.read_bytes())
    assert constraints.names == tuple(feature["name"] for feature in raw["features"])
    for ours, theirs in zip(
        json.loads(render_constraints(constraints))["features"], raw["features"], strict=True
    ):
        assert ours == theirs
    assert constraints.monitoring_config.datatype_check_threshold == raw["monitoring_config"].get(
        "datatype_check_threshold", 1.0
    )


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*/constraint_violations*.json")), ids=name_of)
def test_violations_of_every_kind_of_monitor_are_read_whole(path):
    violations = parse_violations(path.read_bytes())
    raw = json.loads(path.read_bytes())
    assert json.loads(render_violations(violations))["violations"] == raw["violations"]
    assert all(each.subject != "data set" for each in violations.violations)


def test_the_churn_baseline_suggests_what_aws_suggested():
    columns = read_csv_columns(REAL / "churn" / "training-dataset-with-header.csv")
    ours = suggest_constraints(profile_of(columns)).features
    theirs = parse_constraints((REPORTS / "churn_xgb" / "constraints.json").read_bytes()).features
    assert len(ours) == 70
    assert [(one.name, one) for one in ours] == [(one.name, one) for one in theirs]


def test_the_thresholds_that_are_suggested_are_those_of_aws_newest_image():
    """The image of 2021 that made churn_xgb left out the two for categories; they mean the same there."""
    ours = json.loads(render_constraints(suggest_constraints(profile_of({"a": ["1"]}))))["monitoring_config"]
    newest, older = (
        json.loads((REPORTS / folder / "constraints.json").read_bytes())["monitoring_config"]
        for folder in ("aai540_loans", "churn_xgb")
    )
    assert ours == newest
    kept = {key: value for key, value in ours["distribution_constraints"].items() if "categorical" not in key}
    assert {**ours, "distribution_constraints": kept} == older


def exact_columns():
    """Features whose sketch is the data itself, and how AWS's file came to be."""
    for path in files("*/*statistics.json"):
        for feature in parse_statistics(path.read_bytes()).features:
            sketch = feature.sketch
            if sketch is not None and len(sketch.data) == 1:
                yield pytest.param(feature, id=f"{path.parent.name}/{path.name}:{feature.name}")


# Where Spark cut a data set in two. The cookbook's 18 rows lay in two capture files: of all cuts into up to five
# partitions, in any order, this one alone gives the bits of all five columns.
CUTS = {18: 13}


@pytest.mark.parametrize("feature", list(exact_columns()))
def test_a_column_rebuilt_from_its_sketch_has_aws_own_numbers(feature):
    values = feature.sketch.data[0]
    # Written so that the type is AWS's: the sketch does not keep how a number was spelled.
    spelled = [repr(int(value)) if feature.inferred_type == "Integral" else repr(value) for value in values]
    cut = CUTS.get(len(values), len(values))
    table = TableProfile()
    for part in (spelled[:cut], spelled[cut:]):
        table.merge(profile_of({feature.name: part}))
    ours = build_statistics(table).features[0]
    mine, theirs = ours.numerical_statistics, feature.numerical_statistics
    assert ours.inferred_type == feature.inferred_type
    assert (mine.min, mine.max, mine.common) == (theirs.min, theirs.max, theirs.common)
    assert ours.sketch.data == feature.sketch.data
    assert ours.buckets == feature.buckets
    assert (mine.mean, mine.sum, mine.std_dev) == (theirs.mean, theirs.sum, theirs.std_dev)


@pytest.mark.parametrize("path", files("*/*statistics.json"), ids=name_of)
def test_histograms_follow_from_aws_own_sketches(path):
    for feature in parse_statistics(path.read_bytes()).features:
        if feature.sketch is None or not feature.sketch.data:
            continue
        numbers = feature.numerical_statistics
        assert build_buckets(Sketch.from_data(feature.sketch), numbers.min, numbers.max) == feature.buckets


def test_a_sketch_of_3000_values_has_the_levels_of_aws_file():
    statistics = parse_statistics((REPORTS / "cookbook_numbers" / "baseline_statistics.json").read_bytes())
    for feature in statistics.features:
        sketch = Sketch.from_data(feature.sketch)
        assert (sketch.total, [len(level) for level in feature.sketch.data]) == (3000, [950, 1025])


def test_the_sdk_reads_what_we_write():
    statistics = build_statistics(profile_of({"x": ["1", "2"], "c": ["a", None], "u": [None, None]}))
    program = (
        "import sys, json\n"
        "from sagemaker.core.model_monitor import Statistics, Constraints, ConstraintViolations\n"
        "s, c, v = json.loads(sys.stdin.read())\n"
        "print(Statistics(json.loads(s), 's3://b/s').body_dict['features'][0]['name'],"
        " Constraints(json.loads(c), 's3://b/c').body_dict['version'],"
        " ConstraintViolations(json.loads(v), 's3://b/v').body_dict['violations'])"
    )
    constraints = suggest_constraints(profile_of({"x": ["1", "2"]}))
    given = [
        render_statistics(statistics).decode(),
        render_constraints(constraints).decode(),
        '{"violations": []}',
    ]
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "x 0.0 []", done.stderr


@pytest.mark.parametrize("parse", [parse_statistics, parse_constraints, parse_violations])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"features":1,"violations":1}', b"\xff", b"[" * 100_000]
)
def test_another_file_is_refused_in_a_sentence(parse, content):
    with pytest.raises(RejectedInputError):
        parse(content)


def test_files_are_read_without_numpy():
    program = (
        "import sys, sagewatch.quality.violations, sagewatch.quality.constraints, sagewatch.quality.statistics;"
        "print([name for name in ('numpy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
