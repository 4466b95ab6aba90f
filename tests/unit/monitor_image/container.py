"""A monitoring job's container as its platform makes it: files, environment, what it left; and the data that tests give it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from monitor_image.analyze import main
from tests.unit.quality.records import capture_line, write_captures

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


def put_script(container, body):
    script = container.root / "opt/s.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(body)
    return "/opt/s.py"


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
