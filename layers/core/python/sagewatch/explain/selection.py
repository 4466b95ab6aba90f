"""Which recorded steps are worth explaining: those of the suspect class, and some others to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain.layers import find_logits, get_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagewatch.explain.trial import StepFile, TrialReader

# A busy endpoint records thousands; reading a step costs milliseconds and a megabyte.
SCANNED_PER_IMAGE: Final = 20
_T = TypeVar("_T")


@dataclass(frozen=True)
class Skipped:
    """A step that could not be used."""

    file: str
    reason: str


def choose_steps(
    steps: Sequence[StepFile], reader: TrialReader, max_images: int, suspect_class: int | None
) -> tuple[list[StepFile], list[Skipped]]:
    """Choose at most `max_images` steps, spread over the whole recording.

    Parameters
    ----------
    steps
        Every recorded step.
    max_images
        How many to choose at most.
    suspect_class
        The class that a finding names: its steps come first, and at most a quarter of `max_images` predict another
        class. None takes steps of every class.

    Returns
    -------
    tuple
        The chosen steps, and those that could not be read.
    """
    if suspect_class is None:
        return spread(steps, max_images), []
    suspects: list[StepFile] = []
    others: list[StepFile] = []
    skipped: list[Skipped] = []
    for file in spread(steps, max_images * SCANNED_PER_IMAGE):
        try:
            predicted = _predicted_class(file, reader)
        except RejectedInputError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        (suspects if predicted == suspect_class else others).append(file)
    compared = spread(others, max_images // 4)
    return spread(suspects, max_images - len(compared)) + compared, skipped


def spread(items: Sequence[_T], count: int) -> list[_T]:
    """At most `count` items, evenly spaced, in their order.

    >>> spread([0, 1, 2, 3, 4, 5, 6, 7], 4)
    [0, 2, 4, 6]
    """
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _predicted_class(file: StepFile, reader: TrialReader) -> int:
    tensors = reader.read(file).tensors
    return int(np.argmax(get_tensor(tensors, find_logits(tensors, file.name), file.name)))
