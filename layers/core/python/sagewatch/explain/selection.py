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
    steps: Sequence[StepFile],
    reader: TrialReader,
    max_images: int,
    suspect_class: int | None,
    *,
    least_confident: bool = False,
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
    least_confident
        Of those that come first, take the ones with the lowest probability; else spread over the recording.

    Returns
    -------
    tuple
        The chosen steps, and those that could not be read.
    """
    if suspect_class is None and not least_confident:
        return spread(steps, max_images), []
    suspects: list[tuple[float, StepFile]] = []
    others: list[StepFile] = []
    skipped: list[Skipped] = []
    for file in spread(steps, max_images * SCANNED_PER_IMAGE):
        try:
            predicted, probability = _read_prediction(file, reader)
        except RejectedInputError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        if suspect_class is None or predicted == suspect_class:
            suspects.append((probability, file))
        else:
            others.append(file)
    compared = spread(others, max_images // 4)
    wanted = max_images - len(compared)
    if not least_confident:
        return spread([file for _, file in suspects], wanted) + compared, skipped
    suspects.sort(key=lambda each: (each[0], each[1].worker, each[1].step))
    return [file for _, file in suspects[:wanted]] + compared, skipped


def spread(items: Sequence[_T], count: int) -> list[_T]:
    """At most `count` items, evenly spaced, in their order.

    >>> spread([0, 1, 2, 3, 4, 5, 6, 7], 4)
    [0, 2, 4, 6]
    """
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _read_prediction(file: StepFile, reader: TrialReader) -> tuple[int, float]:
    """The predicted class and its softmax probability."""
    tensors = reader.read(file).tensors
    logits = np.ravel(get_tensor(tensors, find_logits(tensors, file.name), file.name)).astype(np.float64)
    if not logits.size:
        raise RejectedInputError("there are no logits", where=file.name)
    class_id = int(np.argmax(logits))
    return class_id, float(1 / np.exp(logits - logits[class_id]).sum())
