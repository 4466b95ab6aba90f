"""How a monitoring job ends that cannot do its work: a sentence that names the cause, and nothing of what was captured."""

from __future__ import annotations

import json

import pytest

from sagewatch.container import MESSAGE_BYTES, run_to_message
from sagewatch.report.failure import classify_failure
from tests.unit.monitor_image.container import CAPTURE, captured, make_baseline, put_script, rows
from tests.unit.quality.records import capture_line


def test_answers_without_a_class_are_no_verdict(container):
    container.captures([capture_line("1,2", ",5")] * 3)
    assert container.run(THRESHOLD="0.5") == 1
    assert "Job inputs had no data" in container.message


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"dataset_format": "{"}, "dataset_format"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"SAGEWATCH_MODE": "wrong"}, "SAGEWATCH_MODE"),
        ({"SAGEWATCH_FALSE_ALARMS": "2"}, "SAGEWATCH_FALSE_ALARMS"),
        ({"analysis_type": "MODEL_QUALITY"}, "analysis_type"),
        ({"baseline_constraints": "/opt/nothing.json"}, "nothing.json"),
        ({"record_preprocessor_script": "/opt/none.py"}, "none.py"),
        ({"start_time": "2030-01-01T00:00:00Z"}, "Job inputs had no data: 1 records lie outside the window."),
        ({"dataset_source": "/opt/nowhere"}, "no such file or directory"),
    ],
)
def test_a_failure_names_its_cause_in_the_message(container, environment, said):
    container.captures([capture_line()])
    assert container.run(**environment) == 1
    assert said in container.message
    assert len(container.message.encode()) <= MESSAGE_BYTES


def test_a_long_cause_is_cut_to_a_kilobyte_of_whole_characters(container):
    container.captures([capture_line()])
    assert container.run(SAGEWATCH_MODE="é" * 4000) == 1
    assert MESSAGE_BYTES - 2 < len((container.root / "opt/ml/output/message").read_bytes()) <= MESSAGE_BYTES
    assert container.message.startswith("environment, SAGEWATCH_MODE: 'ééé")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SAGEWATCH_EXPECTED_ROWS": "nan"}, "must be a whole number above 0"),
        ({"SAGEWATCH_EXPECTED_ROWS": "inf"}, "must be a whole number above 0"),
        ({"SAGEWATCH_EXPECTED_ROWS": "-5"}, "must be a whole number above 0"),
        ({"THRESHOLD": "50"}, "must lie between 0 and 1"),
        ({"THRESHOLD": "nan"}, "must lie between 0 and 1"),
        ({"categorical_drift_method": "Foo"}, "neither LInfinity nor ChiSquared"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(container, environment, said):
    container.captures([capture_line()])
    assert container.run(**environment) == 1
    assert container.message.startswith(f"environment, {next(iter(environment))}: ")
    assert said in container.message


@pytest.mark.parametrize(
    "config",
    [
        {"Environment": [1]},
        {"ProcessingInputs": {"a": 1}},
        {"ProcessingInputs": ["x"]},
        {"ProcessingInputs": [{"S3Input": "x"}]},
        {"ProcessingOutputConfig": []},
        {"ProcessingOutputConfig": {"Outputs": "x"}},
        {"ProcessingOutputConfig": {"Outputs": [{"S3Output": 3}]}},
    ],
)
def test_a_platform_file_of_another_shape_is_refused_or_passed_over_and_never_a_traceback(container, config):
    container.captures([capture_line()])
    container.config(**config)
    code = container.run()
    assert (code, container.message.startswith("Completed:")) in {(0, True), (1, False)}
    assert code == 0 or "processingjobconfig.json" in container.message


def test_no_row_at_all_says_what_became_of_the_records(container):
    container.captures([capture_line(), capture_line()])
    script = put_script(container, "def preprocess_handler(r):\n    return []\n")
    assert container.run(record_preprocessor_script=script) == 1
    assert "Job inputs had no data: The preprocess script dropped 2 records." in container.message
    container.captures([capture_line("1", "broken", answered_as=("CSV", None))])
    assert container.run() == 1
    assert "1 records are error responses" in container.message


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"parameters": {"c": 1e308, "k": 2048.0}}, "parameters.c: no statistics (it is 1e+308, not 0 to 1)"),
        ({"parameters": {"c": 0.64, "k": 1e300}}, "parameters.k: no statistics"),
        ({"data": [[1.0]] * 64}, "data: no statistics (it is 64, not 0 to 48)"),
    ],
)
def test_a_baseline_whose_sketch_is_none_is_named_with_its_key(container, change, key):
    make_baseline(container)
    path = container.root / "opt/ml/processing/baseline/statistics.json"
    statistics = json.loads(path.read_bytes())
    statistics["features"][0]["numerical_statistics"]["distribution"]["kll"]["sketch"] |= change
    path.write_text(json.dumps(statistics))
    container.captures(captured(rows(60, 2)))
    assert container.run() == 1
    assert (
        f"statistics.json, features[0].numerical_statistics.distribution.kll.sketch.{key}"
        in container.message
    )
    assert classify_failure("Failed", container.message).code == "no_baseline"


def test_what_nobody_foresaw_is_called_a_defect_with_its_place_and_without_its_words(tmp_path, capfd):
    def work():
        return str(float("ada@example.com"))

    assert run_to_message(tmp_path, work) == 1
    message = (tmp_path / "opt/ml/output/message").read_text()
    assert message.startswith("Sagewatch itself failed: ValueError (work, line ")
    assert classify_failure("Failed", f"AlgorithmError: {message}, exit code: 1").code == "defect"
    out, err = capfd.readouterr()
    assert "in work" in err  # the lines that led to it
    assert "could not convert" not in message + out + err


def test_a_window_that_ends_before_it_begins_is_refused_by_its_key(container):
    container.captures(captured(rows(9, 2)))
    times = {"start_time": "2026-06-12T11:00:00Z", "end_time": "2026-06-12T10:00:00Z"}
    assert container.run(dataset_format=CAPTURE, **times) == 1
    assert container.message == "environment, start_time: 2026-06-12T11:00:00Z is after end_time"
