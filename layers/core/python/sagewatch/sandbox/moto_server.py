"""moto's server with its gaps filled, on 127.0.0.1: `python -m sagewatch.sandbox.moto_server --port N`.

It runs as a child process of `LocalAws`, so that a busy story-teller does not slow the services down.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

ACCOUNT_ID = "123456789012"


def serve(listener: socket.socket, mail_port: int | None = None) -> None:
    """Answer on an already bound socket until the process is ended.

    The socket comes bound from the parent, so that nobody can take the port in between. What SES sends goes to the
    mail server at ``mail_port``.
    """
    import werkzeug.serving
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )

    from sagewatch.sandbox import moto_gaps

    moto_gaps.fill(mail_port)

    class QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is untyped
        """Log failures only: thousands of polls say nothing."""

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if str(code).startswith("5"):
                super().log_request(code, size)

    werkzeug.serving.BaseWSGIServer.request_queue_size = 256
    host, port = listener.getsockname()
    server = werkzeug.serving.make_server(
        host,
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=QuietHandler,
        fd=listener.fileno(),
    )
    server.serve_forever()


def main(arguments: Sequence[str]) -> int:
    """Serve until ended; an inherited socket (`--fd`) or a port of one's own (`--port`)."""
    parser = argparse.ArgumentParser(prog="sagewatch.sandbox.moto_server", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="port on 127.0.0.1")
    where.add_argument("--fd", type=int, help="an inherited socket that is bound already")
    parser.add_argument("--mail-port", type=int, help="where a mail server takes what SES sends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")

    def leave(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    if options.fd is not None:
        listener = socket.socket(fileno=options.fd)
    else:
        from sagewatch.sandbox.errors import PortInUseError
        from sagewatch.sandbox.processes import bound_socket

        try:
            listener = bound_socket(options.port, "the local AWS")
        except PortInUseError as error:
            sys.stderr.write(f"{error}\n")
            return 2
    listener.listen(256)
    serve(listener, options.mail_port)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
