"""The documents say what the code does: examples parse, keys and parameters are all there, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest
import yaml
from botocore import xform_name

from sagewatch.monitors import parse_monitors

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", CONFIGURATION, re.DOTALL))
def test_an_example_of_monitors_yml_is_accepted(text):
    assert "traffic-signs" in parse_monitors(text, "docs/configuration.md").endpoints


def test_the_example_at_the_root_is_accepted():
    file = ROOT / "monitors.yml"
    assert parse_monitors(file.read_text(), str(file)).endpoints


def test_every_key_that_the_parser_knows_is_documented():
    parts = (ROOT / "layers/core/python/sagewatch/monitors").glob("*.py")
    source = "".join(part.read_text() for part in sorted(parts))
    keys = set(re.findall(r'"([\w-]+)"', " ".join(re.findall(r"\.expect\(([^)]*)\)", source))))
    assert len(keys) > 20
    assert {key for key in keys if key not in CONFIGURATION} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_table_is_cut_by_an_empty_line(page):
    assert (
        re.findall(r"^\|.*\n\n\|(?! ?-)(?!.*\n\|[ :-]*-).*", page.read_text(encoding="utf-8"), re.MULTILINE)
        == []
    )


def test_every_parameter_of_the_stack_is_documented_with_its_name():
    # osls' own tags (!Ref and the like) are of no concern here.
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    stack = yaml.load((ROOT / "serverless.yml").read_text(), loader)
    names = {name for stage in stack["params"].values() for name in stage}
    assert {name for name in names if f"`{name}`" not in CONFIGURATION} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_that_is_there(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_target_of_make_is_in_its_help():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(makefile.split(".PHONY:")[1].splitlines()[0].split())
    assert set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) == targets


def test_every_runbook_is_in_the_list_of_runbooks():
    folder = ROOT / "docs" / "runbooks"
    listed = set(re.findall(r"\]\(([\w/-]+\.md)\)", (folder / "README.md").read_text()))
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.md")} - {"README.md"}
    assert there <= listed


CHECKS = "layers/core/python/sagewatch/cli/checks/"
# Whose code each command is; what it only hands to CloudFormation is not among it.
COMMANDS = {
    "`make deploy`": (
        "deploy/stack.py", "deploy/standing.py", "deploy/surroundings.py", "deploy/recording.py", f"{CHECKS}image.py", f"{CHECKS}keys.py",
    ),
    "`make image`": ("deploy/image.py",),
    "`sagewatch doctor`": (f"{CHECKS}*.py", "layers/core/python/sagewatch/cli/store.py", "layers/core/python/sagewatch/cli/monitor_schedules.py"),
}  # fmt: skip
SERVICES = (
    "cloudformation", "cloudwatch", "dynamodb", "ecr", "events", "iam", "kms", "s3", "sagemaker", "scheduler", "service-quotas", "sns", "sqs",
)  # fmt: skip
# Where an action is not called as the call is. Source: service authorization reference.
ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_who_may_run_a_command_names_each_right_that_it_needs(command):
    text = (ROOT / "docs" / "deploy.md").read_text()
    (row,) = re.findall(rf"^\| {command}.*$", text, re.MULTILINE)
    listed = set(re.findall(r"`(?:[a-z0-9-]+:)?([A-Z]\w+)`", row))
    models = botocore.session.get_session()
    operations = [name for one in SERVICES for name in models.get_service_model(one).operation_names]
    calls = {xform_name(name): name for name in operations}
    source = "".join(path.read_text() for glob in COMMANDS[command] for path in sorted(ROOT.glob(glob)))
    # A method, or the name that a paginator is got by.
    words = re.findall(r"\.(\w+)\(", source) + re.findall(r'"(\w+)"', source)
    asked = {calls[word] for word in words if word in calls} - {"Search"}  # it is re's
    if "monitor_schedules" in str(COMMANDS[command]):
        asked = {
            name for name in asked if not re.match("Create|Update|Delete", name)
        }  # the doctor looks only
    if "find_left_open" in source:
        asked |= {"Query", "GetItem"}  # what is open, by the state's own rooms
    assert len(asked) > 2
    assert {ACTIONS.get(name, name) for name in asked} <= listed
