"""The monitoring job on the container contract: what it is given, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitor_image.analyze import main
from sagewatch.container import MESSAGE_BYTES, describe_end, run_to_message
from sagewatch.quality.constraints import parse_constraints
from sagewatch.quality.process_start import FORK
from sagewatch.quality.readout import Readout
from sagewatch.quality.shards import Shard, encode_shard
from sagewatch.quality.statistics import parse_statistics
from sagewatch.quality.violations import parse_violations
from sagewatch.report.failure import classify_failure
from tests.unit.quality.records import capture_line, write_captures
from tests.unit.quality.tables import REAL, batch_of, needs_real

NOW = datetime(2026, 6, 12, 11, 5, tzinfo=UTC)
DATA = "opt/ml/processing/input/endpoint"
CAPTURE = '{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}'
CSV = '{"csv": {"header": true, "output_columns_position": "START"}}'


class Container:
    """A container's file system and environment."""

    def __init__(self, root):
        self.root = root
        self.environment = {}

    def config(self, **content):
        self._write("opt/ml/config/processingjobconfig.json", content)

    def resources(self, host, *hosts):
        self._write("opt/ml/config/resourceconfig.json", {"current_host": host, "hosts": list(hosts)})

    def captures(self, lines):
        return write_captures(self.root / DATA, lines)

    def run(self, **environment):
        return main(self.root, {**self.environment, **environment}, NOW, 1)

    @property
    def message(self):
        return (self.root / "opt/ml/output/message").read_text()

    def output(self, name, folder="opt/ml/processing/output"):
        return (self.root / folder / name).read_bytes()

    def files(self, folder="opt/ml/processing/output"):
        return sorted(path.name for path in (self.root / folder).iterdir())

    def _write(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))


@pytest.fixture
def container(tmp_path):
    return Container(tmp_path)


def rows(count, seed, low=0.0):
    rng = np.random.default_rng(seed)
    return [(repr(a), str(b), c) for a, b, c in zip(
        rng.normal(low, 1, count).tolist(), rng.integers(0, 9, count).tolist(), rng.choice(["x", "y"], count), strict=True
    )]  # fmt: skip


def make_baseline(container, count=400):
    """Run the baselining job as suggest_baseline starts it, and give its files to the next job."""
    folder = container.root / "opt/ml/processing/input/baseline_dataset_input"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text(
        "score,age,kind\n" + "".join(",".join(row) + "\n" for row in rows(count, 1))
    )
    container.config(
        Environment={
            "dataset_format": CSV,
            "dataset_source": "/opt/ml/processing/input/baseline_dataset_input",
            "output_path": "/opt/ml/processing/baseline",
            "publish_cloudwatch_metrics": "Disabled",
        },
        ProcessingInputs=None,
        ProcessingOutputConfig=None,
    )
    assert container.run() == 0, container.message
    assert container.message == "Completed: Job completed successfully with no violations."
    assert container.files("opt/ml/processing/baseline") == ["constraints.json", "statistics.json"]
    container.config(
        Environment={
            "dataset_format": CAPTURE,
            "dataset_source": "/opt/ml/processing/input/endpoint",
            "output_path": "/opt/ml/processing/output",
            "baseline_constraints": "/opt/ml/processing/baseline/constraints.json",
            "baseline_statistics": "/opt/ml/processing/baseline/statistics.json",
            "start_time": "2026-06-12T10: 00: 00Z",
            "end_time": "2026-06-12T11:00:00Z",
            "publish_cloudwatch_metrics": "Enabled",
            "sagemaker_endpoint_name": "tabular",
            "sagemaker_monitoring_schedule_name": "hourly",
        }
    )


def captured(table):
    return [capture_line(f"{age},{kind}", score) for score, age, kind in table]


def test_a_baseline_and_a_quiet_hour(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run() == 0
    assert container.message == "Completed: Job completed successfully with no violations."
    assert container.files() == ["constraint_violations.json", "constraints.json", "statistics.json"]
    assert json.loads(container.output("constraint_violations.json")) == {"violations": []}
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 60
    assert parse_constraints(container.output("constraints.json")).names == ("score", "age", "kind")


def test_a_drifted_hour_ends_with_violations_and_exit_code_0(container):
    make_baseline(container)
    container.captures([*captured(rows(200, 3, low=2.0)), "nonsense"])
    assert container.run() == 0
    found = parse_violations(container.output("constraint_violations.json")).violations
    assert [each.feature_name for each in found] == ["score"]
    assert container.message.startswith(
        "CompletedWithViolations: Job completed successfully with 1 violations. 1 of 201 lines were rejected (1 not_json;"
    )
    rejected = json.loads(container.output("rejected_records.jsonl"))
    assert (rejected["line"], rejected["reason"]) == (201, "not_json")


def test_metrics_are_written_for_cloudwatch(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run(metric_time="2026-06-12T10:00:00Z") == 0
    lines = (
        container.output("cloudwatch_metrics.jsonl", "opt/ml/output/metrics/cloudwatch").decode().splitlines()
    )
    metrics = {metric["MetricName"]: metric for metric in map(json.loads, lines)}
    assert metrics["violation_count"] == {
        "MetricName": "violation_count",
        "Timestamp": "2026-06-12T10:00:00Z",
        "Dimensions": [
            {"Name": "Endpoint", "Value": "tabular"},
            {"Name": "MonitoringSchedule", "Value": "hourly"},
        ],
        "Value": 0.0,
        "Unit": "Count",
    }
    assert metrics["feature_data_age"]["StatisticValues"]["SampleCount"] == 60.0
    assert 0 < metrics["feature_baseline_drift_score"]["Value"] < 0.3
    assert "feature_non_null_kind" in metrics
    assert "feature_data_kind" not in metrics


def test_the_processes_environment_goes_before_the_platforms_file(container):
    make_baseline(container)
    container.captures(captured(rows(60, 2)))
    assert container.run(output_path="/opt/ml/elsewhere", publish_cloudwatch_metrics="Disabled") == 0
    assert "statistics.json" in container.files("opt/ml/elsewhere")
    assert not (container.root / "opt/ml/output/metrics").exists()


def test_the_first_notebooks_job_needs_a_threshold_and_nothing_else(container, capsys):
    answered = ("JSON", "application/json")
    container.captures(
        [capture_line("k05VTVBZ", "[[14]]", sent_as=("BASE64", "application/x-npy"), answered_as=answered)]
        * 8
        + [capture_line("k05VTVBZ", "[[2]]", sent_as=("BASE64", "application/x-npy"), answered_as=answered)]
        * 2
    )
    classes = container.root / "opt/ml/processing/input/classes/signnames.csv"
    classes.parent.mkdir(parents=True)
    classes.write_text("ClassId,SignName\n14,Stop sign\n")
    container.config(
        Environment={"THRESHOLD": "0.5"},
        ProcessingOutputConfig={"Outputs": [{"S3Output": {"LocalPath": "/opt/ml/processing/outputs"}}]},
    )
    assert container.run() == 0, container.message
    assert container.message == "CompletedWithViolations: Job completed successfully with 1 violations."
    found = parse_violations(
        container.output("constraint_violations.json", "opt/ml/processing/outputs")
    ).violations
    assert [(each.feature_name, each.constraint_check_type) for each in found] == [
        ("14", "class_share_check")
    ]
    assert (
        found[0].description
        == "Class 14 ('Stop sign') predicted 80.0 % of the time which is above the threshold of 50.0 %"
    )
    assert "Predicted classes {'14': 8, '2': 2}" in capsys.readouterr().out


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


def test_features_are_left_out_by_name_whatever_blanks_are_between_them(container):
    data = container.root / DATA / "d.csv"
    data.parent.mkdir(parents=True)
    data.write_text("a,b,c\n1,2,3\n")
    assert container.run(dataset_format=CSV, exclude_features_attribute="a, b ,") == 0
    assert [each.name for each in parse_statistics(container.output("statistics.json")).features] == ["c"]


def put_script(container, body):
    script = container.root / "opt/s.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(body)
    return "/opt/s.py"


QUOTES = (
    "raise ValueError(r.endpoint_input.data)",
    "{}[r.endpoint_input.data]",
    "exit(r.endpoint_input.data)",
)


@pytest.mark.parametrize("does", QUOTES)
def test_a_scripts_error_is_located_and_nothing_of_what_was_captured_is_in_the_message(
    container, capfd, does
):
    container.captures([capture_line("4711,hidden", event_id="e-7")])
    script = put_script(container, f"def preprocess_handler(r):\n    {does}\n")
    assert container.run(record_preprocessor_script=script) == 1
    assert container.message.startswith("s.py: line ")
    assert container.message.endswith("line 1 (record e-7)")
    said = capfd.readouterr()
    assert "4711" not in container.message + said.out + said.err


def test_a_postprocessors_error_tells_nothing_of_what_it_read(container):
    container.captures([capture_line("4711,hidden")])
    data = container.root / DATA
    body = f"import pathlib\ndef postprocess_handler():\n    raise ValueError([p.read_text() for p in pathlib.Path({str(data)!r}).rglob('*.jsonl')])\n"
    assert container.run(post_analytics_processor_script=put_script(container, body)) == 1
    assert container.message == "s.py: line 3: ValueError"


@pytest.mark.parametrize("body", ["import not_there\n", "def preprocess_handler(r):\n    import not_there\n"])
def test_a_module_that_is_not_in_the_image_is_named(container, body):
    container.captures([capture_line()])
    assert container.run(record_preprocessor_script=put_script(container, body)) == 1
    assert "ModuleNotFoundError" in container.message
    assert "not_there" in container.message


@pytest.mark.parametrize("code", ["0", "3", ""])
@pytest.mark.parametrize("kind", ["preprocess", "postprocess"])
def test_a_script_that_ends_the_program_fails_the_job_and_is_named(container, kind, code):
    container.captures([capture_line()])
    record = "r" if kind == "preprocess" else ""
    script = put_script(container, f"import sys\ndef {kind}_handler({record}):\n    sys.exit({code})\n")
    variable = "record_preprocessor_script" if kind == "preprocess" else "post_analytics_processor_script"
    assert container.run(**{variable: script}) == 1
    assert container.message.startswith("s.py: line 3: it ended the program")


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("os._exit(0)", 1, "a script of its job ended it (exit code 0)"),
        ("os._exit(7)", 7, "a script of its job ended it (exit code 7)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed, for want of memory most likely (SIGKILL)"),
        (
            "os.kill(os.getppid(), signal.SIGTERM), os.read(os.pipe()[0], 1)",
            143,
            "somebody stopped it, or its time was up (SIGTERM)",
        ),
    ],
)
def test_a_program_that_is_ended_has_failed_and_left_a_message(container, end, code, said):
    container.captures([capture_line()])
    script = put_script(container, f"import os, signal\ndef preprocess_handler(r):\n    {end}\n")
    done = run_program(container, record_preprocessor_script=script)
    assert (done.returncode, container.message) == (
        code,
        f"The program was ended before it was done: {said}.",
    )


def test_a_postprocessor_that_ends_the_program_as_if_all_was_well_fails_the_job(container):
    container.captures([capture_line()])
    script = put_script(container, "import os\ndef postprocess_handler():\n    os._exit(0)\n")
    done = run_program(container, post_analytics_processor_script=script)
    assert (done.returncode, container.message) == (1, describe_end(0))


def test_a_job_that_is_stopped_stops_and_leaves_no_process_behind(container):
    container.captures([capture_line()])
    body = "import os, pathlib, time\ndef preprocess_handler(r):\n    pathlib.Path({!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    place = container.root / "pid"
    script = put_script(container, body.format(str(place)))
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        with start_program(container, record_preprocessor_script=script) as program:
            wait_until(lambda: place.exists() and place.read_text())
            program.send_signal(number)
            assert program.wait(10) == code
        wait_until(lambda: is_gone(int(place.read_text())))
        place.unlink()


def is_gone(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_record_of_too_many_values_is_refused_at_once(container):
    container.captures([capture_line()])
    body = "def preprocess_handler(r):\n    return {str(i): i for i in range(10_001)}\n"
    assert container.run(record_preprocessor_script=put_script(container, body)) == 1
    assert "s.py: returned a record of 10001 values; at most 10000 are read" in container.message


def test_no_row_at_all_says_what_became_of_the_records(container):
    container.captures([capture_line(), capture_line()])
    script = put_script(container, "def preprocess_handler(r):\n    return []\n")
    assert container.run(record_preprocessor_script=script) == 1
    assert "Job inputs had no data: The preprocess script dropped 2 records." in container.message
    container.captures([capture_line("1", "broken", answered_as=("CSV", None))])
    assert container.run() == 1
    assert "1 records are error responses" in container.message


def test_the_postprocessor_runs_after_the_reports_are_there(container):
    script = container.root / "opt/post.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import pathlib\n"
        f"OUT = pathlib.Path({str(container.root)!r}) / 'opt/ml/processing/output'\n"
        "def postprocess_handler():\n    (OUT / 'seen').write_text(str((OUT / 'statistics.json').exists()))\n"
    )
    container.captures([capture_line()])
    assert container.run(post_analytics_processor_script="/opt/post.py") == 0
    assert container.output("seen") == b"True"


def test_one_of_several_instances_with_the_same_data_writes(container):
    container.captures([capture_line()])
    container.resources("algo-2", "algo-10", "algo-2", "algo-1")
    assert container.run() == 0
    assert "algo-1, which writes the report" in container.message
    assert not (container.root / "opt/ml/processing/output").exists()
    container.resources("algo-1", "algo-10", "algo-2", "algo-1")
    assert container.run() == 0
    assert "statistics.json" in container.files()


SHARDED = {"S3Input": {"LocalPath": f"/{DATA}", "S3DataDistributionType": "ShardedByS3Key"}}
HOSTS = ("algo-1", "algo-2", "algo-3")


def start_program(container, **environment):
    """The image's own program in a process of its own, as an instance runs it."""
    program = Path(__file__).parents[3] / "monitor_image" / "analyze.py"
    given = {"PYTHONPATH": os.pathsep.join(sys.path), "CONTAINER_ROOT": str(container.root), **environment}
    return subprocess.Popen(
        [sys.executable, program], env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run_program(container, **environment):
    """The same, until it ends."""
    with start_program(container, **environment) as program:
        said, _ = program.communicate(timeout=60)
    return subprocess.CompletedProcess(program.args, program.returncode, said)


def run_shards(container, parts):
    """Every instance with its part of the captures, one after the other."""
    container.config(Environment={}, ProcessingInputs=[SHARDED])
    for host, part in parts.items():
        path = container.captures(captured(part))
        container.resources(host, *HOSTS)
        done = run_program(container)
        assert done.returncode == 0, container.message
        assert f"{host} wrote a partial profile of {len(part)} rows" in container.message
        path.unlink()
    container.config()
    container.resources("algo-1", "algo-1")


def test_shards_write_partial_profiles_and_one_merge_makes_the_report(container):
    table = rows(300, 4)
    run_shards(container, {"algo-3": [], "algo-2": table[200:], "algo-1": table[:200]})
    assert container.files() == [f"{host}.sagewatch-profile" for host in HOSTS]
    # One instance was started again, and its file came twice.
    twice = container.root / "opt/ml/processing/output/again"
    twice.mkdir()
    (twice / "algo-1.sagewatch-profile").write_bytes(container.output("algo-1.sagewatch-profile"))
    done = run_program(container, dataset_source="/opt/ml/processing/output", output_path="/opt/merged")
    assert done.returncode == 0, container.message
    statistics = parse_statistics(container.output("statistics.json", "opt/merged"))
    assert statistics.dataset.item_count == 300
    assert statistics.features[0].sketch.data == [[float(score) for score, _, _ in table]]


def test_a_capture_among_partial_profiles_is_told_of(container):
    run_shards(container, {host: rows(20, 4) for host in HOSTS})
    stray = container.root / "opt/ml/processing/output/late.jsonl"
    stray.write_text(capture_line() + "\n")
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 0
    assert "1 of 61 lines were rejected (1 no_partial_profile; first: " in container.message
    (line,) = container.output("rejected_records.jsonl", "opt/merged").splitlines()
    assert json.loads(line) == {"where": str(stray), "line": 1, "reason": "no_partial_profile"}


def test_a_large_job_is_shared_out_among_copies_of_the_program(container):
    """And they give the report that one process gives."""
    lines = [capture_line(f"{number % 1000},{number % 7}", f"{number % 13}") for number in range(30_000)]
    path = container.captures(lines)
    assert path.stat().st_size > 2 * FORK.worth
    done = run_program(container)
    assert (done.returncode, container.message) == (
        0,
        "Completed: Job completed successfully with no violations.",
    )
    copied = parse_statistics(container.output("statistics.json"))
    assert container.run() == 0
    alone = parse_statistics(container.output("statistics.json"))
    assert copied.dataset.item_count == alone.dataset.item_count == 30_000
    for ours, theirs in zip(copied.features, alone.features, strict=True):
        one, other = ours.numerical_statistics, theirs.numerical_statistics
        assert (one.common, one.sum, one.min, one.max) == (other.common, other.sum, other.min, other.max)


@pytest.mark.parametrize("records", [3, 30_000], ids=["one process", "several"])
def test_a_thread_that_a_script_left_does_not_keep_the_job(container, records):
    container.captures([capture_line()] * records)
    script = container.root / "threads.py"
    script.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
        "def preprocess_handler(record):\n    return {'a': 1}\n"
    )
    done = run_program(container, record_preprocessor_script="/threads.py")
    assert (done.returncode, container.message) == (
        0,
        "Completed: Job completed successfully with no violations.",
    )


def test_a_shard_that_never_comes_is_named_and_no_report_is_made(container):
    table = rows(90, 4)
    run_shards(container, {"algo-1": table[:50], "algo-3": table[50:]})
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 1
    assert "no partial profile of algo-2 (2 of 3 are here)" in container.message
    assert not (container.root / "opt/merged").exists()


def test_shards_of_two_jobs_are_not_merged(container):
    folder = container.root / DATA
    folder.mkdir(parents=True)
    empty = Readout().encode()
    for host, hosts in (("algo-1", ("algo-1", "algo-2")), ("algo-2", HOSTS)):
        (folder / f"{host}.sagewatch-profile").write_bytes(encode_shard(Shard(host, hosts, empty)))
    assert container.run() == 1
    assert "partial profiles of different jobs" in container.message


def write_shards(container, **jobs):
    """Two instances' parts of each job, in a folder of the job's."""
    for job, rows_each in jobs.items():
        for host in ("algo-1", "algo-2"):
            readout = Readout()
            readout.add(batch_of({"a": ["1"] * rows_each}), host, 1)
            path = container.root / DATA / job / f"{host}.sagewatch-profile"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_shard(Shard(host, ("algo-1", "algo-2"), readout.encode(), f"arn:{job}")))


def test_jobs_whose_instances_are_called_alike_are_not_mixed(container):
    write_shards(container, monday=100, tuesday=200)
    assert container.run() == 1
    assert "partial profiles of different jobs lie here (arn:monday and arn:tuesday)" in container.message
    (container.root / DATA / "monday/algo-1.sagewatch-profile").unlink()
    (container.root / DATA / "tuesday/algo-2.sagewatch-profile").unlink()
    assert container.run() == 1
    assert "partial profiles of different jobs lie here" in container.message


def test_a_partial_profile_counts_once_only_where_it_is_the_same(container):
    write_shards(container, monday=100)
    folder = container.root / DATA / "monday"
    (folder / "again.sagewatch-profile").write_bytes((folder / "algo-1.sagewatch-profile").read_bytes())
    assert container.run() == 0, container.message
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 200
    other = Readout()
    other.add(batch_of({"a": ["1"] * 7}), "x", 1)
    shard = Shard("algo-1", ("algo-1", "algo-2"), other.encode(), "arn:monday")
    (folder / "again.sagewatch-profile").write_bytes(encode_shard(shard))
    assert container.run() == 1
    assert "two different partial profiles of algo-1 lie here" in container.message


def test_partial_profiles_of_an_older_version_are_read(container):
    write_shards(container, monday=100)
    for path in (container.root / DATA / "monday").iterdir():
        state = msgspec.msgpack.decode(path.read_bytes())
        old = {key: state[key] for key in ("host", "hosts", "readout")}
        path.write_bytes(msgspec.msgpack.encode(old))
    assert container.run() == 0, container.message
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 200


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_a_partial_profile_that_came_in_half_is_refused(container, cut):
    run_shards(container, {"algo-1": rows(50, 4)})
    content = container.output("algo-1.sagewatch-profile")
    (container.root / "opt/ml/processing/output/algo-1.sagewatch-profile").write_bytes(content[:cut])
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 1
    assert "no data" in container.message if not cut else "no partial profile" in container.message


def test_a_class_beyond_its_share_is_told_beside_the_baselines_violations(container):
    make_baseline(container)
    container.captures([capture_line(f"{age},{kind}", "3.5") for _, age, kind in rows(60, 2)])
    assert container.run(THRESHOLD="0.9") == 0, container.message
    found = parse_violations(container.output("constraint_violations.json")).violations
    assert [(each.feature_name, each.constraint_check_type) for each in found] == [
        ("score", "baseline_drift_check"),
        ("3.5", "class_share_check"),
    ]
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 60


@needs_real
@pytest.mark.real
def test_a_real_job_config_is_understood(container):
    content = json.loads(
        (REAL / "events/api_responses/processingjobconfig_baselining_churn.json").read_text()
    )
    container.config(**content)
    folder = container.root / "opt/ml/processing/input/baseline_dataset_input"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_bytes((REAL / "churn/training-dataset-with-header.csv").read_bytes())
    assert container.run() == 0, container.message
    theirs = parse_constraints((REAL / "reports/churn_xgb/constraints.json").read_bytes())
    assert parse_constraints(container.output("constraints.json")).features == theirs.features


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
