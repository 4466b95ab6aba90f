"""`LocalAws`: the whole local AWS as one context manager. Start here."""

from __future__ import annotations

import logging
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

from sagewatch.sandbox.deployment import Deployment, create_stack
from sagewatch.sandbox.errors import ChildFailedError, DiskFullError, SandboxError
from sagewatch.sandbox.function_urls import FunctionUrls, list_public_functions
from sagewatch.sandbox.moto_server import ACCOUNT_ID
from sagewatch.sandbox.processes import Child, bound_socket
from sagewatch.sandbox.queue_poller import WorkerSettings
from sagewatch.sandbox.sagemaker.service import SageMakerService, SageMakerSettings
from sagewatch.sandbox.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from sagewatch.sandbox.sagemaker.faults import Faults

NEEDED_BYTES = 500 * 2**20
START_TIMEOUT_SECONDS = 60.0
# The SDK reports every call to AWS unless told otherwise; here nothing may call out.
SAGEMAKER_SDK_CONFIG = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on 127.0.0.1; 0 takes a free one."""

    aws: int = 0
    sagemaker: int = 0


class LocalAws:
    """moto with its gaps filled, a SageMaker that hosts and processes, and a Lambda runtime; all on 127.0.0.1.

    Parameters
    ----------
    directory
        Holds everything: logs, models, jobs, unpacked functions. Made if absent.
    region
        The only region that is spoken of.
    ports
        Where to listen.
    worker
        Pace of the Lambda runtime.
    sagemaker
        Pace of SageMaker, and where processing programs lie.
    mail_port
        Where a mail server on this machine takes what SES sends; None: nobody does.

    Raises
    ------
    DiskFullError, PortInUseError, ChildFailedError
        From `start` (or on entering): each says what to do.

    Examples
    --------
    Enter it, `deploy` what osls compiled, `start_functions`, and use boto3 clients from `client`::

        with LocalAws(Path("sandbox")) as aws:
            outputs = aws.deploy(Path(".serverless/cloudformation-template-update-stack.json"), Path(".serverless"))
            aws.start_functions()
            aws.client("s3").put_object(Bucket=outputs["CaptureBucketName"], Key="capture/...", Body=b"...")
    """

    def __init__(
        self,
        directory: Path,
        region: str = "eu-west-1",
        *,
        ports: Ports | None = None,
        worker: WorkerSettings | None = None,
        sagemaker: SageMakerSettings | None = None,
        mail_port: int | None = None,
    ) -> None:
        self._mail_port = mail_port
        self.directory = directory.resolve()
        self.region = region
        self.logs = self.directory / "logs"
        self.outbound_log = self.directory / "outbound.log"
        self.deployment = Deployment()
        self._ports = ports or Ports()
        self._worker_settings = worker or WorkerSettings()
        self._sagemaker_settings = sagemaker or SageMakerSettings()
        self._moto: Child | None = None
        self._moto_url = ""
        self._sagemaker: SageMakerService | None = None
        self._worker: Worker | None = None
        self._urls: FunctionUrls | None = None
        self._clients: dict[str, Any] = {}
        self._handler: logging.Handler | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which any AWS program talks to this local AWS, and to nothing else."""
        sagemaker_url = self.sagemaker.url
        config = str(self.directory / "sagemaker-sdk.yaml")
        return {
            "AWS_ENDPOINT_URL": self._moto_url,
            "AWS_ENDPOINT_URL_SAGEMAKER": sagemaker_url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": sagemaker_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",  # moto asks for some key, never which
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": config,
            "SAGEMAKER_USER_CONFIG_OVERRIDE": config,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    @property
    def sagemaker(self) -> SageMakerService:
        """The local SageMaker."""
        if self._sagemaker is None:
            msg = "The local AWS is not started."
            raise SandboxError(msg)
        return self._sagemaker

    @property
    def faults(self) -> Faults:
        """What the local SageMaker is told to do wrong."""
        return self.sagemaker.faults

    @property
    def worker(self) -> Worker:
        """The running functions."""
        if self._worker is None:
            msg = "No functions are running: call start_functions first."
            raise SandboxError(msg)
        return self._worker

    def client(self, service: str) -> Any:
        """A boto3 client of the local AWS; one a service, usable from any thread."""
        if service not in self._clients:
            local = service in {"sagemaker", "sagemaker-runtime"}
            self._clients[service] = boto3.session.Session().client(
                service,
                region_name=self.region,
                endpoint_url=self.sagemaker.url if local else self._moto_url,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(
                    max_pool_connections=50,
                    retries={"total_max_attempts": 3, "mode": "standard"},
                    read_timeout=90,
                    proxies={},
                ),
            )
        return self._clients[service]

    def start(self) -> None:
        """Start moto and SageMaker and wait until they answer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        free = shutil.disk_usage(self.directory).free
        if free < NEEDED_BYTES:
            raise DiskFullError(self.directory, free, NEEDED_BYTES)
        (self.directory / "sagemaker-sdk.yaml").write_text(SAGEMAKER_SDK_CONFIG, encoding="utf-8")
        self._log_to_file()
        try:
            self._start_moto()
            self._sagemaker = SageMakerService(self, self._ports.sagemaker, self._sagemaker_settings)
            self._sagemaker.start()
            self._wait_for_moto()
        except BaseException:  # KeyboardInterrupt too: no child may stay
            self.stop()
            raise

    def deploy(
        self, compiled_template: Path, artifacts: Path, parameters: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Create the stack that osls compiled, in one call, and unpack the functions' packages.

        Parameters
        ----------
        compiled_template
            `.serverless/cloudformation-template-update-stack.json`.
        artifacts
            Directory of the packages, `.serverless`.
        parameters
            CloudFormation parameters that differ from their defaults.

        Returns
        -------
        dict[str, str]
            The stack's outputs.

        Raises
        ------
        StackFailedError
            With resource and reason.
        ArtifactMissingError
            A package is not there.
        """
        self.deployment = create_stack(
            self.client("cloudformation"),
            compiled_template,
            artifacts,
            self.directory / "functions",
            parameters,
        )
        return dict(self.deployment.outputs)

    def start_functions(self) -> None:
        """Start every deployed function, its queue poller and its schedules."""
        self._worker = Worker(
            self,
            self.deployment.code,
            environment=self.environment,
            logs=self.logs,
            outbound_log=self.outbound_log,
            settings=self._worker_settings,
        )
        self._worker.start()
        public = list_public_functions(self, self.deployment.code)
        self._urls = FunctionUrls(public, self._worker.invoke)
        self._urls.start()

    def find_function_url(self, name: str) -> str:
        """Where a function that was deployed with an address (`url: true`) is called."""
        if self._urls is None:
            msg = "No functions are running: call start_functions first."
            raise SandboxError(msg)
        found = next((one for one in self.deployment.code if one.endswith(f"-{name}")), name)
        return self._urls.find_url(found)

    def outbound_attempts(self) -> list[str]:
        """One line of JSON for each connection to elsewhere that a child tried; empty is as it should be."""
        if not self.outbound_log.exists():
            return []
        return self.outbound_log.read_text(encoding="utf-8").splitlines()

    def stop(self) -> None:
        """End every process and server. Doing it twice does nothing."""
        if self._urls is not None:
            self._urls.stop()
            self._urls = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._sagemaker is not None:
            self._sagemaker.stop()
            self._sagemaker = None
        if self._moto is not None:
            self._moto.stop()
            self._moto = None
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._stop_logging()

    def _start_moto(self) -> None:
        with bound_socket(self._ports.aws, "the local AWS") as listener:
            self._moto_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            mail = [] if self._mail_port is None else ["--mail-port", str(self._mail_port)]
            self._moto = Child(
                "moto",
                ["-m", "sagewatch.sandbox.moto_server", "--fd", str(listener.fileno()), *mail],
                environment={
                    "AWS_DEFAULT_REGION": self.region,
                    "MOTO_ACCOUNT_ID": ACCOUNT_ID,
                    # Packages are unpacked from the directory of osls, not uploaded.
                    "VALIDATE_LAMBDA_S3": "0",
                },
                log=self.logs / "moto.log",
                outbound_log=self.outbound_log,
                pass_fds=[listener.fileno()],
            )

    def _wait_for_moto(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._moto is None or not self._moto.running:
                raise ChildFailedError("moto", "ended while starting", self.logs / "moto.log")
            try:
                with urllib.request.urlopen(f"{self._moto_url}/moto-api/", timeout=5):  # noqa: S310  our own
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
        raise ChildFailedError("moto", "did not answer in time", self.logs / "moto.log")

    def _log_to_file(self) -> None:
        logger = logging.getLogger("sagewatch.sandbox")
        self._handler = logging.FileHandler(self.logs / "sandbox.log", delay=True)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(self._handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # nothing of it belongs on the terminal

    def _stop_logging(self) -> None:
        if self._handler is not None:
            logger = logging.getLogger("sagewatch.sandbox")
            logger.removeHandler(self._handler)
            logger.propagate = not logger.handlers
            self._handler.close()
            self._handler = None
