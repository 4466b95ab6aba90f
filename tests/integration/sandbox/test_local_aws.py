"""Starting and ending a local AWS: taken ports, full disks, missing packages, killed parents."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sagewatch.sandbox import local_aws
from sagewatch.sandbox.errors import (
    ArtifactMissingError,
    ChildFailedError,
    DiskFullError,
    NotSupportedLocallyError,
    PortInUseError,
)
from sagewatch.sandbox.local_aws import LocalAws, Ports
from sagewatch.sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def taken_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("service", ["aws", "sagemaker"])
def test_a_taken_port_is_a_sentence_and_nothing_stays_behind(
    tmp_path: Path, taken_port: int, service: str
) -> None:
    with pytest.raises(PortInUseError, match=rf"Port {taken_port} .* is in use .*or choose another port"):
        LocalAws(tmp_path, ports=Ports(**{service: taken_port})).start()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(local_aws.shutil, "disk_usage", lambda _: usage._replace(free=5 * 2**20))
    with pytest.raises(DiskFullError, match=r"has 5 MB free, the sandbox needs 500 MB"):
        LocalAws(tmp_path).start()


def test_a_missing_package_is_a_sentence(aws: LocalAws, tmp_path: Path) -> None:
    template = tmp_path / "compiled.json"
    code = {"S3Bucket": "b", "S3Key": "serverless/x/tick.zip"}
    function = {"Type": "AWS::Lambda::Function", "Properties": {"Code": code}}
    template.write_text(json.dumps({"Resources": {"TickLambdaFunction": function}}))
    with pytest.raises(ArtifactMissingError, match=r"tick\.zip: run `make package` first"):
        aws.deploy(template, tmp_path)


def test_everything_listens_on_loopback_only(aws: LocalAws, endpoints: Any) -> None:
    endpoints.create(endpoints.config("plain"))
    psutil = pytest.importorskip("psutil")
    me = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in [me, *me.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3
    assert set(listening) == {"127.0.0.1"}
    assert aws.environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


STORY = """
import pathlib, sys, time
from sagewatch.sandbox.local_aws import LocalAws
aws = LocalAws(pathlib.Path(sys.argv[1]))
aws.start()
print(aws._moto.process.pid, flush=True)
time.sleep(100)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_children_end_with_a_parent_that_is_killed(
    tmp_path: Path, eventually: Callable[..., Any], how: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STORY, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    moto = int(parent.stdout.readline())
    assert is_running(moto)
    parent.send_signal(how)
    parent.wait()
    assert eventually(lambda: not is_running(moto), 10)


def test_a_child_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(
        "odd",
        ["-c", "raise SystemExit('this is why')"],
        environment={},
        log=tmp_path / "odd.log",
        outbound_log=tmp_path / "outbound.log",
    )
    child.process.wait()
    child.stop()
    assert "this is why" in str(ChildFailedError("odd", "ended", child.log))


def test_a_forked_grandchild_ends_too(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    program = "import os, time; pid = os.fork(); print(pid, flush=True) if pid else None; time.sleep(100)"
    child = Child(
        "forking",
        ["-c", program],
        environment={},
        log=tmp_path / "log",
        outbound_log=tmp_path / "outbound.log",
        capture_stdout=True,
    )
    grandchild = int(child.stdout.readline())
    child.kill()
    assert eventually(lambda: not is_running(grandchild), 10)
    child.stdout.close()


CONNECT = """
import socket, sys
for attempt in (
    lambda: socket.create_connection(("192.0.2.7", 443), timeout=1),
    lambda: socket.getaddrinfo("example.com", 80),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.8", 53)),
    lambda: socket.socket().bind(("0.0.0.0", 0)),
):
    try:
        attempt()
    except OSError as error:
        print(type(error).__name__)
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname()).close()
print("loopback works")
"""


def test_no_child_can_call_out_or_listen_elsewhere(tmp_path: Path) -> None:
    child = Child(
        "calling",
        ["-c", CONNECT],
        environment={},
        log=tmp_path / "log",
        outbound_log=tmp_path / "outbound.log",
    )
    child.process.wait(20)
    child.stop()
    said = (tmp_path / "log").read_text().split("\n")
    assert said[:5] == ["OutboundConnectionError"] * 4 + ["loopback works"]
    hosts = [json.loads(line)["host"] for line in (tmp_path / "outbound.log").read_text().splitlines()]
    assert hosts == ["192.0.2.7", "example.com", "192.0.2.8", "0.0.0.0"]


def test_an_isolated_child_listens_and_calls_nobody_at_all(tmp_path: Path) -> None:
    program = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
for attempt in (
    lambda: socket.create_connection(listener.getsockname(), timeout=1),
    lambda: socket.getaddrinfo("localhost", 80),
):
    try:
        attempt()
    except OSError as error:
        print(type(error).__name__)
"""
    child = Child(
        "isolated",
        ["-c", program],
        environment={},
        log=tmp_path / "log",
        outbound_log=tmp_path / "outbound.log",
        isolated=True,
    )
    child.process.wait(20)
    child.stop()
    assert (tmp_path / "log").read_text().split() == ["OutboundConnectionError"] * 2


def test_a_handler_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    from tests.integration.sandbox.conftest import function_of, small_template, write_package

    template = small_template(tmp_path / "seen")
    wanted = ("Role", "Table", "SmallLambdaFunction")
    template = {"Resources": {key: template["Resources"][key] for key in wanted}}
    template["Resources"]["SmallLambdaFunction"] = function_of(tmp_path / "seen")
    with LocalAws(tmp_path / "sandbox") as aws:
        aws.deploy(*write_package(tmp_path / "package", template, "import nothing_of_this_name"))
        with pytest.raises(ChildFailedError, match="No module named 'nothing_of_this_name'") as failed:
            aws.start_functions()
        assert failed.value.reason == "ended loading its handler", "seen at once, not waited out"


def test_a_mapping_that_filters_is_refused_rather_than_ignored() -> None:
    from sagewatch.sandbox.source_queue import parse_mapping

    with pytest.raises(NotSupportedLocallyError, match="FilterCriteria is not supported"):
        parse_mapping(
            {
                "EventSourceArn": "arn:q",
                "FunctionArn": "arn:f",
                "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
            }
        )
