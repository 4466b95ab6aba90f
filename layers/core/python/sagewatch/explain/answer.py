"""What a network answered: its class, and how probable it says that is, where its numbers tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sagewatch.explain.layers import Layout

PROBABILITIES: Final = "probabilities"
# Of float16, whose softmax sums to 1 within so much.
_ROUNDING: Final = 5e-3


@dataclass(frozen=True)
class Answer:
    """The answer to one input.

    Parameters
    ----------
    class_id
        The class with the largest output; 0 of a network with one output.
    output
        That output as the network gave it: a logit, or a probability.
    probability
        Of that class, 0 to 1; of a network with one output, of what it stands for. None where it cannot be told.
    """

    class_id: int
    output: float
    probability: float | None


def read_answer(outputs: NDArray[Any], layout: Layout) -> Answer:
    """The answer in a network's outputs, shape (classes,), finite.

    What a Softmax or Sigmoid gave, or adds up to 1, is taken as it is. The rest is logits if it is a biased layer's own
    output or leaves 0 to 1: one is a sigmoid's, several are a softmax's. Else nobody knows: no probability is better than
    a wrong one.

    Examples
    --------
    >>> from sagewatch.explain.layers import Layout
    >>> layout = Layout("Net", "image", "fc_output_0", "fc", (), ())
    >>> read_answer(np.array([0.0]), layout).probability
    0.5
    >>> read_answer(np.array([0.25, 0.75]), layout).probability
    0.75
    """
    values = outputs.astype(np.float64)
    class_id = int(np.argmax(values))
    largest = float(values[class_id])
    within = bool((values >= 0).all() and (values <= 1).all())
    adds_up = values.size > 1 and within and abs(float(values.sum()) - 1) <= _ROUNDING
    probability: float | None
    if within and (adds_up or layout.answer == PROBABILITIES):
        probability = largest
    elif within and layout.last is None:
        probability = None
    elif values.size == 1:
        probability = float(1 / (1 + np.exp(-np.clip(largest, -700, 700))))
    else:
        probability = float(1 / np.exp(values - largest).sum())
    return Answer(class_id, largest, probability)
