"""moto's own server, without our gaps filled: canaries say when it behaves otherwise than we assume."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sagewatch.sandbox.processes import Child, bound_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def moto_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Makes clients of an unfilled moto."""
    directory = tmp_path_factory.mktemp("moto")
    with bound_socket(0, "a canary") as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    child = Child(
        "moto",
        ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        environment={"AWS_DEFAULT_REGION": REGION, "VALIDATE_LAMBDA_S3": "0"},
        log=directory / "moto.log",
        outbound_log=directory / "outbound.log",
    )
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/", timeout=2):
                break
        except (urllib.error.URLError, ConnectionError):
            assert child.running, (directory / "moto.log").read_text()
            assert time.monotonic() < deadline, "moto did not start"
            time.sleep(0.1)

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    yield client
    child.stop()
