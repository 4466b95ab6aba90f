"""`make deploy`, `make remove`: what they look at first, what they run, what they say of how it went."""

from __future__ import annotations

import json
import sys

import pytest
from botocore.exceptions import ClientError

from deploy.refused import RefusedError
from deploy.stack import deploy, main, remove
from tests.contract.stacks import REFUSED, Osls, small, stand, swapping


def test_a_dry_run_says_what_changes_and_runs_nothing(aws, package):
    osls = Osls()
    assert "A new stack of 3 resources" in deploy(package, "dev", aws, osls, dry_run=True, words=[])
    stand(aws, small(VisibilityTimeout=5))
    told = deploy(package, "dev", aws, osls, dry_run=True, words=[])
    assert "-Queue: hidden 5 s" in told
    assert "+Queue: hidden 30 s" in told
    assert told.endswith("Dry run: nothing was changed.")
    assert osls.commands == []


def test_a_deployment_hands_the_package_to_osls_with_its_parameters(aws, package):
    osls = Osls()
    told = deploy(package, "dev", aws, osls, dry_run=False, words=["--param", "alertMail=a@b.c"])
    ((command, _),) = osls.commands
    assert command == ["deploy", "--package", str(package), "--stage", "dev", "--region", "eu-west-1",
                       "--param", "alertMail=a@b.c"]  # fmt: skip
    assert "sagewatch doctor --stack sagewatch-dev" in told
    with pytest.raises(RefusedError, match=r"before there was a stack.*describe-stack-events"):
        deploy(package, "dev", aws, Osls(answer=1), dry_run=False, words=[])


def test_what_osls_left_behind_is_told_as_cloudformation_has_it(aws, package):
    """It may have failed at the upload, in a policy, or after all was done: nothing was put back then."""
    stand(aws, small())
    with pytest.raises(
        RefusedError, match=r"nothing says that anything was put back: sagewatch-dev is CREATE_COMPLETE"
    ):
        deploy(package, "dev", aws, Osls(answer=1), dry_run=False, words=[])
    import moto.cloudformation.models as moto

    (stack,) = moto.cloudformation_backends["123456789012"]["eu-west-1"].stacks.values()
    stack.status = "UPDATE_ROLLBACK_COMPLETE"
    with pytest.raises(
        RefusedError, match=r"has put back what was there \(sagewatch-dev is UPDATE_ROLLBACK_COMPLETE"
    ):
        deploy(package, "dev", aws, Osls(answer=1), dry_run=False, words=[])


@pytest.mark.parametrize("verb", ["deploy", "remove"])
def test_that_it_is_done_is_told_though_aws_answers_no_more(verb, aws, package, monkeypatch, capsys):
    """A session may expire while CloudFormation works: what stands, stands, and has an exit code of its own."""
    stand(aws, swapping("signs"))

    def refuse(params, **_):
        raise ClientError(
            {"Error": {"Code": "ExpiredToken", "Message": "The security token is expired"}},
            "ListEndpointConfigs",
        )

    def osls(_command):
        aws.events.register("before-parameter-build.sagemaker.ListEndpointConfigs", refuse)
        return 0

    monkeypatch.setattr(sys, "argv", ["stack", verb, "--region", "eu-west-1"])
    monkeypatch.setattr("deploy.stack.boto3.session.Session", lambda region_name: aws)
    monkeypatch.setattr("deploy.stack.package_stack", lambda *_: package)
    monkeypatch.setattr("deploy.stack.run_here", osls)
    monkeypatch.setattr("builtins.input", lambda _: "sagewatch-dev")
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 3
    done = "deployed" if verb == "deploy" else "removed"
    told = capsys.readouterr().err
    assert told.startswith(
        f"{verb}: sagewatch-dev is {done}; could not look afterwards: AWS answered ListEndpointConfigs"
    )
    assert "list-endpoint-configs --name-contains sagewatch-hooked-" in told


@pytest.mark.parametrize("operation", ["DescribeStacks", "ListEndpoints"])
def test_that_osls_failed_is_told_though_aws_does_not_say_what_it_left(operation, aws, package):
    stand(aws, swapping("signs"))
    service = "cloudformation" if operation == "DescribeStacks" else "sagemaker"

    def refuse(params, **_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": REFUSED}}, operation)

    def osls(_command):
        aws.events.register(f"before-parameter-build.{service}.{operation}", refuse)
        return 1

    with pytest.raises(
        RefusedError, match=rf"^osls failed, and what .*AWS refused {operation}.*describe-stack-events"
    ):
        deploy(package, "dev", aws, osls, dry_run=False, words=[])


def test_the_stage_of_the_local_aws_whose_table_goes_with_it_is_not_for_an_account(aws, package):
    osls = Osls()
    with pytest.raises(RefusedError, match="another STAGE"):
        deploy(package, "local", aws, osls, dry_run=False, words=[])
    assert osls.commands == []


def test_a_dry_run_says_that_the_jobs_image_is_not_there_yet_and_is_quiet_once_it_is(aws, package):
    told = deploy(package, "dev", aws, Osls(), dry_run=True, words=[])
    assert "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:latest: is not there" in told
    assert "make image" in told
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="sagewatch-monitor")
    manifest = {"schemaVersion": 2, "mediaType": "m", "config": {"digest": "d"}, "layers": []}
    for tag, warned in (("old", True), ("latest", False)):
        ecr.put_image(
            repositoryName="sagewatch-monitor",
            imageManifest=json.dumps({**manifest, "config": {"digest": tag}}),
            imageTag=tag,
        )
        assert ("WARNING" in deploy(package, "dev", aws, Osls(), dry_run=True, words=[])) is warned


def test_a_dry_run_says_that_a_key_of_ones_own_would_not_let_events_in(aws, package):
    kms = aws.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    template = {"Parameters": {"KmsKeyArn": {"Type": "String", "Default": arn}}, **small()}
    (package / "cloudformation-template-update-stack.json").write_text(json.dumps(template))
    told = deploy(package, "dev", aws, Osls(), dry_run=True, words=[])
    assert "and events.amazonaws.com: kms:Decrypt, kms:GenerateDataKey is not allowed" in told
    row = {"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]},
           "Action": "kms:*", "Resource": "*"}  # fmt: skip
    root = {**row, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, row]})
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy)
    assert "kms:" not in deploy(package, "dev", aws, Osls(), dry_run=True, words=[])


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("DELETE_FAILED", "`make remove STAGE=dev` empties it"),
        ("DELETE_FAILED", "delete-stack --stack-name sagewatch-dev --retain-resources NAME"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "Wait for its end"),
        ("REVIEW_IN_PROGRESS", ""),
        ("UPDATE_ROLLBACK_COMPLETE", ""),
    ],
)
def test_a_stack_that_cloudformation_would_not_change_is_told_before_anything_is_compared(
    status, told, aws, package
):
    """A first deployment that failed leaves a stack of nothing: a dry run said "nothing but code would change"."""
    stand(aws, small())
    import moto.cloudformation.models as moto

    (stack,) = moto.cloudformation_backends["123456789012"]["eu-west-1"].stacks.values()
    stack.status = status
    for dry_run in (True, False):
        osls = Osls()
        if told:
            with pytest.raises(RefusedError, match=rf"sagewatch-dev is {status}\..*{told}"):
                deploy(package, "dev", aws, osls, dry_run=dry_run, words=[])
        else:
            deploy(package, "dev", aws, osls, dry_run=dry_run, words=[])
        assert bool(osls.commands) is not (bool(told) or dry_run)


def test_a_removal_asks_for_the_stacks_name_and_names_what_stays(aws, capsys):
    stand(aws, small())
    osls = Osls()
    with pytest.raises(RefusedError, match="another name"):
        remove("dev", aws, osls, lambda _: "yes", dry_run=False)
    assert "Dry run" in remove("dev", aws, osls, lambda _: "", dry_run=True)
    assert osls.commands == []
    told = remove("dev", aws, osls, lambda _: "sagewatch-dev", dry_run=False)
    assert told == "sagewatch-dev is gone; kept: EvidenceBucket, StateTable."
    assert osls.commands[0][0][:3] == ["remove", "--stage", "dev"]
    assert "Kept: EvidenceBucket, StateTable. Emptied: ." in capsys.readouterr().out
