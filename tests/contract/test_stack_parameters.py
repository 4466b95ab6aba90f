"""Parameters given wrongly are refused before anything is built, each with its name and what to write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from layers.package_stack import package_stack
from layers.stack_parameters import find_mistakes, find_own, resolve_params

ROOT = Path(__file__).resolve().parents[2]
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = "arn:aws:iam::123456789012:role"


@pytest.fixture(scope="module")
def params():
    """``params:`` of serverless.yml; osls' own variables and CloudFormation's tags do not matter here."""
    text = (ROOT / "serverless.yml").read_text().split("\nprovider:")[0]
    return yaml.safe_load(text)["params"]


def test_every_parameter_of_serverless_yml_is_known_and_its_own_values_are_no_mistakes(params):
    for stage, given in params.items():
        for name, value in given.items():
            text = json.dumps(value) if isinstance(value, bool) else str(value).replace("${sls:stage}", "dev")
            if name != "architecture":
                assert find_mistakes("dev" if stage == "default" else stage, [f"{name}={text}"]) == []


@pytest.mark.parametrize(
    ("param", "says"),
    [
        ("alertMial=a@example.com", "did you mean alertMail"),
        ("captureBucket=s3://captures", "name alone"),
        ("captureBucket=Foo_Bar", "name alone"),
        ("capturePrefix=/capture", "without slashes"),
        ("capturePrefix=capture/", "without slashes"),
        ("capturePrefix=", "without slashes"),
        ("capturePrefix=cap*", "wildcards"),
        ("kmsKeyArn=alias/mine", "no alias"),
        ("captureKmsKeyArn=alias/mine", "no alias"),
        ("kmsKeyArn=arn:aws:kms:eu-west-1:123456789012:alias/mine", "no alias"),
        ("alertMail=a@example.com,b@example.com", "one mail address"),
        (f"modelRoleArns={ROLE}/a, {ROLE}/b", "without spaces"),
        ("logRetentionDays=31", "CloudWatch's"),
        ("archiveRetentionDays=soon", "number of days"),
        ("captureRetentionDays=0", "number of days"),
        ("deletionProtection=yes", "true or false"),
        ("dataDeletionPolicy=Keep", "Retain or Delete"),
        ("logLevel=LOUD", "DEBUG"),
        ("eventBus=default", "not `default`"),
        ("explainInstanceType=m5.large", "ml.m5.large"),
        ("architecture=arm64", "ARCHITECTURE=arm64"),
        ("runbooksUrl=wiki/runbooks", "http"),
        ("jobSubnets=subnet-0123abcd", "together with jobSecurityGroups"),
        ("jobSecurityGroups=sg-0123abcd", "together with jobSubnets"),
        ("secretPrefix=/sagewatch/", "without slashes"),
        ("secretPrefix=*", "without slashes"),
        ("jobVolumeKmsKeyArn=alias/mine", "no alias"),
        ("permissionsBoundary=arn:aws:iam::123456789012:role/b", "managed policy"),
        ("alertMail", "needs a value"),
    ],
)
def test_a_parameter_that_cannot_be_meant_so_is_named_with_what_to_write(param, says):
    (mistake,) = find_mistakes("dev", [param])
    assert mistake.startswith(f"parameter {param.partition('=')[0]}: ")
    assert says in mistake


@pytest.mark.parametrize(
    "param",
    [
        "captureBucket=my.captures-1", "capturePrefix=team/a_b/capture", f"kmsKeyArn={KEY}", "kmsKeyArn=", "endpoints=a,B-2, c",
        f"modelRoleArns={ROLE}/a,{ROLE}/path/b", "runbooksUrl=https://wiki.example.com/runbooks", "logRetentionDays=365",
        "explainImage=123456789012.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:v1", "deletionProtection=false",
        "alertMail=ml-on-call+x@example.co.uk", "eventBus=sagewatch-team.a",
    ],
)  # fmt: skip
def test_what_can_be_meant_so_passes(param):
    assert find_mistakes("dev", [param]) == []


def test_a_network_is_given_whole_and_without_spaces():
    assert (
        find_mistakes("dev", ["jobSubnets=subnet-0123abcd,subnet-0123abce", "jobSecurityGroups=sg-0123abcd"])
        == []
    )
    (mistake,) = find_mistakes("dev", ["jobSubnets=subnet-1, subnet-2", "jobSecurityGroups=sg-0123abcd"])
    assert "without spaces" in mistake


GIVEN = """\
params:
  default: {captureBucket: '', jobSubnets: '', jobSecurityGroups: '', deletionProtection: false, architecture: x86_64}
  prod: {jobSubnets: subnet-0123abcd, deletionProtection: true, logRetentionDays: 31}
provider: {layers: [!Ref CoreLambdaLayer]}
"""


def test_what_serverless_yml_gives_a_stage_is_judged_as_what_the_command_line_gives():
    assert find_mistakes("dev", resolve_params(GIVEN, "dev", [])) == []
    network, days = sorted(find_mistakes("prod", resolve_params(GIVEN, "prod", [])))
    assert network.startswith("parameter jobSubnets: SageMaker takes it only together with jobSecurityGroups")
    assert days.startswith("parameter logRetentionDays: must be one of CloudWatch's")
    mended = ["jobSecurityGroups=sg-0123abcd", "logRetentionDays=30"]
    assert find_mistakes("prod", resolve_params(GIVEN, "prod", mended)) == []


def test_a_parameter_of_the_product_is_resolved_as_osls_does(params):
    resolved = dict(
        one.split("=", 1)
        for one in resolve_params((ROOT / "serverless.yml").read_text(), "dev", ["logLevel=DEBUG"])
    )
    assert resolved.keys() == params["default"].keys() - {"architecture"}
    assert (resolved["eventBus"], resolved["logLevel"], resolved["deletionProtection"]) == (
        "sagewatch-dev",
        "DEBUG",
        "false",
    )


def test_what_only_osls_can_resolve_is_left_to_it():
    text = "params: {default: {jobSubnets: '${env:SUBNETS}', jobSecurityGroups: sg-0123abcd}}"
    assert find_mistakes("dev", resolve_params(text, "dev", [])) == []


@pytest.mark.parametrize(
    "text", ["params: '${file(params.yml)}'", "params: {default: {logLevel: X}, dev: '${file(dev.yml)}'}"]
)
def test_what_a_file_brings_may_be_any_parameter_and_is_left_to_osls(text):
    resolved = resolve_params(text, "dev", ["logLevel=DEBUG"])
    assert find_mistakes("dev", resolved) == []
    assert "logLevel=DEBUG" in resolved
    assert next(one for one in resolved if one.startswith("secretPrefix=")).startswith("secretPrefix=${file(")


OWN = "params: {default: {team: ml, alertMial: a@b.c}, prod: {costCentre: '42'}}\nprovider: {stackTags: {team: '${param:team}'}}\n"


def test_a_parameter_of_ones_own_passes_and_a_misspelt_one_of_the_products_does_not():
    own = find_own(OWN, ["queues: '${param:mailing}'"])
    assert own == {"team", "costCentre", "mailing"}
    (mistake,) = find_mistakes("prod", resolve_params(OWN, "prod", ["team=risk", "mailing=on"]), own)
    assert mistake.startswith("parameter alertMial: there is none of that name; did you mean alertMail")


def test_a_misspelt_parameter_that_something_reads_is_ones_own_after_all():
    assert "alertMial" in find_own(OWN, ["resolveVariable('param:alertMial')"])


def test_a_serverless_yml_that_is_no_yaml_is_a_sentence(tmp_path):
    (tmp_path / "serverless.yml").write_text("params: [")
    with pytest.raises(SystemExit, match=r"^package: serverless.yml is no YAML"):
        package_stack(tmp_path, "dev", "x86_64", tmp_path / "monitors.yml", [])


def test_a_secret_is_held_against_the_prefix_that_serverless_yml_gives_the_stage(tmp_path):
    """Packaged from a copy, for its serverless.yml is another one."""
    text = (ROOT / "serverless.yml").read_text()
    assert "    secretPrefix: sagewatch\n" in text
    (tmp_path / "serverless.yml").write_text(
        text.replace("secretPrefix: sagewatch\n", "secretPrefix: acme/ml\n")
    )
    monitors = tmp_path / "monitors.yml"
    monitors.write_text(
        "version: 1\nendpoints: {churn: {}}\nroutes: {receiver: r}\n"
        'receivers: {r: {slack: {channel: "#x", token: "secret:sagewatch/slack"}}}\n'
    )
    with pytest.raises(SystemExit, match="acme/ml"):
        package_stack(tmp_path, "dev", "x86_64", monitors, [])


@pytest.mark.parametrize("stage", ["Prod", "eu_west", "-dev", "a" * 17, ""])
def test_a_stage_that_buckets_cannot_be_named_by_is_refused(stage):
    (mistake,) = find_mistakes(stage, [])
    assert mistake.startswith(f"stage {stage}: must be small letters")


def test_the_longest_stage_still_names_a_bucket_in_the_longest_region():
    name = f"sagewatch-{'a' * 16}-evidence-123456789012-ap-southeast-1"
    assert len(name) <= 63
    assert find_mistakes("a" * 16, []) == []


def test_the_command_refuses_all_mistakes_at_once_and_builds_nothing():
    words = ["--stage", "Prod", "--param", "alertMial=a@example.com", "--param", "kmsKeyArn=alias/mine"]
    done = subprocess.run(
        [sys.executable, "-m", "layers.package_stack", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == [
        "stage Prod", "parameter alertMial", "parameter kmsKeyArn",
    ]  # fmt: skip
    assert done.stdout == ""
    assert not (ROOT / ".build" / "Prod").exists()
