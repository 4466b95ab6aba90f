"""The endpoint in its server process, several workers on one S3: no request's tensors are lost."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import numpy as np
import pytest

from tests.endpoint_under_test import ENDPOINT_CODE, ROOT, WEIGHTS, encode_npy

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
REQUESTS = 24
S3_ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


@pytest.fixture
def s3(monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    for key, value in S3_ENVIRONMENT.items():
        monkeypatch.setenv(key, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="tensors", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield client
    reset = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")  # noqa: TID251
    urllib.request.urlopen(reset, timeout=10).close()
    server.stop()


@pytest.fixture
def model_directory(tmp_path):
    """What `model.tar.gz` unpacks to."""
    shutil.copytree(ENDPOINT_CODE, tmp_path / "code", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (tmp_path / "model.pt").write_bytes(WEIGHTS.read_bytes())
    return tmp_path


@pytest.fixture
def serve(model_directory):
    """Start the container's process: serve(workers, **environment) -> URL."""
    started = []

    def start(workers, **environment):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        os.set_inheritable(listener.fileno(), True)
        inherited = {key: value for key, value in os.environ.items() if key != "TENSORS_OUTPUT"}  # noqa: TID251
        process = subprocess.Popen(
            [
                sys.executable, "-m", "sagewatch.sandbox.sagemaker.hosting", "--fd", str(listener.fileno()),
                "--model-directory", str(model_directory), "--workers", str(workers),
            ],
            cwd=ROOT,
            env={**inherited, "SAGEMAKER_PROGRAM": "inference.py", **environment},
            pass_fds=[listener.fileno()],
        )  # fmt: skip
        started.append(process)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        wait_for(url, process)
        return url, process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(url, process):
    for _ in range(600):
        assert process.poll() is None, "the container ended"
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    pytest.fail("the container never answered /ping")


def invoke(url, body, content_type="application/x-npy"):
    request = urllib.request.Request(f"{url}/invocations", data=body, headers={"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def index_keys(s3):
    objects = s3.list_objects_v2(Bucket="tensors").get("Contents", [])
    return [each["Key"] for each in objects if "/index/" in each["Key"]]


def list_workers(s3):
    """Each writes below a prefix of its own."""
    return {key.split("/")[1] for key in index_keys(s3)}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_request_leaves_one_index_object_within_a_second_whichever_worker_answered(s3, serve, workers):
    """The first worker that is up answers alone: requests are sent until every worker recorded some."""
    from sagewatch.sandbox.signs import draw_sign

    url, _ = serve(workers, TENSORS_OUTPUT="s3://tensors/run")
    rng = np.random.default_rng(0)
    bodies = [encode_npy(draw_sign(int(rng.integers(43)), rng)) for _ in range(REQUESTS)]
    answers, enough = [], time.monotonic() + 60
    with ThreadPoolExecutor(4) as pool:
        while not answers or (len(list_workers(s3)) < workers and time.monotonic() < enough):
            answers += pool.map(lambda body: invoke(url, body), bodies)
    assert all(answer.startswith(b"[[") for answer in answers)
    deadline = time.monotonic() + 10  # a second on a quiet machine
    while len(index_keys(s3)) < len(answers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(index_keys(s3)) == len(answers)
    assert len(list_workers(s3)) == workers


def test_a_container_that_is_told_to_stop_still_writes_what_it_answered(s3, serve):
    from sagewatch.sandbox.signs import draw_sign

    url, process = serve(1, TENSORS_OUTPUT="s3://tensors/run")
    body = encode_npy(draw_sign(14, np.random.default_rng(0)))
    for _ in range(5):
        invoke(url, body)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert len(index_keys(s3)) == 5


def test_bad_input_is_a_4xx_with_a_sentence_over_http_too(serve):
    url, _ = serve(1)
    for content_type, status in [("text/csv", 415), ("image/png", 400)]:
        with pytest.raises(urllib.error.HTTPError) as refused:
            invoke(url, b"1,2,3", content_type)
        assert refused.value.code == status
        assert refused.value.read().decode().splitlines()[0].endswith(".")
