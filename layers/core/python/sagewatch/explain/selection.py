"""Which recorded steps are worth explaining: those that made the finding, and some others to compare with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain.answer import read_answer
from sagewatch.explain.comparison import OTHER, SUSPICIOUS
from sagewatch.explain.layers import get_tensor, read_layout
from sagewatch.spacing import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagewatch.explain.trial import StepFile, TrialReader

# A busy endpoint records thousands; reading a step costs milliseconds and a megabyte.
SCANNED_PER_IMAGE: Final = 20


@dataclass(frozen=True)
class Skipped:
    """A step that could not be used."""

    file: str
    reason: str


@dataclass(frozen=True)
class Chosen:
    """A step to explain, and what it is in the incident: ``suspicious``, ``other``, ``clean``, or nothing known.

    Parameters
    ----------
    live
        Whether the endpoint recorded it, and not the saliency job, which nobody waits for.
    """

    file: StepFile
    role: str = ""
    live: bool = True


@dataclass(frozen=True)
class Suspicion:
    """What a finding says of the inputs that made it.

    Parameters
    ----------
    class_id
        The class that they were answered with; None where the finding names none.
    least_confident
        The least confident answers made it.
    share
        Of all recorded answers those are drawn from this share, the least confident, as the clean ones are from theirs:
        more may have been recorded than was known when the clean ones were chosen. None: the very least confident.
    """

    class_id: int | None = None
    least_confident: bool = False
    share: float | None = None

    @property
    def names_none(self) -> bool:
        """Whether it points at no input."""
        return self.class_id is None and not self.least_confident


def choose_steps(
    steps: Sequence[StepFile], reader: TrialReader, most: int, suspicion: Suspicion, others: int | None = None
) -> tuple[list[Chosen], list[Skipped]]:
    """Choose at most `most` steps.

    Parameters
    ----------
    steps
        Every recorded step.
    suspicion
        Its inputs come first: of the class that it names spread over the whole recording, or the least confident.
        Nothing takes steps of every class.
    others
        At most so many inputs of another class (for the least confident: more confident ones); a quarter of `most`
        where it is None.

    Returns
    -------
    tuple
        The chosen steps, and those that could not be read.
    """
    if suspicion.names_none:
        return [Chosen(file) for file in spread(steps, most)], []
    suspects: list[tuple[float, StepFile]] = []
    rest: list[StepFile] = []
    skipped: list[Skipped] = []
    for file in spread(steps, most * SCANNED_PER_IMAGE):
        try:
            predicted, probability = _read_prediction(file, reader)
        except RejectedInputError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        if suspicion.class_id is None or predicted == suspicion.class_id:
            suspects.append((probability, file))
        else:
            rest.append(file)
    compared = spread(rest, most // 4 if others is None else others)
    wanted = most - len(compared)
    if suspicion.least_confident:
        suspects.sort(key=lambda each: (each[0], each[1].worker, each[1].step))
        pool = wanted if suspicion.share is None else math.ceil(min(suspicion.share, 1.0) * len(suspects))
        chosen = spread([file for _, file in suspects[:pool]], wanted)
    else:
        chosen = spread([file for _, file in suspects], wanted)
    return [
        *(Chosen(file, SUSPICIOUS) for file in chosen),
        *(Chosen(file, OTHER) for file in compared),
    ], skipped


def _read_prediction(file: StepFile, reader: TrialReader) -> tuple[int, float]:
    """The predicted class and its probability; where nobody can tell it, the output, which orders alike."""
    tensors = reader.read(file).tensors
    layout = read_layout(tensors, file.name)
    outputs = np.ravel(get_tensor(tensors, layout.logits, file.name))
    answer = read_answer(outputs, layout)
    return answer.class_id, answer.output if answer.probability is None else answer.probability
