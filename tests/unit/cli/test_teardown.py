"""Taking an endpoint down again after a run that was cut off: what is being deleted goes when it likes."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import boto3
from moto import mock_aws


def test_an_endpoint_that_is_gone_between_two_looks_was_removed(monkeypatch):
    """The run before asked for it: nothing more is asked of an endpoint that may not be there any more."""
    looks = iter([SimpleNamespace(endpoint_status="Deleting"), None])
    teardown = import_module("sagewatch.cli.teardown")  # the package's own name of it is the command
    monkeypatch.setattr(teardown, "find", lambda *_, **__: next(looks))
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="eu-west-1")
        assert teardown.remove_endpoint("signs", session, {}, poll_seconds=0) == ["endpoint signs"]
    assert next(looks, "all asked for") == "all asked for"
