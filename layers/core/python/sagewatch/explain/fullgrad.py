"""FullGrad: how much each pixel and each bias contributed to the predicted class, from one step's tensors.

A ReLU network's logit is exactly `sum(input x gradient) + sum over biases (bias x gradient)` (Srinivas and Fleuret 2019,
arXiv 1905.00780, proposition 3). Here every BatchNorm has two biases, its own and the implicit one of its running mean,
and the last layer has one. How far the sum misses the logit is the completeness error; it proves that the recording
is whole and paired rightly. Tensors are paired by module name.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

# torch.nn.BatchNorm2d's default; for recordings of hooks that do not store it, such as the notebook's.
DEFAULT_EPSILON: Final = 1e-5
# A map whose completeness error is above this is marked (DESIGN section 7).
COMPLETENESS_LIMIT: Final = 1e-4
_RUNNING_MEAN: Final = re.compile(r"(.+)\.running_mean_output_0")


@dataclass(frozen=True)
class Explanation:
    """Why one image got its class.

    Parameters
    ----------
    class_id
        The predicted class.
    probability
        Its softmax probability, 0 to 1.
    logit
        Its logit.
    completeness_relative_error
        |logit - sum of all contributions| / |logit|; infinite for a logit of zero that is missed.
    saliency
        Shape (H, W) of the image, 0 (least relevant) to 1 (most).
    image
        The model's input, shape (3, H, W), normalised as the model wants it.
    """

    class_id: int
    probability: float
    logit: float
    completeness_relative_error: float
    saliency: NDArray[np.float64]
    image: NDArray[np.float32]

    @property
    def complete(self) -> bool:
        """Whether the contributions add up to the logit within `COMPLETENESS_LIMIT`."""
        return self.completeness_relative_error <= COMPLETENESS_LIMIT


@dataclass(frozen=True)
class BatchNormLayer:
    """One BatchNorm: the gradient at its output (C, H, W), and the sum of its two biases (C,)."""

    module: str
    gradient: NDArray[Any]
    bias: NDArray[np.float64]


def explain(tensors: Mapping[str, NDArray[Any]], where: str, last_layer: str = "fc") -> Explanation:
    """Explain the one image of a step.

    Parameters
    ----------
    tensors
        The step's tensors by smdebug's names; the gradients are those of the predicted class's logit.
    where
        The step, for errors.
    last_layer
        Name of the module that gives the logits.

    Returns
    -------
    Explanation
        NaN in the tensors makes the completeness error NaN, which counts as incomplete.

    Raises
    ------
    MissingTensorError
        When a tensor is not there.
    RejectedInputError
        When the step holds a batch, or shapes that do not fit.
    """
    model, last_bias = _find_last_bias(tensors, where, last_layer)
    image = _only_item(tensors, names.model_input(model), where)
    gradient = _only_item(tensors, names.IMAGE_GRADIENT, where)
    logits = _only_item(tensors, names.output(last_layer), where).astype(np.float64)
    if image.shape != gradient.shape or logits.shape != last_bias.shape:
        raise RejectedInputError("the shapes of image, logits and their gradients do not fit", where=where)
    class_id = int(np.argmax(logits))
    layers = pair_layers(tensors, model, where)
    contributions = [_dot(image, gradient), float(last_bias[class_id])]
    contributions += [
        float(layer.gradient.sum(axis=(1, 2), dtype=np.float64) @ layer.bias) for layer in layers
    ]
    logit = float(logits[class_id])
    return Explanation(
        class_id,
        float(1 / np.exp(logits - logit).sum()),
        logit,
        _relative_error(logit, sum(contributions)),
        saliency_map(image, gradient, layers),
        np.asarray(image, dtype=np.float32),
    )


def pair_layers(tensors: Mapping[str, NDArray[Any]], model: str, where: str) -> list[BatchNormLayer]:
    """Each BatchNorm of a step with its gradient and its bias `b - mean * w / sqrt(var + eps)`, found by module name."""
    layers = []
    for name in tensors:
        match = _RUNNING_MEAN.fullmatch(name)
        if match is None:
            continue
        module = match[1]
        gradient = _only_item(tensors, names.output_gradient(module), where)
        weight, own, mean, variance = (
            _get(tensors, parameter, where).astype(np.float64)
            for parameter in (
                names.parameter(model, module, "weight"),
                names.parameter(model, module, "bias"),
                names.running_mean(module),
                names.running_var(module),
            )
        )
        sizes = {parameter.shape for parameter in (weight, own, mean, variance)}
        if gradient.ndim != len("CHW") or sizes != {gradient.shape[:1]}:
            raise RejectedInputError(f"the tensors of {module} do not fit together", where=where)
        epsilon = float(np.ravel(tensors.get(names.epsilon(module), DEFAULT_EPSILON))[0])
        layers.append(BatchNormLayer(module, gradient, own - mean * weight / np.sqrt(variance + epsilon)))
    if not layers:
        raise names.MissingTensorError("*.running_mean_output_0", where=where)
    return layers


def saliency_map(
    image: NDArray[Any], gradient: NDArray[Any], layers: Iterable[BatchNormLayer]
) -> NDArray[np.float64]:
    """The notebook's map: every layer's |bias x gradient|, scaled to 0..1, enlarged, and summed over channels and layers.

    Enlarging is linear, so channels and layers of one size are summed first and enlarged once: the same map as the
    notebook's loop over channels up to rounding, a thousand times sooner.

    Parameters
    ----------
    image, gradient
        Shape (3, H, W).
    layers
        Of any sizes.

    Returns
    -------
    NDArray[np.float64]
        Shape (H, W), 0 to 1; all zero where nothing contributed.
    """
    height, width = image.shape[1:]
    total = _scaled_channel_sum(np.asarray(image) * gradient, np.ones(image.shape[0]))
    by_size: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for layer in layers:
        size = layer.gradient.shape[1:]
        summed = _scaled_channel_sum(layer.gradient, layer.bias)
        by_size[size] = by_size[size] + summed if size in by_size else summed
    # rows_of_a @ a @ columns_of_a + rows_of_b @ b @ columns_of_b + ... as one product of two wide matrices.
    taller = [_interpolation(size[0], height) @ summed for size, summed in by_size.items()]
    wider = [_interpolation(size[1], width).T for size in by_size]
    return _scale(total + np.hstack(taller) @ np.vstack(wider) if taller else total)


@functools.lru_cache(maxsize=64)
def _interpolation(size: int, wanted: int) -> NDArray[np.float64]:
    """The matrix (wanted, size) that interpolates linearly, first and last kept: scipy.ndimage.zoom(order=1)'s grid."""
    places = np.linspace(0, size - 1, wanted)
    above = np.minimum(places.astype(int), max(size - 2, 0))
    rows = np.arange(wanted)
    matrix = np.zeros((wanted, size))
    matrix[rows, above] = 1 - (places - above)
    matrix[rows, np.minimum(above + 1, size - 1)] += places - above
    return matrix


def _scaled_channel_sum(values: NDArray[Any], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale |factor x values| of shape (C, H, W) to 0..1 over all of it, and sum the channels.

    Scaling is linear, so it is done after the sum. einsum instead of a matrix product: these are too small for the
    threads that the latter would wake.
    """
    sizes = np.abs(values).reshape(values.shape[0], -1)
    weights = np.abs(factors)
    # argmax and argmin, because numpy's max and min along rows are four times slower on rows this short.
    rows = np.arange(len(sizes))
    low = float((sizes[rows, sizes.argmin(axis=1)] * weights).min())
    high = float((sizes[rows, sizes.argmax(axis=1)] * weights).max())
    if not high > low:
        return np.zeros(values.shape[1:])
    summed: NDArray[np.float64] = np.einsum("c,cp->p", weights.astype(sizes.dtype), sizes).astype(np.float64)
    return (summed.reshape(values.shape[1:]) - low * len(weights)) / (high - low)


def _scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / (high - low)) if high > low else np.zeros(values.shape)


def _dot(left: NDArray[Any], right: NDArray[Any]) -> float:
    return float((left.astype(np.float64) * right).sum())


def _relative_error(wanted: float, given: float) -> float:
    if wanted == given:
        return 0.0
    return abs(wanted - given) / abs(wanted) if wanted else float("inf")


def _find_last_bias(
    tensors: Mapping[str, NDArray[Any]], where: str, last_layer: str
) -> tuple[str, NDArray[np.float64]]:
    """The model's class name and the last layer's bias, from the one parameter that ends in that layer's name."""
    ending = f"_{last_layer}.bias"
    found = [name for name in tensors if name.endswith(ending) and names.is_parameter(name)]
    if len(found) != 1:
        raise names.MissingTensorError(f"*{ending}", where=where)
    return found[0].removesuffix(ending), tensors[found[0]].astype(np.float64)


def _get(tensors: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    if name not in tensors:
        raise names.MissingTensorError(name, where=where)
    return tensors[name]


def _only_item(tensors: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    """The tensor without its batch dimension, which has to be 1: gradients of a batch cannot be told apart by class."""
    tensor = _get(tensors, name, where)
    if tensor.ndim == 0 or tensor.shape[0] != 1:
        raise RejectedInputError(f"{name} has shape {tensor.shape}, one image a step is read", where=where)
    item: NDArray[Any] = tensor[0]
    return item
