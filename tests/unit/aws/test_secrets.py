"""Secrets: from two stores, known for a while, picked up when rotated, told to nobody."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from sagewatch.aws import client
from sagewatch.aws.client import HASTY
from sagewatch.aws.secrets import Secrets
from sagewatch.errors import ConfigurationError, RetryError
from sagewatch.memory.world import MemoryClock
from tests.aws_in_process import empty_aws
from tests.unit.aws.test_http import serve

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def secrets():
    """Secrets of an AWS that holds one secret and one parameter."""
    with empty_aws():
        boto3.client("secretsmanager").create_secret(Name="sagewatch/slack", SecretString="xoxb-1")
        boto3.client("ssm").put_parameter(Name="/sagewatch/slack", Value="xoxb-2", Type="SecureString")
        yield Secrets(MemoryClock(NOW))


def rotate(value):
    boto3.client("secretsmanager").put_secret_value(SecretId="sagewatch/slack", SecretString=value)


def test_a_secret_comes_from_secrets_manager_and_a_parameter_from_ssm(secrets):
    assert secrets.get_secret("sagewatch/slack") == "xoxb-1"
    assert secrets.get_secret("ssm:/sagewatch/slack") == "xoxb-2"


def test_a_rotated_secret_is_picked_up_when_the_known_one_is_five_minutes_old(secrets):
    assert secrets.get_secret("sagewatch/slack") == "xoxb-1"
    rotate("xoxb-9")
    secrets._now.move(timedelta(minutes=4, seconds=59))
    assert secrets.get_secret("sagewatch/slack") == "xoxb-1"
    secrets._now.move(timedelta(seconds=1))
    assert secrets.get_secret("sagewatch/slack") == "xoxb-9"


def test_whoever_was_refused_is_given_the_secret_as_it_is_now_but_not_at_every_request(secrets):
    secrets.get_secret("sagewatch/slack")
    rotate("xoxb-9")
    assert secrets.refresh_secret("sagewatch/slack") == "xoxb-1"
    secrets._now.move(timedelta(seconds=11))
    assert secrets.refresh_secret("sagewatch/slack") == "xoxb-9"


@pytest.mark.parametrize("name", ["sagewatch/none", "ssm:/sagewatch/none"])
def test_a_secret_that_is_not_there_is_named(secrets, name):
    with pytest.raises(ConfigurationError) as error:
        secrets.get_secret(name)
    assert error.value.key == name.removeprefix("ssm:")


@pytest.mark.parametrize("value", [" ", "\n"])
def test_an_empty_secret_is_none(secrets, value):
    rotate(value)
    with pytest.raises(ConfigurationError, match="is empty"):
        secrets.get_secret("sagewatch/slack")


def test_a_secret_never_shows_in_what_is_printed(secrets):
    secrets.get_secret("sagewatch/slack")
    assert "xoxb" not in repr(secrets)


def test_a_secret_that_waits_for_its_deletion_is_named(secrets):
    boto3.client("secretsmanager").delete_secret(SecretId="sagewatch/slack")
    with pytest.raises(ConfigurationError, match=r"cannot be read \(InvalidRequestException\)") as error:
        secrets.get_secret("sagewatch/slack")
    assert error.value.key == "sagewatch/slack"


def test_a_secret_of_bytes_is_named(secrets):
    boto3.client("secretsmanager").create_secret(Name="sagewatch/bytes", SecretBinary=b"xoxb-1")
    with pytest.raises(ConfigurationError, match="is binary") as error:
        secrets.get_secret("sagewatch/bytes")
    assert "xoxb" not in str(error.value)


@pytest.mark.parametrize("name", ["sagewatch/slack", "ssm:/sagewatch/slack"])
def test_whoever_is_in_a_hurry_hears_within_a_second_that_the_store_is_slow(name, monkeypatch):
    done = threading.Event()
    with serve(lambda _: done.wait(10)) as (port, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        client.build_client.cache_clear()
        hasty = Secrets(MemoryClock(NOW), HASTY)
        (
            client.build_client("ssm", HASTY),
            client.build_client("secretsmanager", HASTY),
        )  # the files of botocore
        began = time.monotonic()
        with pytest.raises(RetryError):
            hasty.get_secret(name)
        spent = time.monotonic() - began
        done.set()
        client.build_client.cache_clear()
    assert len(seen) == 1
    assert spent < 2.5


@pytest.mark.parametrize("name", ["sagewatch/slack", "ssm:/sagewatch/slack"])
def test_a_store_that_fails_says_nothing_of_a_message(name, monkeypatch):
    def fail(handler):
        handler.send_response(500)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serve(fail) as (port, _):
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(variable, "testing")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        client.build_client.cache_clear()
        with pytest.raises(RetryError) as error:
            Secrets(MemoryClock(NOW), HASTY).get_secret(name)
        client.build_client.cache_clear()
    assert not error.value.perhaps_taken
