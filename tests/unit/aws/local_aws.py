"""Services of AWS that are whatever listens at a port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sagewatch.aws import client


@contextmanager
def aws_at(port: int, service: str, *others: str) -> Iterator[None]:
    """The services, as environment variables spell them (``S3``, ``SESV2``), are the server at the port."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (service, *others):
            patch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        client.build_client.cache_clear()
        yield
        client.build_client.cache_clear()
