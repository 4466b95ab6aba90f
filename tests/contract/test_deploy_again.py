"""`make deploy` over the stack as it is packaged, on the local AWS: the second deployment is the one that matters."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest

from deploy.recording import find_movable
from deploy.stack import deploy, find_template, remove
from sagewatch.sandbox.local_aws import LocalAws

ROOT = Path(__file__).resolve().parents[2]
STAGE = "contract"


@pytest.fixture(scope="module")
def standing(packaged, template, tmp_path_factory):
    """A session in an account where the packaged stack stands."""
    with LocalAws(tmp_path_factory.mktemp("again") / "sandbox") as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        session = boto3.session.Session()
        told = deploy(packaged, STAGE, session, fail, dry_run=True, words=[])
        assert f"A new stack of {len(template['Resources'])} resources." in told
        session.client("cloudformation").create_stack(
            StackName=f"sagewatch-{STAGE}",
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        yield session


def fail(command):
    raise AssertionError(f"a dry run runs nothing: {command}")


def test_the_same_again_changes_nothing_but_code(standing, packaged):
    told = deploy(packaged, STAGE, standing, fail, dry_run=True, words=[])
    assert "Nothing but code would change." in told
    assert told.endswith("Dry run: nothing was changed.")


def test_what_changes_is_told_line_by_line(standing, template, tmp_path):
    changed = copy.deepcopy(template)
    changed["Resources"]["TickQueue"]["Properties"]["MessageRetentionPeriod"] = 1800
    (tmp_path / "cloudformation-template-update-stack.json").write_text(json.dumps(changed))
    lines = deploy(tmp_path, STAGE, standing, fail, dry_run=True, words=[]).splitlines()
    assert [line for line in lines if line[:1] in "+-"] == [
        "-TickQueue: hidden 300 s, kept 1200 s, after 2 to TickDeadLetters.Arn",
        "+TickQueue: hidden 300 s, kept 1800 s, after 2 to TickDeadLetters.Arn",
    ]


def test_a_real_deployment_over_it_reaches_osls(standing, packaged):
    ran = []
    told = deploy(
        packaged, STAGE, standing, lambda command: ran.append(command) or 0, dry_run=False, words=[]
    )
    assert [command[1] for command in ran] == ["deploy"]
    assert "stands" in told


def test_a_removal_names_what_goes_and_what_stays(standing, capsys):
    assert remove(STAGE, standing, fail, lambda _: "", dry_run=True) == "Dry run: nothing was changed."
    assert (
        "Kept: CaptureBucket, EvidenceBucket, StateTable. Emptied: ServerlessDeploymentBucket."
        in capsys.readouterr().out
    )


def test_the_packaged_stack_says_which_endpoints_may_be_moved(template):
    assert find_movable(template) == {"traffic-signs"}


def test_osls_itself_removes_the_stack_from_a_clone_in_which_nothing_was_ever_packaged(standing, tmp_path):
    """Last of all, for the stack is gone then."""
    for name in ("serverless.yml", "package.json"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("resources", "functions"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    said = []

    def run(command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        said.append(done.stdout + done.stderr)
        return done.returncode

    told = remove(STAGE, standing, run, lambda _: f"sagewatch-{STAGE}", dry_run=False)
    assert told == f"sagewatch-{STAGE} is gone; kept: CaptureBucket, EvidenceBucket, StateTable.", said
    assert find_template(standing, f"sagewatch-{STAGE}") is None
