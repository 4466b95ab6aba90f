"""The compiled template, as osls writes it from serverless.yml and resources/."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MONITORS = """\
version: 1
endpoints:
  Traffic-Signs:
    diagnosis: {mode: swap}
  churn: {}
receivers:
  ml-on-call: {mail: {topic: alerts}}
"""


@pytest.fixture(scope="session")
def packaged(tmp_path_factory):
    """Folder of the packaged stack: template and one zip a function; made anew only when an input changed."""
    if not (ROOT / "node_modules" / ".bin" / "osls").exists():
        pytest.skip("osls is not installed: run `make setup`")
    package_stack = pytest.importorskip("layers.package_stack", exc_type=ImportError)
    monitors = tmp_path_factory.mktemp("monitors") / "monitors.yml"
    monitors.write_text(MONITORS)
    # A worker of a parallel run packages for itself: two at once would write into each other's folder.
    stage = "contract" + os.environ.get("PYTEST_XDIST_WORKER", "")  # noqa: TID251
    return package_stack.package_stack(ROOT, stage, "x86_64", monitors, [])


@pytest.fixture(scope="session")
def template(packaged):
    """The CloudFormation template."""
    return json.loads((packaged / "cloudformation-template-update-stack.json").read_text())


@pytest.fixture(scope="session")
def of_type(template):
    """Resources of a type: of_type("AWS::SQS::Queue") -> {logical id: properties}."""

    def pick(type_):
        return {
            logical_id: resource["Properties"]
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == type_
        }

    return pick
