"""Runs first in every Python process of the sandbox: no connection leaves the machine, no orphan stays.

Python imports `sitecustomize` from PYTHONPATH before anything else. It knows nothing of Sagewatch, because it
also runs inside the hosting and processing programs. By environment come in: the file to which an attempt is written
(SANDBOX_OUTBOUND_LOG), whether this machine is out of reach too (SANDBOX_ISOLATED, SageMaker's network isolation), and
a pipe whose other end the sandbox holds (SANDBOX_LIFELINE_FD).
"""

# ruff: noqa: INP001  this directory stands on PYTHONPATH by itself

from __future__ import annotations

import ipaddress
import json
import os
import sys
import threading

OUTBOUND_LOG = "SANDBOX_OUTBOUND_LOG"
LIFELINE_FD = "SANDBOX_LIFELINE_FD"
ISOLATED = "SANDBOX_ISOLATED"
LISTENING = "socket.bind"
ADDRESS_ARGUMENT = {"socket.connect": 1, "socket.bind": 1, "socket.sendto": 1}
NAME_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname")


class OutboundConnectionError(OSError):
    """A process of the sandbox tried to reach another machine."""


def is_loopback(host: object) -> bool:
    """Say whether a host, given as text or bytes, is this machine and nothing else."""
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


def forbidden_host(event: str, arguments: tuple[object, ...], isolated: bool = False) -> str | None:
    """The host that an audit event wants to reach and must not, or None.

    Parameters
    ----------
    event
        Name of a CPython audit event (docs.python.org/3/library/audit_events.html).
    arguments
        The event's arguments: (socket, address) or (host, ...).
    isolated
        Whether nobody may be called at all; an isolated container still listens for its platform.
    """
    calls_nobody = isolated and event != LISTENING
    if event in NAME_LOOKUPS:
        host = arguments[0]
        return None if not calls_nobody and (host in ("", b"") or is_loopback(host)) else str(host)
    index = ADDRESS_ARGUMENT.get(event)
    if index is None:
        return None
    address = arguments[index]
    if not isinstance(address, tuple):  # a Unix socket's path
        return None
    return None if not calls_nobody and is_loopback(address[0]) else str(address[0])


def install(log: str, isolated: bool = False) -> None:
    """Refuse, from now on and irrevocably, whatever leaves 127.0.0.1 (or this process); write each attempt to `log`."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if not event.startswith("socket."):
            return
        host = forbidden_host(event, arguments, isolated)
        if host is None:
            return
        attempt = {"event": event, "host": host, "pid": os.getpid(), "program": sys.argv[:1]}
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123  pathlib costs 10 ms in every process
            file.write(json.dumps(attempt) + "\n")
        raise OutboundConnectionError(f"the sandbox refuses {event} to {host}")

    sys.addaudithook(refuse)


def end_with_parent(lifeline: int) -> None:
    """End this process and its forks when the other end of the pipe closes, even if the parent was killed."""

    def wait() -> None:
        try:
            os.read(lifeline, 1)
        except OSError:
            return
        os._exit(1)

    def watch() -> None:
        threading.Thread(target=wait, name="lifeline", daemon=True).start()

    watch()
    os.register_at_fork(after_in_child=watch)  # threads do not survive a fork


if OUTBOUND_LOG in os.environ:  # noqa: TID251  the sandbox's own wiring, not a setting of the product
    install(os.environ[OUTBOUND_LOG], bool(os.environ.get(ISOLATED)))  # noqa: TID251
if LIFELINE_FD in os.environ:  # noqa: TID251
    # Taken out so that a grandchild, which does not inherit the pipe, does not read somebody else's file.
    end_with_parent(int(os.environ.pop(LIFELINE_FD)))  # noqa: TID251
