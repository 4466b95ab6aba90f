"""What of a monitoring report is shown and kept: all of it, but what its owner calls sensitive."""

from __future__ import annotations

import json

from sagewatch.flows.report_files import KEPT_AT_MOST, list_broken, load_report_files
from tests.unit.flows.worlds import MONITORS, build_finding, build_world

REPORT = "reports/signs/run-1"
VIOLATIONS = {
    "violations": [
        {"feature_name": "age", "constraint_check_type": "data_type_check", "description": "99% Integral"},
        {"feature_name": "Zip", "constraint_check_type": "categorical_values", "description": "new: 79098"},
    ]
}
STATISTICS = {"version": 0.0, "features": [{"name": "age", "mean": 30}, {"name": "Zip", "values": ["79098"]}]}


def tell(world, **files):
    for name, body in files.items():
        world.objects.put_object("evidence", f"{REPORT}/{name}.json", body, "application/json")
    finding = build_finding(source=f"s3://evidence/{REPORT}")
    return finding, load_report_files(finding, world)


def encode(document):
    return json.dumps(document).encode()


def test_a_report_is_kept_whole():
    finding, files = tell(
        build_world(), constraint_violations=encode(VIOLATIONS), statistics=encode(STATISTICS)
    )
    assert {name: json.loads(body) for name, body in files.items()} == {
        "constraint_violations.json": VIOLATIONS,
        "statistics.json": STATISTICS,
    }
    assert [row.subject for row in list_broken(files, finding)] == ["age", "Zip"]


def test_of_a_sensitive_field_only_the_name_and_the_broken_check_are_kept():
    world = build_world(MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [zip]\n"))
    finding, files = tell(world, constraint_violations=encode(VIOLATIONS), statistics=encode(STATISTICS))
    assert b"79098" not in b"".join(files.values())
    age, zip_code = list_broken(files, finding)
    assert age.description == "99% Integral"
    assert (zip_code.check, zip_code.description.split(":")[0]) == ("categorical_values", "Withheld")


def test_what_cannot_be_looked_into_is_left_out():
    big = b'"' + b"x" * KEPT_AT_MOST + b'"'
    _, files = tell(build_world(), statistics=b"{", constraints=big, deep=b"[" * 100_000)
    assert files == {}


def test_a_report_in_a_foreign_bucket_is_not_read():
    world = build_world()
    world.objects.put_object("elsewhere", f"{REPORT}/statistics.json", b"{}", "application/json")
    finding = build_finding(source=f"s3://elsewhere/{REPORT}")
    assert load_report_files(finding, world) == {}


def test_a_file_of_unknown_form_is_withheld_where_fields_are_sensitive():
    table = encode({"columns": ["age", "zip"], "data": [[30, "79098"]]})
    assert "other.json" in tell(build_world(), other=table)[1]
    world = build_world(MONITORS.replace("  signs:\n", "  signs:\n    sensitive: [zip]\n"))
    assert tell(world, other=table)[1] == {}
