"""One model container as a process: `/ping` and `/invocations` on 127.0.0.1, the user's `inference.py` behind.

The request handling is that of SageMaker's own containers: `sagemaker_inference.transformer.Transformer` finds
model_fn, transform_fn, input_fn, predict_fn and output_fn, decodes text, and turns errors into status codes. A
worker answers one request at a time; `/ping` answers once the model is loaded.
"""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

PING = "/ping"
INVOCATIONS = "/invocations"


class RequestContext:
    """What the Transformer asks of its model server: the request's headers in, status and type out."""

    def __init__(self, model_directory: str, headers: dict[str, str]) -> None:
        self.system_properties = {"model_dir": model_directory}
        self.request_processor = [self]
        self._headers = headers
        self.status = 200
        self.content_type = ""

    def get_request_properties(self) -> dict[str, str]:
        """The request's headers."""
        return self._headers

    def set_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Remember the status; the phrase is in the body too."""
        del phrase
        self.status = code

    def set_response_content_type(self, _index: int, value: str) -> None:
        """Remember the answer's type."""
        self.content_type = value


class ModelHandler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; the server carries the loaded model."""

    server: ModelServer

    def do_GET(self) -> None:
        """Say that the model is loaded, which it is: nobody listened before."""
        self._answer(200 if self.path == PING else 404, "text/plain", b"")

    def do_POST(self) -> None:
        """Run the model on the body."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != INVOCATIONS:
            self._answer(404, "text/plain", b"")
            return
        headers = {"Content-Type": self.headers.get("Content-Type") or "application/octet-stream"}
        if self.headers.get("Accept"):
            headers["Accept"] = self.headers["Accept"]
        context = RequestContext(self.server.model_directory, headers)
        answers = self.server.transformer.transform([{"body": body}], context)
        answer = answers[0]
        data = answer if isinstance(answer, bytes) else str(answer).encode()
        self._answer(context.status, context.content_type or "text/plain", data)

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log failures only."""
        if str(code)[:1] in {"4", "5"}:
            super().log_request(code, size)


class ModelServer(http.server.HTTPServer):
    """An HTTP server over an already listening socket, with a loaded model."""

    def __init__(self, listener: socket.socket, transformer: Any, model_directory: str) -> None:
        super().__init__(("127.0.0.1", 0), ModelHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.transformer = transformer
        self.model_directory = model_directory


def serve(listener: socket.socket, model_directory: str) -> None:
    """Load the model, then answer until ended."""
    from sagemaker_inference.transformer import Transformer

    sys.path.insert(0, os.path.join(model_directory, "code"))  # noqa: PTH118  as the real container does
    transformer = Transformer()
    context = RequestContext(model_directory, {})
    transformer.validate_and_initialize(model_dir=model_directory, context=context)
    listener.listen(128)
    ModelServer(listener, transformer, model_directory).serve_forever(poll_interval=0.1)


def leave(_signal: int, _frame: FrameType | None) -> None:
    """End in order on SIGTERM, so that what a model registered with atexit is done."""
    sys.exit(0)


def main(arguments: Sequence[str]) -> int:
    """Serve with the wanted number of worker processes, all on one socket."""
    parser = argparse.ArgumentParser(prog="sagewatch.sandbox.sagemaker.hosting")
    parser.add_argument("--fd", type=int, required=True, help="a bound socket")
    parser.add_argument("--model-directory", required=True)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    listener = socket.socket(fileno=options.fd)
    signal.signal(signal.SIGTERM, leave)
    if options.workers <= 1:
        serve(listener, options.model_directory)
        return 0
    children = []
    for _ in range(options.workers):
        child = os.fork()
        if child == 0:
            serve(listener, options.model_directory)
            return 0
        children.append(child)
    try:
        _, status = os.wait()  # a worker that ends takes the container down
        return os.waitstatus_to_exitcode(status)
    finally:
        for child in children:
            try:
                os.kill(child, signal.SIGTERM)
            except ProcessLookupError:
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
