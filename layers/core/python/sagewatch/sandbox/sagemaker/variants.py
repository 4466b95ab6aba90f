"""Model containers of an endpoint: fetched, started, asked whether they live, invoked, ended."""

from __future__ import annotations

import http.client
import itertools
import logging
import tarfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from sagewatch.sandbox.errors import last_lines
from sagewatch.sandbox.processes import Child, bound_socket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOG = logging.getLogger(__name__)
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
# One core each, unless the model says otherwise: the sandbox has few.
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
INVOKE_TIMEOUT_SECONDS = 60.0
DRAIN_SECONDS = 5.0


class LocalClients(Protocol):
    """What the local SageMaker needs of the local AWS."""

    directory: Path
    logs: Path
    outbound_log: Path
    region: str

    @property
    def environment(self) -> dict[str, str]:
        """Where the local AWS is, for children."""

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS."""


class UnhealthyVariantError(Exception):
    """A container never answered /ping."""

    def __init__(self, variant: str, reason: str) -> None:
        super().__init__(
            f"The container of production variant {variant} did not pass the ping health check: {reason}"
        )
        self.variant = variant
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ContainerAnswer:
    """What a model answered."""

    status: int
    content_type: str
    body: bytes


def container_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container definition of a model: the primary one, or the first of several."""
    found: Mapping[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return found


def fetch_model(s3: Any, url: str | None, directory: Path) -> None:
    """Unpack a model.tar.gz from S3 into a directory; members that would leave it are refused.

    Raises
    ------
    tarfile.FilterError
        A member points outside.
    """
    directory.mkdir(parents=True)
    if url is None:
        return
    bucket, _, key = url.removeprefix("s3://").partition("/")
    archive = directory.with_suffix(".tar.gz")
    s3.download_file(bucket, key, str(archive))
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    archive.unlink()


class HostedVariant:
    """One production variant: one container process, and the requests that are inside it."""

    def __init__(self, name: str, config: Mapping[str, Any], child: Child, port: int) -> None:
        self.name = name
        self.config = config
        self._child = child
        self._port = port
        self._inside = 0
        self._idle = threading.Condition()

    def healthy(self) -> bool:
        """Whether /ping answers 200 now."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_until_healthy(self, timeout_seconds: float) -> None:
        """Wait for the model to load.

        Raises
        ------
        UnhealthyVariantError
            The process ended, or the time is up.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self.healthy():
            if not self._child.running:
                raise UnhealthyVariantError(self.name, f"it ended.{last_lines(self._child.log)}")
            if time.monotonic() > deadline:
                raise UnhealthyVariantError(self.name, f"no answer in {timeout_seconds:g} s")
            time.sleep(0.1)

    def invoke(self, body: bytes, content_type: str | None, accept: str | None) -> ContainerAnswer:
        """Send one request into the container.

        Raises
        ------
        OSError
            The container is gone.
        """
        headers = {"Content-Type": content_type or "application/octet-stream"}
        if accept:
            headers["Accept"] = accept
        with self._idle:
            self._inside += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=INVOKE_TIMEOUT_SECONDS)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            answer_type = response.getheader("Content-Type", "application/octet-stream")
            return ContainerAnswer(response.status, answer_type, response.read())
        finally:
            connection.close()
            with self._idle:
                self._inside -= 1
                self._idle.notify_all()

    def stop(self) -> None:
        """Let the requests inside finish, then end the container."""
        with self._idle:
            self._idle.wait_for(lambda: self._inside == 0, DRAIN_SECONDS)
        self._child.stop()

    def kill(self) -> None:
        """End the container at once."""
        self._child.kill()


class Fleet:
    """All variants of one endpoint config, running."""

    def __init__(self, variants: Sequence[HostedVariant]) -> None:
        self.variants = variants

    def stop(self) -> None:
        """End every variant."""
        for variant in self.variants:
            variant.stop()


class ContainerHost:
    """Starts containers.

    Parameters
    ----------
    aws
        The local AWS.
    startup_timeout_seconds
        How long a model may take to load.
    """

    def __init__(self, aws: LocalClients, startup_timeout_seconds: float) -> None:
        self._aws = aws
        self._startup_timeout_seconds = startup_timeout_seconds
        self._started: list[HostedVariant] = []
        self._closed = False
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start_fleet(
        self, endpoint: str, config: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
    ) -> Fleet:
        """Start every variant of a config and wait until all are healthy; none stays if one is not.

        Raises
        ------
        UnhealthyVariantError
            Naming the variant and why: its model cannot be fetched or unpacked, it ended, it never answered.
        """
        variants: list[HostedVariant] = []
        try:
            for variant in config["ProductionVariants"]:
                variants.append(self._start(endpoint, variant, models[variant["ModelName"]]))  # noqa: PERF401  kept for the except
            for hosted in variants:
                hosted.wait_until_healthy(self._startup_timeout_seconds)
        except BaseException:
            for hosted in variants:
                hosted.stop()
            raise
        return Fleet(variants)

    def _start(self, endpoint: str, variant: Mapping[str, Any], model: Mapping[str, Any]) -> HostedVariant:
        name = variant["VariantName"]
        number = next(self._numbers)
        container = container_of(model)
        root = self._aws.directory / "hosting" / f"{number:03d}-{endpoint}-{name}"
        url = container.get("ModelDataUrl")
        try:
            fetch_model(self._aws.client("s3"), url, root / "model")
        except (ClientError, tarfile.TarError, OSError) as error:
            raise UnhealthyVariantError(name, f"{url}: {error}") from error
        environment = {**THREADS, **self._aws.environment, **container.get("Environment", {})}
        with bound_socket(0, "a model container") as listener:
            port = int(listener.getsockname()[1])
            child = Child(
                f"container of {endpoint}/{name}",
                [
                    *("-m", "sagewatch.sandbox.sagemaker.hosting"),
                    *("--fd", str(listener.fileno()), "--model-directory", str(root / "model")),
                    *("--workers", environment.get(WORKERS, "1")),
                ],
                environment={**environment, "SAGEMAKER_BASE_DIR": str(root)},
                log=self._aws.logs / f"container-{number:03d}-{endpoint}-{name}.log",
                outbound_log=self._aws.outbound_log,
                pass_fds=[listener.fileno()],
                directory=root / "model",
                isolated=bool(model.get("EnableNetworkIsolation")),
            )
        LOG.info("container_started endpoint=%s variant=%s port=%d", endpoint, name, port)
        hosted = HostedVariant(name, variant, child, port)
        with self._lock:
            self._started.append(hosted)
            if self._closed:
                hosted.kill()
        return hosted

    def close(self) -> None:
        """End every container, and every one that is just being started."""
        with self._lock:
            self._closed = True
            for hosted in self._started:
                hosted.kill()
