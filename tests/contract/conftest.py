"""The compiled template, as osls writes it from serverless.yml and resources/."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import boto3
import pytest

from tests.aws_in_process import empty_aws
from tests.contract.stacks import small

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
MANY = "".join(f"  fraud-detector-{n:02d}: {{diagnosis: {{mode: swap}}}}\n" for n in range(20))
SPOKES = (
    "210987654321/eu-west-1/captures-there, 333333333333/us-east-1/other/1234abcd-12ab-34cd-56ef-1234567890ab"
)


@pytest.fixture
def aws():
    with empty_aws():
        yield boto3.session.Session(region_name="eu-west-1")


@pytest.fixture
def package(tmp_path):
    (tmp_path / "cloudformation-template-update-stack.json").write_text(json.dumps(small()))
    return tmp_path


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
def hub_template(packaged, tmp_path_factory):
    """The template of a hub of two spokes that swaps more endpoints than its role's own policy has room for."""
    from layers.package_stack import package_stack

    monitors = tmp_path_factory.mktemp("hub") / "monitors.yml"
    monitors.write_text(MONITORS.replace("  churn: {}\n", f"  churn: {{}}\n{MANY}"))
    folder = package_stack(ROOT, packaged.parent.name + "hub", "x86_64", monitors, [f"spokes={SPOKES}"])
    text = (folder / "cloudformation-template-update-stack.json").read_text()
    # A parallel worker's stage has a name of its own.
    return json.loads(re.sub(r"contractgw\d+hub", "contracthub", text))


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
