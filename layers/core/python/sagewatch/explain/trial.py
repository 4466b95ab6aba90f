"""Finds and reads recorded steps in a directory tree that several worker processes wrote.

In: a directory, at any depth of which worker directories lie (`events/`, `index/`). Out: one `RecordedStep` a request,
with the parameters that each worker wrote only once. A step that cannot be read is reported, never fatal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sagewatch.explain.names import is_parameter
from sagewatch.explain.tensorfile import parse_event_file, parse_index
from sagewatch.explain.wire import BrokenTensorFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_INDEX_FILE: Final = re.compile(r"(\d+)_worker_\d+\.json")


@dataclass(frozen=True)
class StepFile:
    """Where one recorded request lies.

    Parameters
    ----------
    worker
        The worker's directory relative to the tree, `.` where the tree is itself one.
    step
        Number of the request in that worker.
    directory
        The worker's directory.
    index
        The step's index file.
    """

    worker: str
    step: int
    directory: Path
    index: Path

    @property
    def name(self) -> str:
        """The step in a sentence."""
        return f"{self.worker}, step {self.step}"


@dataclass(frozen=True)
class RecordedStep:
    """The tensors of one request, and the model's parameters."""

    file: StepFile
    tensors: Mapping[str, NDArray[Any]]


def find_steps(root: Path) -> list[StepFile]:
    """List every recorded request below a directory, by worker, then by step; empty when there is none."""
    found = []
    for index in root.rglob("index/*/*.json"):
        match = _INDEX_FILE.fullmatch(index.name)
        if match:
            directory = index.parents[2]
            worker = directory.relative_to(root).as_posix()
            found.append(StepFile(worker, int(match[1]), directory, index))
    return sorted(found, key=lambda file: (file.worker, file.step))


class TrialReader:
    """Reads steps; remembers each worker's parameters, which are in its first step only.

    Parameters
    ----------
    steps
        What `find_steps` gave: all of it, because a step to be read may lean on one that is not.
    """

    def __init__(self, steps: list[StepFile]) -> None:
        self._first: dict[str, StepFile] = {}
        for file in steps:
            self._first.setdefault(file.worker, file)
        self._parameters: dict[str, dict[str, NDArray[Any]]] = {}

    def read(self, file: StepFile) -> RecordedStep:
        """Read a step, its event file once.

        Raises
        ------
        BrokenTensorFileError
            When the index or the event file is missing, cut off or broken.
        """
        own = _read_tensors(file)
        return RecordedStep(file, {**self._parameters_of(file.worker), **own})

    def _parameters_of(self, worker: str) -> dict[str, NDArray[Any]]:
        if worker not in self._parameters:
            tensors = _read_tensors(self._first[worker])
            self._parameters[worker] = {name: value for name, value in tensors.items() if is_parameter(name)}
        return self._parameters[worker]


def _read_tensors(file: StepFile) -> dict[str, NDArray[Any]]:
    index = parse_index(_read(file.index), str(file.index))
    event_file = file.directory / index.event_file
    tensors = parse_event_file(_read(event_file), str(event_file))
    missing = index.tensor_names - tensors.keys()
    if missing:
        raise BrokenTensorFileError(
            f"{len(missing)} tensors of the index are not there", where=str(event_file)
        )
    return tensors


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenTensorFileError(f"cannot be read ({error.strerror})", where=str(path)) from error
