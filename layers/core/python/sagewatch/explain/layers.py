"""The biased layers of a recording, each with the gradient at its output: paired by the module tree that the hook wrote.

Recordings of other hooks (the notebook's, smdebug's own) have no layout: then BatchNorms are found by their statistics
and the last layer by its name, as the notebook does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sagewatch.errors import RejectedInputError
from sagewatch.explain import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

# torch.nn.BatchNorm2d's default; for recordings of hooks that do not store it, such as the notebook's.
DEFAULT_EPSILON: Final = 1e-5
NOTEBOOKS_LAST_LAYER: Final = "fc"
# ImageNet's mean and standard deviation per channel, the normalisation of the notebook's model.
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
IMAGENET: Final = (IMAGENET_MEAN, IMAGENET_STD)
_NUMBERS: Final = "fiu"  # numpy's kinds of real numbers
# A map is enlarged by a matrix of one side by the other.
LONGEST_SIDE: Final = 4096
_PICTURE_DIMENSIONS: Final = 3
# Mean and standard deviation by channel.
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
_RUNNING_MEAN: Final = re.compile(r"(.+)\.running_mean_output_0")


@dataclass(frozen=True)
class Layer:
    """One layer: the gradient at its output, (C, H, W) or (F,), and its bias (C,) or (F,).

    A BatchNorm's bias is its own and the implicit one of its running mean, `b - mean * w / sqrt(var + eps)`.
    """

    module: str
    gradient: NDArray[Any]
    bias: NDArray[np.float64]

    def contribution(self) -> float:
        """What the layer's bias adds to the logit."""
        channels = self.gradient.reshape(self.bias.size, -1).sum(axis=1, dtype=np.float64)
        return float(channels @ self.bias)


@dataclass(frozen=True)
class Layout:
    """What the network is made of.

    Parameters
    ----------
    model
        Its class, which prefixes its parameters' names.
    image, logits
        Names of the input's and the answer's tensor.
    last
        The module that gives the logits; None where it has no bias.
    layers
        Module and kind of every other biased layer: ``bias``, ``batch_norm``, or ``plain_batch_norm`` without weights.
    unsupported
        Modules with which contributions need not add up, such as ``GELU act``.
    answer
        ``probabilities`` where the answer is a Softmax's or Sigmoid's output; empty where it is not, or nobody noted.
    normalisation
        Mean and standard deviation by channel that pictures of 0 to 1 were normalised with; None where nobody noted.
    """

    model: str
    image: str
    logits: str
    last: str | None
    layers: tuple[tuple[str, str], ...]
    unsupported: tuple[str, ...]
    answer: str = ""
    normalisation: Normalisation | None = None


def read_layout(tensors: Mapping[str, NDArray[Any]], where: str) -> Layout:
    """The layout that the hook wrote, or the notebook's.

    Raises
    ------
    RejectedInputError
        The layout is none.
    MissingTensorError
        There is neither a layout nor what the notebook looks for.
    """
    if names.LAYOUT not in tensors:
        return _guess_layout(tensors, where)
    try:
        given = json.loads(np.asarray(tensors[names.LAYOUT], dtype=np.uint8).tobytes())
        return Layout(
            str(given["model"]),
            str(given["image"]),
            str(given["logits"]),
            None if given["last"] is None else str(given["last"]),
            tuple((str(row["module"]), str(row["kind"])) for row in given["layers"]),
            tuple(map(str, given["unsupported"])),
            str(given.get("answer", "")),  # older hooks do not say
            _read_normalisation(given.get("normalisation")),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RejectedInputError(f"{names.LAYOUT} is no layout ({error!r})", where=where) from error


def _read_normalisation(given: Any) -> Normalisation | None:
    if given is None:
        return None
    try:
        mean, deviation = (tuple(map(float, each)) for each in given)
    except (TypeError, ValueError):
        return None  # the colours are guessed; the map does not hang on them
    return mean, deviation


def pair_layers(tensors: Mapping[str, NDArray[Any]], layout: Layout, where: str) -> list[Layer]:
    """Every biased layer with its gradient, the last one at the end; one that is used at several sizes once for each.

    Raises
    ------
    MissingTensorError
        A layer's tensor is not there.
    RejectedInputError
        A layer's tensors do not fit together, or hold a batch.
    """
    layers = []
    if layout.last is not None:
        tensors = _complete_last(tensors, layout, layout.last, where)
    for module, kind in _list_layers(tensors, layout):
        bias = _read_bias(tensors, layout.model, module, kind, where)
        size = 0
        while not size or names.output_gradient(module, size) in tensors:
            gradient = only_item(tensors, names.output_gradient(module, size), where)
            if gradient.ndim not in {1, 3} or bias.shape != gradient.shape[:1]:
                raise RejectedInputError(f"the tensors of {module} do not fit together", where=where)
            layers.append(Layer(module, gradient, bias))
            size += 1
    return layers


def _list_layers(tensors: Mapping[str, NDArray[Any]], layout: Layout) -> Iterator[tuple[str, str]]:
    """Module and kind of all layers; what kind the last one is its parameters tell."""
    yield from layout.layers
    last = layout.last
    if last is None:
        return
    if names.running_mean(last) not in tensors:
        yield last, "bias"
    else:
        has_own = names.parameter(layout.model, last, "bias") in tensors
        yield last, "batch_norm" if has_own else "plain_batch_norm"


def _complete_last(
    tensors: Mapping[str, NDArray[Any]], layout: Layout, last: str, where: str
) -> Mapping[str, NDArray[Any]]:
    """With the gradient at the last layer, which older hooks leave out: one at the answered class, else zero."""
    name = names.output_gradient(last)
    if name in tensors:
        return tensors
    logits = get_tensor(tensors, layout.logits, where)
    gradient = np.zeros(logits.shape)
    gradient.flat[np.argmax(logits)] = 1
    return {**tensors, name: gradient}


def only_item(tensors: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    """The tensor without its batch dimension, which has to be 1: gradients of a batch cannot be told apart by class."""
    tensor = get_tensor(tensors, name, where)
    if tensor.ndim == 0 or tensor.shape[0] != 1:
        raise RejectedInputError(f"{name} has shape {tensor.shape}, one image a step is read", where=where)
    item: NDArray[Any] = tensor[0]
    if item.ndim == _PICTURE_DIMENSIONS and max(item.shape[1:]) > LONGEST_SIDE:
        raise RejectedInputError(
            f"{name} has shape {tensor.shape}, a side may have {LONGEST_SIDE}", where=where
        )
    return item


def get_tensor(tensors: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[Any]:
    """The tensor, or the error of its absence, or of what cannot be calculated with.

    Raises
    ------
    MissingTensorError
        It is not there.
    RejectedInputError
        It holds no real numbers, nothing at all, or has a side that no picture and no layer has.
    """
    if name not in tensors:
        raise names.MissingTensorError(name, where=where)
    tensor = tensors[name]
    if tensor.dtype.kind not in _NUMBERS:
        raise RejectedInputError(f"{name} holds {tensor.dtype}, no numbers", where=where)
    if not tensor.size:
        raise RejectedInputError(f"{name} is empty", where=where)
    return tensor


def _read_bias(
    tensors: Mapping[str, NDArray[Any]], model: str, module: str, kind: str, where: str
) -> NDArray[np.float64]:
    if kind in {"batch_norm", "plain_batch_norm"}:
        return _read_batch_norm(tensors, model, module, where, has_own=kind == "batch_norm")
    return get_tensor(tensors, names.parameter(model, module, "bias"), where).astype(np.float64)


def _read_batch_norm(
    tensors: Mapping[str, NDArray[Any]], model: str, module: str, where: str, *, has_own: bool
) -> NDArray[np.float64]:
    """Its own bias, where it has weights, and that of its running mean."""
    mean, variance = (
        get_tensor(tensors, name, where).astype(np.float64)
        for name in (names.running_mean(module), names.running_var(module))
    )
    weight, own = np.ones(mean.shape), np.zeros(mean.shape)
    if has_own:
        weight, own = (
            get_tensor(tensors, names.parameter(model, module, kind), where).astype(np.float64)
            for kind in ("weight", "bias")
        )
    if {weight.shape, own.shape, variance.shape} != {mean.shape}:
        raise RejectedInputError(f"the tensors of {module} do not fit together", where=where)
    epsilon = DEFAULT_EPSILON
    if names.epsilon(module) in tensors:
        epsilon = float(np.ravel(get_tensor(tensors, names.epsilon(module), where))[0])
    bias: NDArray[np.float64] = own - mean * weight / np.sqrt(variance + epsilon)
    return bias


def _guess_layout(tensors: Mapping[str, NDArray[Any]], where: str) -> Layout:
    last = NOTEBOOKS_LAST_LAYER
    ending = f"_{last}.bias"
    found = [name for name in tensors if name.endswith(ending) and names.is_parameter(name)]
    if len(found) != 1:
        raise names.MissingTensorError(f"*{ending}", where=where)
    model = found[0].removesuffix(ending)
    modules = [match[1] for name in tensors if (match := _RUNNING_MEAN.fullmatch(name))]
    if not modules:
        raise names.MissingTensorError("*.running_mean_output_0", where=where)
    layers = tuple((module, "batch_norm") for module in modules)
    return Layout(model, names.model_input(model), names.output(last), last, layers, (), "", IMAGENET)
