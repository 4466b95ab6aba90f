"""Our own commands, run as their user runs them: in a process of their own that sees the local AWS alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.errors import SandboxError
from sagewatch.sandbox.processes import GUARD_DIRECTORY, inherited_environment


class CommandFailedError(SandboxError):
    """A command of ours ended with an error."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"sagewatch {command} failed: {said}")
        self.command = command
        self.said = said


def run_command(stage: Stage, *words: str) -> str:
    """What ``sagewatch WORDS`` prints.

    Raises
    ------
    CommandFailedError
        It ended with an error; the message is the command's own.
    """
    environment = {
        **inherited_environment(),
        **stage.aws.environment,
        "PYTHONPATH": str(GUARD_DIRECTORY),
        "SANDBOX_OUTBOUND_LOG": str(stage.aws.outbound_log),
    }
    program = str(Path(sys.executable).parent / "sagewatch")
    done = subprocess.run(
        [program, *words], cwd=stage.root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailedError(words[0], done.stderr.strip() or done.stdout.strip())
    return done.stdout.strip()
