"""The addresses of functions (AWS::Lambda::Url) on the local AWS: HTTP in, the function's answer out.

Each function that was deployed with an address is served under ``/<function name>``; a request becomes an event of
payload format 2.0, as AWS documents it. Source: AWS Lambda, "Invoking Lambda function URLs".
"""

from __future__ import annotations

import base64
import http.server
import json
import logging
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from sagewatch.sandbox.function_process import Answered, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sagewatch.sandbox.worker import Clients

LOG = logging.getLogger(__name__)
_TEXTS = ("text/", "application/json", "application/javascript", "application/xml")


def list_public_functions(clients: Clients, names: Iterable[str]) -> list[str]:
    """The functions that have an address which anybody may call."""
    lambda_ = clients.client("lambda")
    found = []
    for name in names:
        try:
            config = lambda_.get_function_url_config(FunctionName=name)
        except ClientError:
            continue
        if config["AuthType"] == "NONE":
            found.append(name)
    return found


def build_event(method: str, path: str, headers: Mapping[str, str], body: bytes, at: float) -> dict[str, Any]:
    """A request as a function gets it: header names in small letters, what is no text as base64."""
    url = urllib.parse.urlsplit(path)
    small = {name.lower(): value for name, value in headers.items()}
    is_text = small.get("content-type", "").startswith(_TEXTS)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path or "/",
        "rawQueryString": url.query,
        "headers": small,
        "requestContext": {
            "accountId": "anonymous",
            "http": {
                "method": method,
                "path": url.path or "/",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
            },
            "timeEpoch": int(at * 1000),
        },
        "body": body.decode() if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }


def read_answer(outcome: Answered | Failed) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body: of the function's answer, or 502 where it failed."""
    if isinstance(outcome, Failed):
        return 502, {"Content-Type": "text/plain"}, b"Internal Server Error"
    value = outcome.value
    if not isinstance(value, dict) or "statusCode" not in value:
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
    body = str(value.get("body", "")).encode()
    if value.get("isBase64Encoded"):
        body = base64.b64decode(body)
    return int(value["statusCode"]), dict(value.get("headers", {})), body


class FunctionUrls:
    """Serves functions on 127.0.0.1.

    Parameters
    ----------
    names
        The functions that have an address.
    invoke
        Runs a function, named, on an event.
    """

    def __init__(self, names: Iterable[str], invoke: Callable[[str, Any], Answered | Failed]) -> None:
        known = frozenset(names)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name, _, rest = self.path.removeprefix("/").partition("/")
                if name not in known:
                    self._answer(403, {}, b'{"Message":"Forbidden"}')
                    return
                at = time.time()  # noqa: TID251  an edge
                event = build_event("POST", f"/{rest}", dict(self.headers.items()), body, at)
                self._answer(*read_answer(invoke(name, event)))

            def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, message: str, *values: Any) -> None:
                LOG.debug(message, *values)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def find_url(self, name: str) -> str:
        """The address of a function."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"
