"""What can stop the local AWS, each a sentence that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.errors import SagewatchError

if TYPE_CHECKING:
    from pathlib import Path


class SandboxError(SagewatchError):
    """The local AWS cannot start or go on."""


class PortInUseError(SandboxError):
    """Somebody else listens on a port that was asked for."""

    def __init__(self, port: int, purpose: str) -> None:
        super().__init__(
            f"Port {port} (for {purpose}) is in use on 127.0.0.1: stop the program that listens there "
            f"(`ss -ltnp 'sport = :{port}'` names it), or choose another port, or give none to get a free one."
        )
        self.port = port
        self.purpose = purpose


class DiskFullError(SandboxError):
    """The sandbox's directory has too little room for models, captures and logs."""

    def __init__(self, directory: Path, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"{directory} has {free_bytes // 2**20} MB free, the sandbox needs {needed_bytes // 2**20} MB: "
            "free some space or choose a directory on another disk."
        )
        self.directory = directory
        self.free_bytes = free_bytes
        self.needed_bytes = needed_bytes


class ChildFailedError(SandboxError):
    """A process of the sandbox ended, or never became ready."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}. Its log is {log}.{last_lines(log)}")
        self.name = name
        self.reason = reason
        self.log = log


class StackFailedError(SandboxError):
    """CloudFormation refused the template; the reason names the resource where moto told it."""

    def __init__(self, stack: str, reason: str) -> None:
        super().__init__(f"Stack {stack} could not be created: {reason}")
        self.stack = stack
        self.reason = reason


class ArtifactMissingError(SandboxError):
    """The template names a package that `osls package` did not leave behind."""

    def __init__(self, function: str, artifact: Path) -> None:
        super().__init__(f"The package of {function} is not at {artifact}: run `make package` first.")
        self.function = function
        self.artifact = artifact


class NotSupportedLocallyError(SandboxError):
    """The template asks for something that the local AWS does not do; better said than ignored."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{where}: {what} is not supported by the local AWS.")
        self.what = what
        self.where = where


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented, for an error that has to explain itself.

    Parameters
    ----------
    log
        A text file; may not exist.
    count
        How many lines at most.

    Returns
    -------
    str
        Empty, or a line break and the last lines.
    """
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return ""
    return "".join(f"\n    {line}" for line in lines)
