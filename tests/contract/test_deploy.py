"""`make deploy`, `make remove`, `make image`: what they look at first, what they refuse, what they run."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from deploy import image
from deploy.image import NO_DOCKER, build_steps, has_docker, push_image
from deploy.recording import find_movable
from deploy.refused import DoneError, RefusedError, tell_aws
from deploy.stack import deploy, find_left, main, remove
from deploy.surroundings import find_missing, tell_region
from tests.aws_in_process import empty_aws

ROOT = Path(__file__).resolve().parents[2]
DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")
TABLE = {
    "TableName": "sagewatch-dev-state",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
BUCKET = {"BucketName": {"Fn::Sub": "sagewatch-dev-evidence-${AWS::AccountId}-${AWS::Region}"}}


def small(**queue):
    """A stack with data and something to change."""
    return {
        "Resources": {
            "StateTable": {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": TABLE},
            "EvidenceBucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": BUCKET},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q", **queue}},
        }
    }


@pytest.fixture
def aws():
    with empty_aws():
        yield boto3.session.Session(region_name="eu-west-1")


class Osls:
    """In osls' place: keeps what it was asked, and stands the stack up."""

    def __init__(self, answer=0):
        self.commands, self.answer = [], answer

    def __call__(self, command, told=None):
        self.commands.append((list(command[1:]), told))
        return self.answer


@pytest.fixture
def package(tmp_path):
    (tmp_path / "cloudformation-template-update-stack.json").write_text(json.dumps(small()))
    return tmp_path


def stand(aws, template):
    aws.client("cloudformation").create_stack(StackName="sagewatch-dev", TemplateBody=json.dumps(template))


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


REFUSED = "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: it"


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("cloudformation", "GetTemplate"),
        ("dynamodb", "DescribeTable"),
        ("sagemaker", "ListEndpointConfigs"),
        ("ecr", "DescribeImages"),
    ],
)
def test_a_right_that_the_deployer_lacks_is_a_sentence_with_the_call(
    service, operation, aws, package, monkeypatch, capsys
):
    """Never a traceback, and never data said to be in the way because nobody may look."""
    if service == "sagemaker":
        stand(aws, swapping("signs"))
    refused = ClientError({"Error": {"Code": "AccessDeniedException", "Message": REFUSED}}, operation)

    def refuse(params, **_):
        raise refused

    aws.events.register(f"before-parameter-build.{service}.{operation}", refuse)
    monkeypatch.setattr(sys, "argv", ["stack", "deploy", "--region", "eu-west-1", "--dry-run"])
    monkeypatch.setattr("deploy.stack.boto3.session.Session", lambda region_name: aws)
    monkeypatch.setattr("deploy.stack.package_stack", lambda *_: package)
    if service == "ecr":
        main()  # what cannot be seen of the image is said, and hinders nobody
        told = capsys.readouterr().out
    else:
        with pytest.raises(SystemExit) as left:
            main()
        told = str(left.value)
    assert f"AWS refused {operation}: {REFUSED}. Who runs this needs that right" in told


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (
            "with an explicit deny in a service control policy",
            "ask whoever keeps its service control policies",
        ),
        (
            "because no permissions boundary allows the s3:ListBucket action",
            "The boundary of who runs this leaves it out",
        ),
        ("because no identity-based policy allows it", "Who runs this needs that right"),
    ],
)
def test_a_refusal_names_who_can_lift_it(why, told):
    """Behind an organization's policy no right of one's own helps."""
    said = {
        "Error": {
            "Code": "AccessDenied",
            "Message": f"User: ada is not authorized to perform: s3:ListBucket {why}",
        }
    }
    assert told in tell_aws(ClientError(said, "ListObjectsV2"))


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


def test_a_region_that_is_misspelt_is_told_with_the_one_that_may_be_meant():
    session = boto3.session.Session(region_name="eu-west-11")
    told = tell_region(session, EndpointConnectionError(endpoint_url="https://sts.eu-west-11.amazonaws.com/"))
    assert "Nobody answers in eu-west-11" in told
    assert "Did you mean eu-west-1?" in told


@pytest.mark.parametrize("region", ["eu-west-1", "eu-west-11"])
def test_a_dry_run_without_a_network_says_what_it_could_not_compare_with_and_a_deployment_is_refused(
    package, region
):
    class Session:
        region_name = region
        get_available_partitions = boto3.session.Session().get_available_partitions
        get_available_regions = boto3.session.Session().get_available_regions

        def client(self, _):
            raise EndpointConnectionError(endpoint_url=f"https://sts.{region}.amazonaws.com/")

    told = deploy(package, "dev", Session(), Osls(), dry_run=True, words=[])
    assert f"No account to compare with (Nobody answers in {region}" in told
    assert "The stack has 3 resources." in told
    with pytest.raises(RefusedError, match=rf"^Nobody answers in {region}"):
        deploy(package, "dev", Session(), Osls(), dry_run=False, words=[])


def test_a_service_that_a_region_lacks_is_told_and_a_region_that_nobody_knows_is_not_judged():
    class Session:
        def get_available_partitions(self):
            return ["aws"]

        def get_available_regions(self, service, partition):
            return ["eu-west-1"] if service == "scheduler" else ["eu-west-1", "xx-west-1"]

    assert find_missing("xx-west-1", Session()) == ["scheduler"]
    assert find_missing("eu-west-1", Session()) == find_missing("zz-west-1", Session()) == []
    assert find_missing("eu-west-1", boto3.session.Session()) == []


def test_a_bucket_of_which_nothing_is_said_is_told_as_that_and_not_as_ones_own_data(aws):
    def refuse(params, **_):
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    aws.events.register("before-parameter-build.s3.HeadBucket", refuse)
    (told,) = find_left(small(), "123456789012", aws, {})
    assert (
        told
        == "sagewatch-dev-evidence-123456789012-eu-west-1 (another account's, or you may not look: HeadBucket answers 403)"
    )


def test_data_of_a_removed_stack_are_found_before_cloudformation_fails_on_them(aws, package):
    location = {"LocationConstraint": "eu-west-1"}
    name = "sagewatch-dev-evidence-123456789012-eu-west-1"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    assert find_left(small(), "123456789012", aws, {}) == [name]
    osls = Osls()
    with pytest.raises(RefusedError, match=rf"{name}.*import"):
        deploy(package, "dev", aws, osls, dry_run=False, words=[])
    assert osls.commands == []


def test_data_left_by_a_first_deployment_that_failed_are_found_though_its_stack_stands(aws, package):
    """osls makes the stack with its own bucket first, and adds the rest in a second step."""
    stand(aws, {"Resources": {"ServerlessDeploymentBucket": {"Type": "AWS::S3::Bucket", "Properties": {}}}})
    keys = [{**one, "AttributeType": "S"} for one in ({"AttributeName": "pk"},)]
    schema = TABLE["KeySchema"]
    aws.client("dynamodb").create_table(
        TableName=TABLE["TableName"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=keys,
        KeySchema=schema,
    )
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match=r"sagewatch-dev-state.*import"):
            deploy(package, "dev", aws, Osls(), dry_run=dry_run, words=[])


def test_captures_that_were_kept_may_be_the_captures_of_the_next_stack(aws):
    name = "sagewatch-dev-captures-123456789012-eu-west-1"
    location = {"LocationConstraint": "eu-west-1"}
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    bucket = {"Type": "AWS::S3::Bucket", "Condition": "MakeCaptureBucket", "Properties": {"BucketName": name}}
    for given, left in (("", [name]), (name, [])):
        template = {
            "Parameters": {"CaptureBucketName": {"Default": given}},
            "Conditions": {"MakeCaptureBucket": {"Fn::Equals": [{"Ref": "CaptureBucketName"}, ""]}},
            "Resources": {"CaptureBucket": bucket},
        }
        assert find_left(template, "123456789012", aws, {}) == left


def test_a_bucket_that_the_standing_stack_was_given_is_in_the_way_of_one_that_makes_its_own(aws):
    """The standing template has the bucket too, under a condition that was false: it is not the stack's."""
    name = "sagewatch-dev-captures-123456789012-eu-west-1"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bucket = {"Type": "AWS::S3::Bucket", "Condition": "MakeCaptureBucket", "Properties": {"BucketName": name}}

    def build(given):
        return {
            "Parameters": {"CaptureBucketName": {"Default": given}},
            "Conditions": {"MakeCaptureBucket": {"Fn::Equals": [{"Ref": "CaptureBucketName"}, ""]}},
            "Resources": {"CaptureBucket": bucket},
        }

    for before, after, left in ((name, "", [name]), ("", "", []), (name, name, []), ("", name, [])):
        assert find_left(build(after), "123456789012", aws, build(before)) == left


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


def test_nothing_that_holds_data_goes_with_the_stack_or_with_a_replacement(template):
    for name, row in template["Resources"].items():
        if row["Type"] in DATA and name != "ServerlessDeploymentBucket":
            # Except what a rolled back deployment had just made: it would be in the way of the next.
            assert row["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert row["UpdateReplacePolicy"] == "Retain", name


def test_an_image_is_built_signed_in_for_and_pushed_with_the_password_on_standard_input(aws):
    registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    docker = Osls()
    push_image(aws, docker, build_steps(registry, "latest", platform="linux/amd64", replay=True))
    verbs = [command[0] for command, _ in docker.commands]
    assert verbs == ["buildx", "login", "push"]
    words = " ".join(docker.commands[0][0])  # or SageMaker says "Unsupported manifest media type"
    assert words.startswith(
        "buildx build --platform linux/amd64 --provenance=false --sbom=false --output type=docker,oci-mediatypes=false "
    )
    ((password,),) = [[told for _, told in docker.commands if told]]
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert password == base64.b64decode(token).decode().partition(":")[2]
    assert not [command for command, _ in docker.commands if password in " ".join(command)]
    assert docker.commands[0][0].count("REPLAY=1") == 1
    push_image(aws, docker, [])  # the repository is there by now
    with pytest.raises(SystemExit, match="build"):
        push_image(aws, Osls(answer=1), build_steps(registry, "t", platform="linux/amd64", replay=False))


@pytest.mark.parametrize(("without", "found"), [("", True), ("info", False), ("buildx version", False)])
def test_a_docker_that_cannot_build_is_no_docker(without, found, tmp_path, monkeypatch):
    """An engine that is not there, or a docker of a distribution without its buildx package."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$*" != "{without}" ]\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert has_docker() is found


def test_in_china_the_image_goes_to_the_registry_of_chinas_domain(monkeypatch, capsys):
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(sys, "argv", ["image", "--region", "cn-north-1", "--dry-run"])
    with empty_aws("cn-north-1"):
        image.main()
    told = capsys.readouterr().out
    assert told.count("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == told.count(".amazonaws.com") == 3


def test_without_docker_a_sentence_says_what_to_do(tmp_path):
    program = (
        "import sys; sys.path.insert(0, '.'); import deploy.image as i; i.shutil.which = lambda name: None\n"
        "i.boto3.session.Session.client = lambda self, name: type('S', (), {'get_caller_identity': lambda s: {'Account': '1'}})()\n"
        "sys.argv = ['image', '--region', 'eu-west-1']; i.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == NO_DOCKER


def swapping(*endpoints):
    """A stack whose role may move the endpoints, as resources/endpoints.js writes it."""
    arns = [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:sagemaker:${{AWS::Region}}:${{AWS::AccountId}}:endpoint/{one}"}
        for one in endpoints
    ]
    statement = {"Effect": "Allow", "Action": "sagemaker:UpdateEndpoint", "Resource": arns}
    if not endpoints:
        statement = {"Effect": "Deny", "Action": "sagemaker:UpdateEndpoint", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
        "Policies": [{"PolicyName": "p", "PolicyDocument": document}],
    }
    return {"Resources": {**small()["Resources"], "Role": {"Type": "AWS::IAM::Role", "Properties": role}}}


def hook_endpoint(aws, stage="dev"):
    """The endpoint Signs, recording for the stack of that stage."""
    sagemaker = aws.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/SageMaker"
    bucket = f"sagewatch-{stage}-evidence-123456789012-eu-west-1"
    container = {"Image": "i", "Environment": {"TENSORS_OUTPUT": f"s3://{bucket}/tensors/x"}}
    sagemaker.create_model(ModelName="sagewatch-hooked-x", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for config, model in (("own", "m"), ("sagewatch-hooked-x", "sagewatch-hooked-x")):
        variants = [{**variant, "ModelName": model}]
        if model == "m":
            sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=role)
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="calm", EndpointConfigName="own")
    sagemaker.create_endpoint(EndpointName="Signs", EndpointConfigName="sagewatch-hooked-x")


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
