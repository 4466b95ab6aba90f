from __future__ import annotations

from datetime import UTC, datetime

from sagewatch.evidence.config_diff import compare_configs
from sagewatch.evidence.model import EndpointConfigs
from tests.unit.evidence.story import HOOKED, ORIGINAL


def find_changed(configs):
    return [row.path for row in compare_configs(configs) if row.changed]


def test_only_what_the_diagnosis_changed_is_marked():
    rows = compare_configs(EndpointConfigs(original=ORIGINAL, hooked=HOOKED, final=ORIGINAL))
    assert [row.path for row in rows if row.changed] == [
        "EndpointConfigName",
        "ProductionVariants[0].ModelName",
    ]
    assert all(row.restored for row in rows)


def test_setting_that_only_one_side_has_is_a_change():
    configs = EndpointConfigs(original={"A": 1}, hooked={"B": {"C": []}})
    assert find_changed(configs) == ["A", "B.C"]


def test_what_aws_adds_of_itself_is_no_setting():
    stamped = {
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "ResponseMetadata": {"RequestId": "1"},
        "A": True,
    }
    (row,) = compare_configs(EndpointConfigs(original=stamped, hooked=stamped))
    assert (row.path, row.original) == ("A", "true")


def test_what_aws_adds_to_a_model_is_no_setting_and_the_same_name_elsewhere_is():
    model = {
        "ModelName": "m",
        "ModelArn": "arn",
        "CreationTime": "now",
        "PrimaryContainer": {"ModelArn": "x"},
    }
    rows = compare_configs(EndpointConfigs(original={"Model": model}))
    assert [row.path for row in rows] == ["Model.ModelName", "Model.PrimaryContainer.ModelArn"]


def test_without_a_diagnosis_nothing_was_changed():
    assert find_changed(EndpointConfigs(original=ORIGINAL)) == []
    assert compare_configs(EndpointConfigs()) == []


def test_configuration_of_the_same_name_is_the_same():
    rows = compare_configs(
        EndpointConfigs(
            original=ORIGINAL, hooked=HOOKED, final={"EndpointConfigName": "traffic-signs-2026-11-21"}
        )
    )
    assert all(row.restored for row in rows)
