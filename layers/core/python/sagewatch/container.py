"""What SageMaker's processing contract gives a container and takes from it (CONTRACTS §1): files, not decisions.

Both programs of the image stand on it: the monitoring job and the saliency job.
"""

from __future__ import annotations

import contextlib
import csv
import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sagewatch.errors import ConfigurationError, SagewatchError, describe_defect

CONFIG: Final = "opt/ml/config/processingjobconfig.json"
RESOURCES: Final = "opt/ml/config/resourceconfig.json"
MESSAGE: Final = "opt/ml/output/message"
CLASSES: Final = "opt/ml/processing/input/classes"
DEFAULT_OUTPUT: Final = "/opt/ml/processing/output"
# SageMaker keeps the first kilobyte of the message.
MESSAGE_BYTES: Final = 1024
# What stands in the message until the job is done: a program that is killed says nothing.
ENDED_EARLY: Final = "The program was ended before it was done: killed for want of memory, stopped, or ended by a script of its job."

_PR_SET_PDEATHSIG: Final = 1
_ENDS: Final[dict[int, str]] = {
    signal.SIGKILL: "killed, for want of memory most likely",
    signal.SIGTERM: "somebody stopped it, or its time was up",
    signal.SIGINT: "somebody stopped it",
}
# What a shell adds to the number of the signal that ended a program.
_SIGNALLED: Final = 128


def read_platform_file(path: Path) -> dict[str, Any]:
    """One of the platform's files; empty where it is absent, as when the image is tried by hand.

    Raises
    ------
    ConfigurationError
        When it is no JSON object.
    """
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"no JSON ({error})", where=str(path)) from error
    if not isinstance(config, dict):
        raise ConfigurationError("no JSON object", where=str(path))
    return config


def merge_environment(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The job's environment; the process's own goes before the platform's file.

    Raises
    ------
    ConfigurationError
        When the platform's is no object.
    """
    given = config.get("Environment") or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError("no JSON object", where=CONFIG, key="Environment")
    return {**given, **environment}


def list_objects(value: object, key: str) -> list[Mapping[str, Any]]:
    """A list of objects in one of the platform's files, where an absent one is null.

    Raises
    ------
    ConfigurationError
        When it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ConfigurationError("no list of JSON objects", where=CONFIG, key=key)
    return value


def find_output(config: Mapping[str, Any]) -> str:
    """Where the job's first output lies in the container."""
    (outputs,) = list_objects([config.get("ProcessingOutputConfig") or {}], "ProcessingOutputConfig")
    for output in list_objects(outputs.get("Outputs"), "ProcessingOutputConfig.Outputs")[:1]:
        (place,) = list_objects([output.get("S3Output") or {}], "ProcessingOutputConfig.Outputs.S3Output")
        return str(place.get("LocalPath") or DEFAULT_OUTPUT)
    return DEFAULT_OUTPUT


def read_class_names(folder: Path) -> dict[str, str]:
    """Class names from the CSV files of a folder; files of another shape are passed over, since names are a comfort."""
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            for row in csv.DictReader(lines):
                number, name = row.get("ClassId"), row.get("SignName")
                if number and name:
                    names[number.strip()] = name
    return names


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def supervise(root: Path, work: Callable[[], int]) -> int:
    """Do the job in a process of its own: whatever ends it, somebody is left to say so and to fail.

    A script that calls ``os._exit(0)`` would otherwise be a job that completed. Returns in the first process alone, with
    what the platform is to be told: the job's own ends with its work, whatever threads a script left running in it.
    """
    child = os.fork()
    if not child:
        end_with_parent()
        done = work()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(done)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    message = root / MESSAGE
    left = message.read_text("utf-8") if message.exists() else ""
    if left != ENDED_EARLY:
        return code if code >= 0 else _SIGNALLED - code
    said = describe_end(code)
    print(said, file=sys.stderr, flush=True)  # noqa: T201
    write_whole(message, said.encode())
    return (code or 1) if code >= 0 else _SIGNALLED - code


def describe_end(code: int) -> str:
    """What ended a program that was not done, by its exit code; a signal's number is negative.

    Examples
    --------
    >>> describe_end(-signal.SIGKILL)
    'The program was ended before it was done: killed, for want of memory most likely (SIGKILL).'
    """
    how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
    why = "a script of its job ended it" if code >= 0 else _ENDS.get(-code, "it crashed")
    return f"The program was ended before it was done: {why} ({how})."


def end_with_parent() -> None:
    """No process goes on when the one that began it was killed; where the system is no Linux, it ends with its work."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_to_message(root: Path, work: Callable[[], str]) -> int:
    """Do the job, leave its message or the cause of its failure, and answer the exit code."""
    with contextlib.suppress(OSError):  # told below, where it still holds
        write_whole(root / MESSAGE, ENDED_EARLY.encode())
    try:
        message, code = work(), 0
    except (SagewatchError, OSError) as error:
        message, code = str(error), 1
    except Exception as error:  # noqa: BLE001  the job's edge: nobody else would say what it was
        traceback.print_tb(error.__traceback__)  # lines of programs; the error's own words may quote a record
        message, code = describe_defect(error), 1
    cut = message.encode("utf-8", "replace")[:MESSAGE_BYTES].decode("utf-8", errors="ignore")
    print(cut, file=sys.stderr if code else sys.stdout, flush=True)
    try:
        write_whole(root / MESSAGE, cut.encode())
    except OSError as error:
        print(f"the message could not be written: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return code
