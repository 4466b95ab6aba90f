"""FullGrad: how much each pixel and each bias contributed to the predicted class, from one step's tensors.

A ReLU network's logit is exactly `sum(input x gradient) + sum over biases (bias x gradient)` (Srinivas and Fleuret 2019,
arXiv 1905.00780, proposition 3), whatever its architecture: every convolution, linear layer and BatchNorm with a bias
counts, a BatchNorm with two, its own and the implicit one of its running mean. How far the sum misses the logit is the
completeness error; it proves that the recording is whole and paired rightly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain import names
from sagewatch.explain.answer import read_answer
from sagewatch.explain.enlarging import enlarge_sum
from sagewatch.explain.layers import Layer, only_item, pair_layers, read_layout
from sagewatch.explain.pixels import show_input
from sagewatch.explain.scaled_sums import sum_layers, sum_scaled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

# A map whose completeness error is above this is marked (DESIGN section 7).
COMPLETENESS_LIMIT: Final = 1e-4
_PICTURE = ("channels", "height", "width")


@dataclass(frozen=True)
class Explanation:
    """Why one image got its class.

    Parameters
    ----------
    class_id
        The predicted class.
    probability
        What the model says it is, 0 to 1; None where its outputs do not tell (see `answer`).
    logit
        Its logit, or what else the model's answer is made of.
    completeness_relative_error
        |logit - sum of all contributions| / |logit|; infinite for a logit of zero that is missed.
    saliency
        Shape (H, W) of the image, 0 (least relevant) to 1 (most).
    image
        The model's input as a picture, shape (3, H, W), 0 to 1; grey where it has other channels than three.
    colours
        How its colours were guessed; empty where they are known.
    unsupported
        Modules of the network with which contributions need not add up.
    """

    class_id: int
    probability: float | None
    logit: float
    completeness_relative_error: float
    saliency: NDArray[np.float64]
    image: NDArray[np.float32]
    unsupported: tuple[str, ...] = ()
    colours: str = ""

    @property
    def complete(self) -> bool:
        """Whether the contributions add up to the logit within `COMPLETENESS_LIMIT`."""
        return self.completeness_relative_error <= COMPLETENESS_LIMIT


def explain(tensors: Mapping[str, NDArray[Any]], where: str) -> Explanation:
    """Explain the one image of a step.

    Parameters
    ----------
    tensors
        The step's tensors by smdebug's names; the gradients are those of the predicted class's logit.
    where
        The step, for errors.

    Returns
    -------
    Explanation
        NaN in the tensors makes the completeness error NaN, which counts as incomplete.

    Raises
    ------
    MissingTensorError
        When a tensor is not there.
    RejectedInputError
        When the step holds a batch, no picture, or shapes that do not fit.
    """
    layout = read_layout(tensors, where)
    image = only_item(tensors, layout.image, where)
    gradient = only_item(tensors, names.IMAGE_GRADIENT, where)
    logits = only_item(tensors, layout.logits, where).astype(np.float64)
    if image.ndim != len(_PICTURE) or image.shape != gradient.shape or logits.ndim != 1:
        raise RejectedInputError("the shapes of image, logits and their gradients do not fit", where=where)
    if not np.isfinite(logits).all():
        raise RejectedInputError("the logits are no finite numbers: the model gave no answer", where=where)
    answer = read_answer(logits, layout)
    layers = pair_layers(tensors, layout, where)
    contributions = [_dot(image, gradient), *(layer.contribution() for layer in layers)]
    picture, colours = show_input(image, layout.normalisation)
    return Explanation(
        answer.class_id,
        answer.probability,
        answer.output,
        _relative_error(answer.output, sum(contributions)),
        saliency_map(image, gradient, layers),
        picture,
        layout.unsupported,
        colours,
    )


def saliency_map(image: NDArray[Any], gradient: NDArray[Any], layers: Iterable[Layer]) -> NDArray[np.float64]:
    """The notebook's map: every layer's |bias x gradient|, scaled to 0..1, enlarged, and summed over channels and layers.

    Scaling and enlarging are linear, so the channels of all layers of one size are summed in one product and enlarged
    once: the same map as the notebook's loop over channels up to rounding, a thousand times sooner.

    Parameters
    ----------
    image, gradient
        Shape (3, H, W).
    layers
        Of any sizes; a linear layer has no place in a picture and is left out.

    Returns
    -------
    NDArray[np.float64]
        Shape (H, W), 0 to 1; all zero where nothing contributed.
    """
    total = sum_scaled([np.asarray(image) * gradient], np.ones(image.shape[0]))
    sums = sum_layers([layer for layer in layers if layer.gradient.ndim == len(_PICTURE)])
    if sums:
        total = total + enlarge_sum(sums, (image.shape[1], image.shape[2]))
    return _scale(total)


def _scale(values: NDArray[Any]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return ((values - low) / (high - low)).astype(np.float64) if high > low else np.zeros(values.shape)


def _dot(left: NDArray[Any], right: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        return float((left.astype(np.float64) * right).sum())


def _relative_error(wanted: float, given: float) -> float:
    if wanted == given:
        return 0.0
    return abs(wanted - given) / abs(wanted) if wanted else float("inf")
