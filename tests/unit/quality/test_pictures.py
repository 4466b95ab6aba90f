"""The second notebook's table and charts, its weak points included, and the commands that print them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli.analyze import analyze
from sagewatch.cli.baseline import baseline
from sagewatch.cli.distributions import distributions, draw_line
from sagewatch.cli.violations import violations
from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.quality.bars import build_bars
from sagewatch.quality.notebook import show_distributions, show_violations
from sagewatch.quality.page import render_distributions, render_violations
from sagewatch.quality.statistics import Statistics, parse_statistics, render_statistics
from sagewatch.quality.summary import build_statistics
from sagewatch.quality.violation_table import build_violation_table, read_finding
from sagewatch.quality.violations import (
    CATEGORIES,
    COMPLETENESS,
    NEGATIVE,
    Evidence,
    Violation,
    build_row_violation,
    describe_columns,
    parse_violations,
)
from tests.unit.quality.records import capture_line
from tests.unit.quality.tables import REAL, needs_real, profile_of

STATISTICS = build_statistics(
    profile_of({"age": ["1", "2", "3", None], "city": ["a", "a", "b", "c"], "gone": [None] * 4})
)
VIOLATIONS = parse_violations(
    json.dumps(
        {
            "violations": [
                {"feature_name": "age", "constraint_check_type": "baseline_drift_check",
                 "description": "Baseline drift distance: 0.17354640931273702 exceeds threshold: 0.1"},
                {"feature_name": "age", "constraint_check_type": "completeness_check",
                 "description": "Value: 0.75 does not meet the constraint requirement! "},
                {"feature_name": "city", "constraint_check_type": "categorical_values_check",
                 "description": "Value: 0.5 does not meet the constraint requirement! "},
                {"feature_name": "Extra columns", "constraint_check_type": "extra_column_check",
                 "description": "There are extra columns in current dataset. Number of columns in current dataset: 14, "
                                "Number of columns in baseline constraints: 13"},
                {"metric_name": "auc", "constraint_check_type": "LessThanThreshold",
                 "description": "Metric auc with 0.5 +/- 0.1 was LessThanThreshold '0.7'"},
                {"constraint_check_type": "new", "description": "words nobody knows"},
            ]
        }
    ).encode()
).violations  # fmt: skip


class Balance(HTMLParser):
    """Counts what is opened and not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_table_has_a_row_a_feature_and_one_for_whatever_else_violations_speak_of():
    rows = {row.feature: row for row in build_violation_table(STATISTICS, VIOLATIONS)}
    assert list(rows) == ["age", "city", "gone", "Extra columns", "auc", "data set"]
    age = rows["age"]
    assert (age.inferred_type, age.completeness, age.baseline_drift, age.categorical_values) == (
        "Integral", "75.00%", "17.35%", "N/A"
    )  # fmt: skip
    assert age.failed == {"baseline_drift", "completeness"}
    assert rows["city"].categorical_values == "50.00%"
    assert (rows["gone"].inferred_type, rows["gone"].findings) == ("Unknown", ())
    assert [(each.expected, each.seen) for each in rows["Extra columns"].findings] == [
        ("13 columns", "14 columns")
    ]
    assert [(each.expected, each.seen) for each in rows["auc"].findings] == [
        ("not LessThanThreshold 0.7", "0.5")
    ]
    assert rows["data set"].findings[0].seen == "words nobody knows"


def test_the_notebooks_colours_stand_where_the_notebook_has_them():
    statistics, found = json.loads(render_statistics(STATISTICS)), [{"feature_name": "age", "constraint_check_type": "baseline_drift_check", "description": "Baseline drift distance: 0.2 exceeds threshold: 0.1"}]  # fmt: skip
    html = show_violations(statistics, found)._repr_html_()
    assert re.search(r'<tr class="hit"><td class="name">age</td>.*?<td class="n failed">20.00%</td>', html)
    assert html.count('class="hit"') == 1
    assert "tr.hit td { background: #fff7dc; }" in html


def test_every_violation_stands_on_a_line_of_its_own_beside_its_feature():
    html = render_violations(build_violation_table(STATISTICS, VIOLATIONS))
    (age,) = re.findall(r'<tr class="hit"><td class="name"( rowspan="\d")?>age</td>', html)
    assert age == ' rowspan="2"'
    assert "<br>" not in html


def test_a_few_whole_numbers_are_bars_of_their_own_and_labels_are_not_cut_off():
    (flag,) = build_statistics(profile_of({"x": ["0", "1", "1", "1"]})).features
    assert [(bar.label, bar.current) for bar in build_bars(flag)] == [("0", 0.25), ("1", 0.75)]
    (wide,) = build_statistics(profile_of({"x": [str(1000.5 * n * n) for n in range(100)]})).features
    html = render_distributions(build_statistics(profile_of({"x": ["a", "a label that has no end"]})))
    assert "a label tha…" in html
    labels = re.findall(
        r'<text [^>]*y="(\d+)"[^>]*>([^<]+)<',
        render_distributions(msgspec.structs.replace(STATISTICS, features=[wide])),
    )
    (height,) = re.findall(
        r'viewBox="0 0 \d+ (\d+)"', render_distributions(msgspec.structs.replace(STATISTICS, features=[wide]))
    )
    assert all(int(y) + 5 * len(label) <= int(height) for y, label in labels)


def test_both_sides_stand_on_the_same_buckets():
    current, expected = (
        build_statistics(profile_of({"x": values})).features[0] for values in (["0"] * 5, ["10"] * 5)
    )
    bars = build_bars(current, expected)
    assert (bars[0].current, bars[0].baseline) == (1.0, 0.0)
    assert (bars[-1].current, bars[-1].baseline) == (0.0, 1.0)


def test_categories_that_are_gone_are_shown_beside_those_that_are_new():
    current, expected = (
        build_statistics(profile_of({"c": values})).features[0] for values in (["n", "k"], ["k", "o"])
    )
    assert {bar.label: (bar.current, bar.baseline) for bar in build_bars(current, expected)} == {
        "k": (0.5, 0.5), "n": (0.5, 0.0), "o": (0.0, 0.5)
    }  # fmt: skip


def test_a_page_needs_nothing_from_outside_and_is_well_formed(tmp_path):
    hostile = build_statistics(profile_of({"<script>": ["1", "2"], "c&": ["<b>", "x"]}))
    path = show_distributions(render_statistics(hostile), render_statistics(STATISTICS)).save(
        tmp_path / "page.html"
    )
    text = path.read_text()
    assert "<script" not in text
    assert "<b>" not in text
    assert not re.search(r"(src|href|url)\s*[=(]", text)
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    # Only one side has them, and they are drawn all the same.
    assert text.count("<figure>") == 5


def test_a_single_feature_of_one_value_is_drawn():
    one = render_statistics(build_statistics(profile_of({"x": ["7"]})))
    assert "<svg" in show_distributions(one)._repr_html_()


@needs_real
@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted((REAL / "reports").glob("*/*statistics.json")), ids=lambda path: path.parent.name
)
def test_every_real_statistics_file_is_drawn(path):
    balance = Balance()
    balance.feed(show_distributions(path, path)._repr_html_())
    assert balance.open == []


@needs_real
@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted((REAL / "reports").glob("*/constraint_v*.json")), ids=lambda path: path.parent.name
)
def test_every_real_violations_file_is_shown(path):
    count = len(parse_violations(path.read_bytes()).violations)
    html = show_violations(render_statistics(STATISTICS), path)._repr_html_()
    assert html.count("<tr") >= min(count, 1) + 1


def run(command, *words, code=0):
    done = CliRunner().invoke(command, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def folders(tmp_path):
    """A baseline and a drifted window, through the commands."""
    training = tmp_path / "training.csv"
    training.write_text(
        "score,age,kind\n" + "".join(f"0.{n % 10}5,{n % 30},{'xy'[n % 2]}\n" for n in range(300))
    )
    captures = tmp_path / "captures.jsonl"
    lines = [capture_line(f"{n % 30 + 40},{'xz'[n % 2]}", f"0.{n % 10}5") for n in range(100)]
    captures.write_text("\n".join([*lines, "nonsense"]) + "\n")
    base, report = tmp_path / "base", tmp_path / "report"
    said = json.loads(run(baseline, training, "--out", base, "--json"))
    assert (said["rows"], said["features"]) == (300, 3)
    return captures, base, report


def test_analyze_names_a_renamed_column(tmp_path):
    rows = "".join(f"{number},{number % 7}\n" for number in range(50))
    (tmp_path / "before.csv").write_text("age,plan\n" + rows)
    (tmp_path / "after.csv").write_text("Age,plan\n" + rows)
    run(baseline, tmp_path / "before.csv", "--out", tmp_path / "base")
    output = run(
        analyze, tmp_path / "after.csv", "--baseline", tmp_path / "base", "--out", tmp_path / "report"
    )
    assert "; missing: age\n" in output
    assert "; extra: Age\n" in output


def test_analyze_exits_0_with_violations_unless_told_otherwise(folders):
    captures, base, report = folders
    output = run(analyze, captures, "--baseline", base, "--out", report)
    assert "CompletedWithViolations: Job completed successfully with" in output
    assert "1 of 101 lines were rejected (1 not_json" in output
    said = json.loads(
        run(analyze, captures, "--baseline", base, "--out", report, "--json", "--fail-on-violation", code=3)
    )
    kinds = {(each["feature_name"], each["constraint_check_type"]) for each in said["violations"]}
    assert kinds == {
        ("age", "baseline_drift_check"),
        ("kind", "baseline_drift_check"),
        ("kind", "categorical_values_check"),
    }
    compat = json.loads(
        run(analyze, captures, "--baseline", base, "--out", report, "--json", "--mode", "compat")
    )
    assert all("sagewatch" not in each for each in compat["violations"])


@pytest.mark.parametrize("content", ["a,b\n", "\n\n\n", "<html>AccessDenied</html>\n"])
def test_a_file_without_rows_is_no_report_of_unchanged_data(folders, tmp_path, content):
    data, out = tmp_path / "data.csv", tmp_path / "out"
    data.write_text(content)
    for command, words in ((analyze, ["--baseline", folders[1]]), (baseline, [])):
        with pytest.raises(
            RejectedInputError, match=r"no data: There are only blank lines, a header, or rec|a page of HTML"
        ):
            run(command, data, *words, "--out", out)
        assert not out.exists()


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), (",", "")])
def test_a_table_without_commas_is_pointed_out(tmp_path, sign, name):
    data = tmp_path / "data.csv"
    data.write_text(f"a{sign}b\n1{sign}2\n")
    said = run(baseline, data, "--out", tmp_path / "out")
    assert (f"has {name} and no comma" in said) == bool(name)


def test_pictures_of_a_report_in_the_terminal_and_as_pages(folders, tmp_path):
    captures, base, report = folders
    run(analyze, captures, "--baseline", base, "--out", report)
    output = run(violations, report, "--html", tmp_path / "v.html")
    assert "baseline_drift_check" in output
    assert "3 violations of 2 subjects" in output
    rows = json.loads(run(violations, report, "--json"))
    assert [row["feature"] for row in rows] == ["age", "kind", "score"]
    output = run(distributions, report, "--baseline", base, "--html", tmp_path / "d.html")
    assert "█" in output
    assert len(json.loads(run(distributions, report, "--baseline", base, "--json"))) == 3
    for name in ("v.html", "d.html"):
        assert (tmp_path / name).read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("command", [distributions, violations])
def test_a_report_without_features_says_so(tmp_path, command):
    (tmp_path / "statistics.json").write_text('{"version": 0.0, "dataset": {"item_count": 9}}')
    assert "The statistics name no feature" in run(command, tmp_path)


def test_a_folder_without_a_report_is_a_wrong_command(tmp_path):
    for command in (violations, distributions):
        with pytest.raises(ConfigurationError):
            run(command, tmp_path)


@pytest.mark.parametrize(
    "command", [analyze, baseline, distributions, violations], ids=lambda command: command.name
)
def test_every_command_shows_an_example_and_speaks_json(command):
    output = run(command, "--help")
    assert f"Example: sagewatch {command.name}" in output
    assert "--json" in output


def test_a_side_that_is_not_there_draws_no_line():
    assert draw_line([None, None]) == ""
    assert parse_statistics(render_statistics(STATISTICS)) == STATISTICS


def test_what_exact_mode_knows_stands_in_the_table():
    found = [
        Violation(feature_name="a", constraint_check_type=COMPLETENESS, description="Value: 0.8 does not meet",
                  evidence=Evidence(statistic=0.8, threshold=1.0)),
        Violation(feature_name="b", constraint_check_type=CATEGORIES, description="Value: 0.5 does not meet",
                  evidence=Evidence(statistic=0.5, threshold=1.0, categories=["x", "y"])),
        Violation(feature_name="c", constraint_check_type=NEGATIVE, description="Negative values",
                  evidence=Evidence(statistic=-128.0, threshold=0.0, effect_size=0.02)),
        build_row_violation(3, 1000, 0.1),
    ]  # fmt: skip
    assert [(each.expected, each.seen) for each in map(read_finding, found)] == [
        ("at least 100 %", "80 %"),
        ("at least 100 %", "50 %; new: x, y"),
        ("none below 0", "2 % below 0, least -128"),
        ("at least 100 rows", "3 rows"),
    ]


def test_the_page_shows_what_is_wrong_before_what_is_not():
    page = render_violations(build_violation_table(STATISTICS, VIOLATIONS[2:3]))
    assert page.index(">city<") < page.index(">age<") < page.index(">gone<")
    assert "1 violations of 1 subjects, 3 in all." in page


def test_what_moved_most_is_drawn_first():
    before = build_statistics(profile_of({"still": ["1", "2"] * 9, "moved": ["1", "2"] * 9}))
    after = build_statistics(profile_of({"still": ["1", "2"] * 9, "moved": ["2", "2"] * 9}))
    page = render_distributions(after, before)
    assert page.index("<figcaption>moved") < page.index("<figcaption>still")
    assert "50% moved" in page
    alone = render_distributions(after)
    assert alone.index("<figcaption>still") < alone.index("<figcaption>moved")


def test_numbers_further_apart_than_a_double_reaches_are_drawn():
    wide = build_statistics(profile_of({"a": ["1e308", "-1e308", "1.7e308", "-1.7e308", "0.0"]}))
    near = build_statistics(profile_of({"a": ["0.5", "1.5", "2.5"]}))
    bars = build_bars(wide.features[0], near.features[0])
    assert [bar.current for bar in bars if bar.current] == [0.2] * 5
    assert [bar.baseline for bar in bars if bar.baseline] == [1.0]
    assert "inf" not in render_distributions(wide, near)


def test_a_long_word_in_what_was_seen_wraps():
    odd = Violation(feature_name="x", constraint_check_type="odd", description="y" * 500)
    page = render_violations(build_violation_table(Statistics(), [odd]))
    assert f'<td class="name">{"y" * 500}</td>' in page


@pytest.mark.parametrize(
    ("kind", "names", "said"),
    [
        ("missing", ["age"], "5 columns; missing: age"),
        ("extra", list("abcdefg"), "5 columns; extra: a, b, c, d, e and 2 more"),
        ("extra", [], "5 columns"),
    ],
)
def test_a_renamed_column_is_named_where_the_numbers_tell_nothing(kind, names, said):
    found = read_finding(
        Violation(
            constraint_check_type=f"{kind}_column_check",
            description=describe_columns(kind, 5, 5),
            evidence=Evidence(effect_unit="columns", categories=names),
        )
    )
    assert (found.expected, found.seen) == ("5 columns", said)
