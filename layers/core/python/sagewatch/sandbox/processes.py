"""Child processes that are guarded, logged, and gone when the sandbox is."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sagewatch.sandbox.errors import PortInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GUARD_DIRECTORY = Path(__file__).parent / "guard"
PACKAGE_ROOT = Path(__file__).parents[2]
# Nothing else of the caller's environment reaches a child: no real credentials, profiles or proxies.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def inherited_environment() -> dict[str, str]:
    """The few variables of the caller that a child may see: how to find programs, never credentials."""
    host = os.environ  # noqa: TID251  children need a PATH; no setting of the product is read here
    return {name: host[name] for name in INHERITED if name in host}


def bound_socket(port: int, purpose: str) -> socket.socket:
    """A socket bound to 127.0.0.1 and not yet listening.

    Parameters
    ----------
    port
        0 for a free one.
    purpose
        What it is for, as said to the person whose port is taken.

    Raises
    ------
    PortInUseError
        Somebody listens there already.
    """
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind(("127.0.0.1", port))
    except OSError as error:
        candidate.close()
        raise PortInUseError(port, purpose) from error
    return candidate


class Child:
    """One Python process of the sandbox: guarded, its output in a log, ended with us however we end.

    Parameters
    ----------
    name
        As it is called in errors.
    arguments
        What follows the Python interpreter on its command line.
    environment
        Its variables; `PATH` and the like are added.
    log
        File to which its stdout and stderr are appended.
    outbound_log
        File to which a refused connection is appended.
    pass_fds
        File descriptors that it inherits.
    capture_stdout
        Whether the caller reads stdout itself, from `process.stdout`.
    accept_stdin
        Whether the caller writes to `process.stdin`.
    directory
        Its working directory.
    isolated
        Whether it may call nobody, this machine neither: SageMaker's network isolation.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        outbound_log: Path,
        pass_fds: Sequence[int] = (),
        capture_stdout: bool = False,
        accept_stdin: bool = False,
        directory: Path | None = None,
        isolated: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        read_end, self._lifeline = os.pipe()  # not inheritable: only we hold the write end
        search_path = [
            str(GUARD_DIRECTORY),
            str(PACKAGE_ROOT),
            *filter(None, [environment.get("PYTHONPATH")]),
        ]
        with contextlib.closing(os.fdopen(read_end, "rb")), log.open("ab") as output:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, *arguments],
                env={
                    **inherited_environment(),
                    **environment,
                    "PYTHONPATH": os.pathsep.join(search_path),
                    "PYTHONUNBUFFERED": "1",
                    "SANDBOX_OUTBOUND_LOG": str(outbound_log),
                    "SANDBOX_LIFELINE_FD": str(read_end),
                    **({"SANDBOX_ISOLATED": "1"} if isolated else {}),
                },
                stdin=subprocess.PIPE if accept_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture_stdout else output,
                stderr=subprocess.STDOUT if not capture_stdout else output,
                pass_fds=(*pass_fds, read_end),
                cwd=directory,
                # Ctrl-C is for the sandbox, which then stops its children in order.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    @property
    def stdout(self) -> IO[bytes]:
        """Its output, for a child started with `capture_stdout`."""
        if self.process.stdout is None:
            msg = "started without capture_stdout"
            raise ValueError(msg)
        return self.process.stdout

    @property
    def stdin(self) -> IO[bytes]:
        """Its input, for a child started with `accept_stdin`."""
        if self.process.stdin is None:
            msg = "started without accept_stdin"
            raise ValueError(msg)
        return self.process.stdin

    def stop(self, grace_seconds: float = 3.0) -> None:
        """End it: politely, then by force. Doing it twice does nothing."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._release()

    def kill(self) -> None:
        """End it at once."""
        if self.running:
            self.process.kill()
            self.process.wait()
        self._release()

    def _release(self) -> None:
        # stdout is closed by whoever reads it: closing it under a reading thread would block.
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
