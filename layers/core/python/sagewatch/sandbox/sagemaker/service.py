"""The local SageMaker as one HTTP server: control plane (json-1.1), runtime (rest-json) and an admin route.

Admin, for tests in another process: `GET /_admin/faults`, `POST /_admin/faults` with
`{"fault": "throttle", "times": 2, "operation": "UpdateEndpoint", "seconds": 0}`, `DELETE /_admin/faults`,
`POST /_admin/flush` (writes the captures that are held), `POST /_admin/schedules` with `{"schedule": "name"}` and
perhaps `"start"` and `"end"` in ISO 8601 (runs a monitoring schedule now).
"""

from __future__ import annotations

import http.server
import json
import logging
import re
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.processes import bound_socket
from sagewatch.sandbox.sagemaker import protocol
from sagewatch.sandbox.sagemaker.capture_writer import CaptureWriter
from sagewatch.sandbox.sagemaker.endpoints import EndpointOperations
from sagewatch.sandbox.sagemaker.events import EventSender
from sagewatch.sandbox.sagemaker.faults import Fault, Faults
from sagewatch.sandbox.sagemaker.models import ModelOperations
from sagewatch.sandbox.sagemaker.monitoring import MonitoringOperations
from sagewatch.sandbox.sagemaker.processing import ProcessingOperations
from sagewatch.sandbox.sagemaker.protocol import ApiError
from sagewatch.sandbox.sagemaker.runtime import ModelError, Runtime, parse_invocation
from sagewatch.sandbox.sagemaker.store import Store
from sagewatch.sandbox.sagemaker.variants import ContainerHost

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from sagewatch.sandbox.sagemaker.variants import LocalClients

LOG = logging.getLogger(__name__)
INVOCATION_PATH = re.compile(r"/endpoints/([^/]+)/invocations$")
REPOSITORY = Path(__file__).parents[6]


@dataclass(frozen=True, slots=True)
class SageMakerSettings:
    """Pace and places of the local SageMaker.

    Parameters
    ----------
    capture_flush_records, capture_flush_seconds
        A capture file is written when it holds so many records, or is so old.
    startup_timeout_seconds
        How long a model may take to load before it counts as unhealthy.
    seed
        For sampling, routing and shuffled events.
    programs
        What `/opt/program` is in the image of processing jobs.
    schedule_speed_up
        An hourly monitoring schedule runs every 3600 / schedule_speed_up seconds.
    """

    capture_flush_records: int = 10
    capture_flush_seconds: float = 2.0
    startup_timeout_seconds: float = 60.0
    seed: int = 0
    programs: Path = REPOSITORY / "monitor_image"
    schedule_speed_up: float = 30.0


class SageMakerService:
    """The local SageMaker.

    Parameters
    ----------
    aws
        The local AWS beside it: S3 for models and captures, EventBridge for its events.
    port
        On 127.0.0.1; 0 for a free one.
    settings
        Pace and places.
    """

    def __init__(self, aws: LocalClients, port: int, settings: SageMakerSettings) -> None:
        self.faults = Faults()
        self.store = Store(aws.region)
        self._aws = aws
        self._settings = settings
        self._listener = bound_socket(port, "the local SageMaker")
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server: Server | None = None

    def start(self) -> None:
        """Begin to answer."""
        settings = self._settings
        self._sender = EventSender(self._aws.client("events"), self.faults, settings.seed)
        self.captures = CaptureWriter(
            self._aws.client("s3"),
            flush_records=settings.capture_flush_records,
            flush_seconds=settings.capture_flush_seconds,
            seed=settings.seed,
        )
        self.runtime = Runtime(self.store, self.captures, settings.seed)
        models = ModelOperations(self.store)
        self._endpoints = EndpointOperations(
            self.store,
            models,
            ContainerHost(self._aws, settings.startup_timeout_seconds),
            self.captures,
            self._sender,
            self.faults,
        )
        self._jobs = ProcessingOperations(self.store, self._aws, self._sender, self.faults, settings.programs)
        self.monitoring = MonitoringOperations(
            self.store, self._jobs, self.captures, self._aws.client("s3"), settings.schedule_speed_up
        )
        self._operations = {
            **models.operations,
            **self._endpoints.operations,
            **self._jobs.operations,
            **self.monitoring.operations,
        }
        self.captures.start()
        self.monitoring.start()
        self._server = Server(self._listener, self)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do one operation of the control plane.

        Raises
        ------
        ApiError
            As AWS would answer it.
        """
        protocol.check_request(operation, request)
        if self.faults.take(Fault.THROTTLE, operation):
            raise ApiError("ThrottlingException", "Rate exceeded")
        if self.faults.take(Fault.DENY, operation):
            raise ApiError("AccessDeniedException", f"not authorized to perform: sagemaker:{operation}")
        handler = self._operations.get(operation)
        if handler is None:
            raise ApiError(
                "UnknownOperationException", f"{operation} is not done by the local SageMaker.", 404
            )
        with self.store.lock:
            answer = handler(request)
        protocol.check_answer(operation, answer)
        return answer

    def stop(self) -> None:
        """Write captures, end containers and jobs."""
        if self._server is None:
            self._listener.close()
            return
        self._server.shutdown()
        self._server.server_close()
        self.monitoring.stop()
        self._jobs.stop()
        self.captures.stop()
        self._endpoints.stop()
        self._sender.stop()
        self._server = None


class Server(http.server.ThreadingHTTPServer):
    """Listens on the socket that the service bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, service: SageMakerService) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.service = service
        listener.listen(128)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection, which clients keep."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The admin route."""
        if self.path == "/_admin/faults":
            self._answer_json(200, self.server.service.faults.waiting())
        else:
            self._answer_json(404, {"message": "no such page"})

    def do_DELETE(self) -> None:
        """The admin route."""
        self.server.service.faults.clear()
        self._answer_json(200, [])

    def do_POST(self) -> None:
        """An operation, an invocation, or the admin route."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        invocation = INVOCATION_PATH.match(self.path)
        if invocation:
            self._invoke(invocation[1], body)
        elif self.path.startswith("/_admin/"):
            self._administer(body)
        else:
            self._operate(body)

    def log_message(self, message: str, *values: Any) -> None:
        """To the sandbox's log, not to the terminal."""
        LOG.debug(message, *values)

    def _operate(self, body: bytes) -> None:
        operation = (self.headers.get("X-Amz-Target") or "").rpartition(".")[2]
        try:
            answer = self.server.service.call(operation, json.loads(body or b"{}"))
        except ApiError as error:
            LOG.info("refused %s %s", operation, error)
            self._answer_json(error.status, {"__type": error.code, "message": error.message})
            return
        self._answer_json(200, answer)

    def _invoke(self, endpoint: str, body: bytes) -> None:
        service = self.server.service
        try:
            answer, variant = service.runtime.invoke(parse_invocation(endpoint, dict(self.headers), body))
        except ModelError as error:
            headers = {"x-amzn-ErrorType": "ModelError"}
            self._answer(424, "application/json", error.body(service.store.region), headers)
        except ApiError as error:
            content = json.dumps({"Message": error.message}).encode()
            self._answer(error.status, "application/json", content, {"x-amzn-ErrorType": error.code})
        else:
            headers = {"x-Amzn-Invoked-Production-Variant": variant}
            self._answer(200, answer.content_type, answer.body, headers)

    def _administer(self, body: bytes) -> None:
        service = self.server.service
        if self.path == "/_admin/flush":
            service.captures.flush()
            self._answer_json(200, {})
            return
        wanted = json.loads(body)
        if self.path == "/_admin/schedules":
            self._fire(wanted)
            return
        service.faults.inject(
            Fault(wanted["fault"]),
            times=wanted.get("times", 1),
            operation=wanted.get("operation"),
            seconds=float(wanted.get("seconds", 0)),
        )
        self._answer_json(200, service.faults.waiting())

    def _fire(self, wanted: Mapping[str, str]) -> None:
        window = {side: datetime.fromisoformat(wanted[side]) for side in ("start", "end") if side in wanted}
        try:
            answer = self.server.service.monitoring.fire(wanted["schedule"], **window)
        except ApiError as error:
            self._answer_json(error.status, {"message": error.message})
            return
        self._answer_json(200, answer)

    def _answer_json(self, status: int, content: Any) -> None:
        self._answer(status, "application/x-amz-json-1.1", json.dumps(content).encode())

    def _answer(
        self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": content_type}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
