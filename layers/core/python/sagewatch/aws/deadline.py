"""Calls that end by a time, whatever the other side does: a timeout is of one read, and who drips is never late.

What is called over HTTP is cut off at its deadline, and goes to one host: a redirect is an answer like any other, so that no
token, key or signature goes where it leads. What botocore calls is no longer waited for.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self, TypeVar

from sagewatch.errors import SagewatchError
from sagewatch.ports import Clock

T = TypeVar("T")
CALL_SECONDS = 10
"""What one call may take: several of them follow each other within the minute that a message is claimed for."""

AWS_SECONDS = 25
"""The same of a call of botocore's, which may wait for one connection and one silent answer (``client.ONCE``)."""

TURN_SECONDS = 5
"""What one question may take behind which the other endpoints of the minute's round wait."""

TURNS_SECONDS = 15
"""What all of them may take in one round: of S3 and of SageMaker each, they leave it most of its 50 seconds."""

EVIDENCE_SECONDS = 30
"""What the evidence bucket may take of a minute in which people are told: half of the function's time."""

_ROUND = timedelta(seconds=45)
"""Less than the minute from one round to the next, so that each has its own."""


class Deadline:
    """Opens addresses until a time, at which whatever it has opened is cut off.

    What was cut off is a ``TimeoutError``; where the request had not gone out, a ``URLError``.

    Parameters
    ----------
    seconds
        From entering it.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._lines: list[socket.socket] = []
        self._is_over = False
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.UnknownHandler(),
            _PlainHandler(self.connect),
            _TlsHandler(self.connect),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        self._timer.cancel()
        with self._lock:
            for line in self._lines:
                line.close()
            self._lines.clear()
        # Headers that end too early are an answer to http.client: half of one is none. A refusal's status is one.
        if self._is_over and not isinstance(error, urllib.error.URLError | SagewatchError):
            raise TimeoutError from None

    def open(self, request: urllib.request.Request, timeout: float) -> Any:
        """The answer; ``HTTPError`` for all but a success. ``timeout``: of each read, in seconds."""
        return self._opener.open(request, timeout=timeout)

    def connect(self, address: tuple[str, int], timeout: float, _: object = None) -> socket.socket:
        """A line to the first place of an address that takes it: all of them together have the time that is left."""
        failed: OSError = TimeoutError()
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left = self._ends - time.monotonic()
            if left <= 0:
                break
            try:
                line = socket.create_connection((str(place[0]), address[1]), min(timeout, left))
            except OSError as error:
                failed = error
                continue
            line.settimeout(timeout)
            self._watch(line)
            return line
        raise failed

    def _watch(self, line: socket.socket) -> None:
        with self._lock:
            if self._is_over:
                line.close()
                raise TimeoutError
            # A copy: TLS takes the socket itself over, and shutting a copy down ends the line for both.
            self._lines.append(line.dup())

    def _cut(self) -> None:
        with self._lock:
            self._is_over = True
            for line in self._lines:
                with suppress(OSError):  # the other side was faster
                    line.shutdown(socket.SHUT_RDWR)


Connect = Callable[..., socket.socket]


class _PlainLine(http.client.HTTPConnection):
    def __init__(self, *args: Any, connect: Connect, **options: Any) -> None:
        super().__init__(*args, **options)
        self._create_connection = connect


class _TlsLine(http.client.HTTPSConnection):
    def __init__(self, *args: Any, connect: Connect, **options: Any) -> None:
        super().__init__(*args, **options)
        self._create_connection = connect


class _PlainHandler(urllib.request.HTTPHandler):
    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_PlainLine, connect=self._connect), req)


class _TlsHandler(urllib.request.HTTPSHandler):
    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._connect = connect

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_TlsLine, connect=self._connect), req)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call returns or raises; ``TimeoutError`` where it takes longer, and then nobody asks for it again.

    For botocore, which gives no hold of its sockets; its request goes out at once, so what is left is a reading.
    """
    coming: Future[T] = Future()

    def work() -> None:
        try:
            coming.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised below, where it was asked for)
            coming.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return coming.result(seconds)


class Turns:
    """Questions behind which others wait: each has its time, and all of one minute together have theirs.

    Who answers late costs one round so much and no more: what is asked when it is used up is a ``TimeoutError`` at once.

    Parameters
    ----------
    now
        The clock: a function that is asleep between two rounds may not trust another.
    each, together
        In seconds.
    """

    def __init__(self, now: Clock, each: float = TURN_SECONDS, together: float = TURNS_SECONDS) -> None:
        self._now, self._each, self._together = now, each, together
        self._left = together
        self._ends: datetime | None = None

    def ask(self, call: Callable[[], T]) -> T:
        """What the call returns or raises, or ``TimeoutError``."""
        began = self._now()
        if self._ends is None or began >= self._ends:
            self._left, self._ends = self._together, began + _ROUND
        if self._left <= 0:
            raise TimeoutError
        try:
            return within(min(self._each, self._left), call)
        finally:
            self._left -= (self._now() - began).total_seconds()
