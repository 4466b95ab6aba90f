"""`make deploy` and `make remove` while an endpoint records for a diagnosis: it is stranded by neither."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from deploy.recording import find_movable
from deploy.refused import DoneError, RefusedError
from deploy.stack import deploy, remove
from tests.contract.stacks import Osls, hook_endpoint, small, stand, swapping

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "has put back.*\n.*Signs is being diagnosed.*swaps off"),
        ("CREATE_COMPLETE", "nothing says.*\n.*Signs is being diagnosed.*swaps off"),
        ("UPDATE_COMPLETE", "nothing says.*\n.*Signs records.*by hand"),
    ],
)
def test_a_diagnosis_that_begins_while_a_deployment_fails_is_told_of_with_what_the_role_that_stands_may(
    aws, package, status, told
):
    """Before CloudFormation and after a rollback the old role stands and puts it back; once all was done nobody does."""
    stand(aws, swapping("signs"))

    def osls(_command):
        hook_endpoint(aws)
        import moto.cloudformation.models as moto

        (stack,) = moto.cloudformation_backends["123456789012"]["eu-west-1"].stacks.values()
        if status.startswith("UPDATE"):
            # CloudFormation may go on to hold the template that was tried.
            stack.template = json.dumps(small())
        stack.status = status
        return 1

    with pytest.raises(RefusedError, match=rf"^osls failed.*{told}"):
        deploy(package, "dev", aws, osls, dry_run=False, words=[])


@pytest.mark.parametrize(("listed", "fix"), [("signs", "swaps off"), ("other", "by hand")])
def test_a_stack_is_not_removed_while_an_endpoint_records_for_it_whether_it_may_put_it_back_or_not(
    aws, listed, fix
):
    stand(aws, swapping(listed))
    hook_endpoint(aws)
    osls = Osls()
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match=rf"^Signs .*{fix}"):
            remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=dry_run)
    assert osls.commands == []


def test_a_diagnosis_that_begins_while_the_stack_goes_is_told_of(aws):
    stand(aws, swapping("signs"))

    def osls(_command):
        hook_endpoint(aws)
        return 0

    with pytest.raises(DoneError, match=r"is gone, but .*Signs records.*by hand"):
        remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=False)


@pytest.mark.parametrize(("left", "refused"), [((), True), (("other",), True), (("signs", "other"), False)])
def test_a_deployment_that_would_strand_a_recording_endpoint_is_refused(aws, package, left, refused):
    hook_endpoint(aws)
    stand(aws, swapping("Signs", "signs"))
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(swapping(*left)))
    osls = Osls()
    if refused:
        with pytest.raises(RefusedError, match=r"Signs is being diagnosed.*swaps off"):
            deploy(package, "dev", aws, osls, dry_run=False, words=[])
        assert osls.commands == []
    else:
        deploy(package, "dev", aws, osls, dry_run=False, words=[])
        assert len(osls.commands) == 1


def test_a_deployment_that_has_stranded_an_endpoint_is_refused_every_time_until_it_may_put_it_back(
    aws, package
):
    """The role that stands lost the right while a diagnosis began: nothing but a person helps, and so it is told again."""
    hook_endpoint(aws)
    stand(aws, swapping())
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(swapping()))
    osls = Osls()
    for dry_run in (True, False, False):
        with pytest.raises(RefusedError, match=r"Signs records.*mode: swap.*by hand"):
            deploy(package, "dev", aws, osls, dry_run=dry_run, words=[])
    assert osls.commands == []
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(swapping("signs")))
    assert "stands" in deploy(package, "dev", aws, osls, dry_run=False, words=[])


@pytest.mark.parametrize("listed", [("other",), ("signs",)])
def test_what_another_stage_of_the_account_records_hinders_neither_a_deployment_nor_a_removal(
    listed, aws, package
):
    """Not even where both list the endpoint: whose a recording is, its tensors tell."""
    hook_endpoint(aws, "prod")
    stand(aws, swapping(*listed))
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(swapping()))
    osls = Osls()
    assert "stands" in deploy(package, "dev", aws, osls, dry_run=False, words=[])
    assert "is gone" in remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=False)
    assert [command[0] for command, _ in osls.commands] == ["deploy", "remove"]


@pytest.mark.parametrize("gone", ["model", "endpoint_config"])
@pytest.mark.parametrize(("listed", "refused"), [((), False), (("signs",), True)])
def test_a_recording_whose_model_or_configuration_is_gone_is_that_of_whoever_lists_the_endpoint(
    gone, listed, refused, aws
):
    hook_endpoint(aws, "prod")
    sagemaker = aws.client("sagemaker")
    if gone == "model":
        sagemaker.delete_model(ModelName="sagewatch-hooked-x")
    else:
        sagemaker.delete_endpoint_config(EndpointConfigName="sagewatch-hooked-x")
    stand(aws, swapping(*listed))
    osls = Osls()
    if refused:
        with pytest.raises(RefusedError, match="Signs is being diagnosed"):
            remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=False)
    else:
        assert "is gone" in remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=False)
    assert bool(osls.commands) is not refused


@pytest.mark.parametrize(("listed", "told"), [((), True), (("signs",), False)])
def test_an_endpoint_that_begins_to_record_while_its_right_is_taken_away_is_told_of(
    aws, package, listed, told
):
    """The look comes before CloudFormation changes the role, and a diagnosis may begin in between."""
    stand(aws, swapping("Signs", "signs"))
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(swapping(*listed)))

    def osls(_command):
        hook_endpoint(aws)
        return 0

    if told:
        with pytest.raises(DoneError, match=r"stands, but .*Signs records.*original_config"):
            deploy(package, "dev", aws, osls, dry_run=False, words=[])
    else:
        assert "stands" in deploy(package, "dev", aws, osls, dry_run=False, words=[])


def test_the_template_that_is_packaged_says_which_endpoints_may_be_moved():
    """The refusal reads what resources/endpoints.js writes: should its form change, this fails first."""
    script = (
        "require('./resources/endpoints.js').statement({resolveVariable: async () => 'Signs,other'})"
        ".then((made) => console.log(JSON.stringify(made)))"
    )
    made = subprocess.run(["node", "-e", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    role = {"Policies": [{"PolicyDocument": {"Statement": [json.loads(made)]}}]}
    template = {"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": role}}}
    assert find_movable(template) == {"signs", "other"}
