"""`deploy-endpoint` and `teardown` on the local SageMaker, by the SDK as it is: the calls, twice, and interrupted."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner
from sagemaker.core.resources import Endpoint
from sagemaker.core.utils.utils import SingletonMeta

from sagewatch.cli import cli
from sagewatch.cli.aws_calls import CallLog
from sagewatch.cli.ownership import is_recording
from sagewatch.errors import ConfigurationError
from tests.integration.sandbox.conftest import INFERENCE, ROLE

if TYPE_CHECKING:
    from pathlib import Path

    from sagewatch.sandbox.local_aws import LocalAws

NAME = "provisioned"
CREATED = [
    "s3:PutObject",
    "sagemaker:CreateModel",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateEndpoint",
]
REMOVED = [
    "sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "s3:DeleteObject", "sagemaker:DeleteModel",
]  # fmt: skip


class Crash(BaseException):
    """The machine went away, after AWS did what it was asked."""


class Bench:
    """Runs commands as a person does, each in what is for the SDK a process of its own."""

    def __init__(self, aws: LocalAws, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.aws, self.monkeypatch = aws, monkeypatch
        self.logs: list[CallLog] = []
        self.crash_after = 0
        (folder / "code").mkdir()
        (folder / "code" / "inference.py").write_text(INFERENCE)
        (folder / "weights.pt").write_bytes(b"weights")
        self.files = ["--code", str(folder / "code"), "--weights", str(folder / "weights.pt")]
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        register = CallLog.__init__
        bench = self

        def listen(log: CallLog, session: Any, *, dry: bool = False) -> None:
            register(log, session, dry=dry)
            bench.logs.append(log)
            session.events.register("after-call", lambda **_: bench.fall(log))

        monkeypatch.setattr(CallLog, "__init__", listen)

    def fall(self, log: CallLog) -> None:
        """Die once AWS has done so many changing calls."""
        if self.crash_after and len(log.calls) >= self.crash_after:
            raise Crash

    def run(self, *words: str, crash_after: int = 0) -> Any:
        """Exit code and output; the SDK keeps its first client for ever, and a new process does not."""
        SingletonMeta._instances.clear()
        self.crash_after = crash_after
        try:
            return CliRunner().invoke(cli, [*words, "--poll", "1", "--json"])
        except Crash as crash:
            return SimpleNamespace(exception=crash, exit_code=1, output="")
        finally:
            self.crash_after = 0

    def deploy(self, *more: str, **how: int) -> Any:
        return self.run("deploy-endpoint", NAME, "--bucket", "captures", "--role", ROLE, "--image", "i",
                        *self.files, *more, **how)  # fmt: skip

    def tear_down(self, *more: str, **how: int) -> Any:
        return self.run("teardown", NAME, "--no-stack", *(more or ("--yes",)), **how)

    def calls(self) -> list[str]:
        """The changing calls of the latest command."""
        return [f"{call.service}:{call.operation}" for call in self.logs[-1].calls]

    def look(self) -> dict[str, Any]:
        """What stands: endpoint, configurations, models, archives."""
        sagemaker = self.aws.client("sagemaker")
        endpoints = sagemaker.list_endpoints(NameContains=NAME)["Endpoints"]
        config = sagemaker.describe_endpoint(EndpointName=NAME)["EndpointConfigName"] if endpoints else None
        objects = (
            self.aws.client("s3")
            .list_objects_v2(Bucket="captures", Prefix=f"models/{NAME}-")
            .get("Contents", [])
        )
        return {
            "config": config,
            "configs": [
                c["EndpointConfigName"]
                for c in sagemaker.list_endpoint_configs(NameContains=NAME)["EndpointConfigs"]
            ],
            "models": [m["ModelName"] for m in sagemaker.list_models(NameContains=NAME)["Models"]],
            "archives": [row["Key"] for row in objects],
        }


@pytest.fixture
def bench(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Bench(aws, tmp_path, monkeypatch)
    yield made
    made.tear_down()


def test_the_calls_are_these_and_a_second_run_makes_none(bench: Bench) -> None:
    first = bench.deploy()
    assert first.exit_code == 0, (first.output, first.exception)
    assert json.loads(first.output)["change"] == "created"
    assert bench.calls() == CREATED
    by_name = {call.operation: call.parameters for call in bench.logs[-1].calls}
    capture = by_name["CreateEndpointConfig"]["DataCaptureConfig"]
    assert capture == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://captures/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json", "application/jsonlines"],
        },
    }  # fmt: skip
    assert by_name["CreateModel"]["PrimaryContainer"]["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }
    stands = bench.look()
    again = bench.deploy()
    assert json.loads(again.output)["change"] == "unchanged"
    assert bench.calls() == []
    assert bench.look() == stands


def test_an_endpoint_may_stand_in_a_network_and_be_under_keys_of_its_own(bench: Bench) -> None:
    network = ("--subnets", "subnet-0123abcd,subnet-0123abce", "--security-groups", "sg-0123abcd")
    told = bench.deploy("--dry-run", *network, "--volume-key", "arn:volume", "--capture-key", "arn:capture")
    assert told.exit_code == 0, (told.output, told.exception)
    by_name = {call.operation: call.parameters for call in bench.logs[-1].calls}
    assert by_name["CreateModel"]["VpcConfig"] == {
        "Subnets": ["subnet-0123abcd", "subnet-0123abce"], "SecurityGroupIds": ["sg-0123abcd"],
    }  # fmt: skip
    assert by_name["CreateEndpointConfig"]["KmsKeyId"] == "arn:volume"
    assert by_name["CreateEndpointConfig"]["DataCaptureConfig"]["KmsKeyId"] == "arn:capture"
    half = bench.deploy("--dry-run", *network[:2])
    assert isinstance(half.exception, ConfigurationError)
    assert half.exception.key == "--security-groups"


def test_a_dry_run_tells_the_calls_and_makes_none_of_them(bench: Bench) -> None:
    told = bench.deploy("--dry-run")
    assert told.exit_code == 0, (told.output, told.exception)
    assert [f"{call['service']}:{call['operation']}" for call in json.loads(told.output)] == CREATED
    assert bench.look() == {"config": None, "configs": [], "models": [], "archives": []}
    bench.deploy()
    really = [(call.operation, call.parameters) for call in bench.logs[-1].calls]
    assert [(call["operation"], call["parameters"]) for call in json.loads(told.output)] == really
    stands = bench.look()
    told = bench.tear_down("--dry-run")
    assert told.exit_code == 0, (told.output, told.exception)
    assert [f"{call['service']}:{call['operation']}" for call in json.loads(told.output)] == REMOVED
    assert bench.look() == stands


def test_the_hooked_model_is_the_plain_one_and_a_variable(bench: Bench) -> None:
    bench.deploy()
    plain = {call.operation: call.parameters for call in bench.logs[-1].calls}["CreateModel"]
    assert (
        json.loads(bench.deploy("--record-to", "s3://captures/tensors/by-hand").output)["change"] == "updated"
    )
    assert bench.calls() == [*CREATED[:3], "sagemaker:UpdateEndpoint"]
    hooked = {call.operation: call.parameters for call in bench.logs[-1].calls}["CreateModel"]
    variables = hooked["PrimaryContainer"]["Environment"]
    assert variables.pop("TENSORS_OUTPUT") == "s3://captures/tensors/by-hand"
    assert variables == plain["PrimaryContainer"]["Environment"]
    assert bench.tear_down().exit_code == 0
    assert bench.look() == {"config": None, "configs": [], "models": [], "archives": []}


@pytest.mark.parametrize("after", range(1, len(CREATED) + 1))
def test_a_deployment_that_dies_after_any_call_is_finished_by_the_next_run(bench: Bench, after: int) -> None:
    died = bench.deploy(crash_after=after)
    assert isinstance(died.exception, Crash)
    assert bench.calls() == CREATED[:after]
    assert bench.deploy().exit_code == 0
    # An archive is sent again unless the endpoint is on it: it is the same bytes under the same name.
    assert [call for call in bench.calls() if call != "s3:PutObject"] == CREATED[max(1, after) :]
    stands = bench.look()
    assert stands["configs"] == stands["models"] == [stands["config"]]


@pytest.mark.parametrize("after", range(1, len(REMOVED) + 1))
def test_a_teardown_that_dies_after_any_call_is_finished_by_the_next_run(bench: Bench, after: int) -> None:
    bench.deploy()
    died = bench.tear_down(crash_after=after)
    assert isinstance(died.exception, Crash)
    finished = bench.tear_down()
    assert finished.exit_code == 0, (finished.output, finished.exception)
    assert bench.look() == {"config": None, "configs": [], "models": [], "archives": []}
    assert json.loads(bench.tear_down().output)["removed"] == []


def test_what_somebody_else_made_or_a_diagnosis_uses_is_left_alone(bench: Bench, endpoints: Any) -> None:
    endpoints.create(endpoints.config("plain"))
    refused = bench.run("teardown", endpoints.prefix, "--no-stack", "--yes")
    assert refused.exit_code != 0
    assert "lacks the tag" in str(refused.exception)
    hooked = "sagewatch-hooked-x"
    sagemaker = bench.aws.client("sagemaker")
    row = sagemaker.describe_endpoint_config(EndpointConfigName=f"{endpoints.prefix}-plain")
    sagemaker.create_endpoint_config(EndpointConfigName=hooked, ProductionVariants=row["ProductionVariants"])
    sagemaker.update_endpoint(EndpointName=endpoints.prefix, EndpointConfigName=hooked)
    endpoints.settle()
    refused = bench.run("teardown", endpoints.prefix, "--no-stack", "--yes")
    assert "a diagnosis is recording on it" in str(refused.exception)
    assert endpoints.describe()["EndpointConfigName"] == hooked


def test_an_endpoint_that_somebody_else_made_is_not_moved_to_our_model(bench: Bench, endpoints: Any) -> None:
    theirs = endpoints.config("plain")
    endpoints.create(theirs)
    words = ("--bucket", "captures", "--role", ROLE, "--image", "i", *bench.files)
    for more in ((), ("--dry-run",)):
        refused = bench.run("deploy-endpoint", endpoints.prefix, *words, *more)
        assert "lacks the tag" in str(refused.exception)
        assert bench.calls() == []
    assert endpoints.describe()["EndpointConfigName"] == theirs
    # Whoever means it says so by the tag.
    arn = endpoints.describe()["EndpointArn"]
    tag = {"Key": "sagewatch:endpoint", "Value": endpoints.prefix}
    bench.aws.client("sagemaker").add_tags(ResourceArn=arn, Tags=[tag])
    taken = bench.run("deploy-endpoint", endpoints.prefix, *words)
    assert json.loads(taken.output)["change"] == "updated"


def test_an_endpoint_on_its_way_to_its_recording_configuration_is_not_torn_down(bench: Bench) -> None:
    bench.deploy()
    described = bench.aws.client("sagemaker").describe_endpoint(EndpointName=NAME)
    assert not is_recording(described)
    assert is_recording(
        described | {"PendingDeploymentSummary": {"EndpointConfigName": "sagewatch-hooked-x"}}
    )
    assert is_recording(described | {"EndpointConfigName": "sagewatch-hooked-x"})


def test_an_endpoint_that_will_not_go_is_said_so_and_what_it_stands_on_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.deploy()
    stands = bench.look()
    with monkeypatch.context() as slow:
        slow.setattr(Endpoint, "delete", lambda self: None)  # AWS took the request and takes its time
        # The package's attribute of that name is the command.
        slow.setattr(importlib.import_module("sagewatch.cli.teardown"), "LONGEST_SECONDS", 2)
        refused = bench.tear_down()
    assert refused.exit_code != 0
    assert "run it again" in str(refused.exception)
    assert bench.look() == stands


def test_both_commands_say_which_region_they_lack_and_look_for_the_stack_in_the_one_that_is_given(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    deploying = ("deploy-endpoint", NAME, "--bucket", "captures", "--role", ROLE, *bench.files)
    for words in (deploying, ("teardown", NAME, "--no-stack", "--yes")):
        assert "which region" in str(bench.run(*words).exception).lower()
    found = bench.run("teardown", NAME, "--stack", "none", "--yes", "--region", "eu-west-1")
    assert "No stack none in eu-west-1" in str(found.exception)


def test_it_asks_before_it_removes(bench: Bench) -> None:
    bench.deploy()
    stands = bench.look()
    asked = CliRunner().invoke(cli, ["teardown", NAME, "--no-stack"], input="n\n")
    assert asked.exit_code != 0
    assert "Its captures stay" in asked.output
    assert bench.look() == stands


def test_a_changing_call_is_told_with_its_body_left_out() -> None:
    session = boto3.session.Session(region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    log = CallLog(session, dry=True)
    session.client("s3").put_object(Bucket="b", Key="k", Body=b"12345")
    assert log.tell() == 's3:PutObject {"Bucket": "b", "Key": "k", "Body": "(5 bytes)"}'
