"""What a command says where AWS did not do it: the cause and what to do, and nothing that nobody knows."""

from __future__ import annotations

import boto3
import pytest
from botocore import exceptions as aws
from botocore.stub import Stubber

from sagewatch.cli import main
from sagewatch.cli.failures import tell_aws_failure, tell_retry
from sagewatch.cli.store import StackNotFoundError, StackUnseenError, read_outputs
from sagewatch.errors import ConflictError, RetryError


def refusal(code, message="so it is"):
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "Query")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal("ExpiredTokenException"), "does not take these credentials .*sign in again"),
        (refusal("AccessDeniedException", "may not dynamodb:Query"), "refuses you Query: may not dynamodb:Query. Ask for that"),
        (refusal("ResourceNotFoundException"), "AWS said no: .*so it is"),
        (aws.NoCredentialsError(), "no credentials .*sign in again"),
        (aws.UnauthorizedSSOTokenError(), "no credentials .*sign in again"),
        (aws.NoRegionError(), "AWS_DEFAULT_REGION"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "was not reached: .*network"),
        (aws.ProfileNotFound(profile="p"), "was not asked: .*p"),
    ],
)  # fmt: skip
def test_an_error_of_aws_says_what_is_wrong_and_what_to_do(error, said):
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(tell_aws_failure(error))


def test_what_may_have_been_done_is_told_as_that():
    assert "may have been done" in tell_retry(RetryError("ReadTimeoutError", perhaps_taken=True))
    assert "may have been done" not in tell_retry(RetryError("ThrottlingException"))
    assert tell_retry(ConflictError("item_was_changed")).startswith("Somebody else")


class Session:
    region_name = "eu-west-1"

    def __init__(self, code, status=400):
        self._made = boto3.client(
            "cloudformation", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        self._stub = Stubber(self._made)
        self._stub.add_client_error("describe_stacks", code, "words", status)
        self._stub.activate()

    def client(self, _):
        return self._made


def test_a_stack_that_is_not_there_and_one_that_nobody_could_look_at_are_told_apart():
    with pytest.raises(StackNotFoundError, match=r"No stack s in eu-west-1: .*--stack"):
        read_outputs("s", Session("ValidationError"))
    for code in ("ExpiredToken", "AccessDenied"):
        with pytest.raises(StackUnseenError) as raised:
            read_outputs("s", Session(code, 403))
        assert "No stack" not in str(raised.value)
        assert "could not be looked at" in str(raised.value)


def test_without_a_network_no_command_says_that_there_is_no_stack(monkeypatch, capsys):
    for name, value in (
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_MAX_ATTEMPTS", "1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["sagewatch", "explain", "20261121"])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert said.startswith(
        "sagewatch: Stack sagewatch-dev in eu-west-1 could not be looked at. AWS was not reached"
    )
    assert "No stack" not in said
