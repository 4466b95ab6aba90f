"""What a network is made of, as far as FullGrad asks: which modules have a bias, and which break completeness.

A network of convolution, BatchNorm, linear layers and (leaky) ReLU is piecewise linear: its logit is exactly the sum of
the input's and the biases' contributions. Other activations and normalisations are named, so that the picture can say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYOUT: Final = "sagewatch.layout"
# SyncBatchNorm is what a model that was trained on several machines keeps; in evaluation it is a plain one.
_BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_AFFINE: Final = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_COARSE: Final = {torch.float16, torch.bfloat16}
# What autograd calls that which changes a tensor's shape or type, and not its numbers.
_SHAPING: Final = ("View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Alias", "Clone", "ToCopy")
# Piecewise linear through the origin: no bias of their own.
_BIASLESS: Final = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d, nn.MaxPool1d,
    nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.PixelShuffle,
)  # fmt: skip


def is_batch_norm(module: nn.Module) -> bool:
    """Whether it is a BatchNorm with statistics of its own."""
    return isinstance(module, _BATCH_NORMS) and module.running_mean is not None


def has_bias(module: nn.Module) -> bool:
    """Whether it adds something that the input does not explain."""
    return is_batch_norm(module) or (isinstance(module, _AFFINE) and module.bias is not None)


def count_channels(module: nn.Module) -> int:
    """How many biases a biased module has."""
    return int((module.running_mean if is_batch_norm(module) else module.bias).numel())


def tell_answer(logits: torch.Tensor) -> str:
    """`probabilities` where the model's answer, with its gradient, is what a softmax or a sigmoid gave; else empty."""
    node = logits.grad_fn
    while node is not None and node.name().startswith(_SHAPING):
        node = node.next_functions[0][0]
    # Of a logarithm of a softmax the softmax is the probability again: those are logits.
    return "probabilities" if node is not None and node.name().startswith(("Softmax", "Sigmoid")) else ""


def describe_layout(model: nn.Module, last: str | None, answer: str = "") -> dict[str, Any]:
    """The network's biased modules in the order of the module tree, and what else is in it.

    Parameters
    ----------
    last
        The module whose output is the logits; None where it is none of the biased ones.
    answer
        What `tell_answer` said of the logits.
    """
    named = [(name, module) for name, module in model.named_modules() if name]
    kind = model._get_name()  # noqa: SLF001 - the name smdebug gives
    return {
        "schema": 1,
        "model": kind,
        "image": f"{kind}_input_0",
        "logits": f"{last or kind}_output_0",
        "last": last,
        "answer": answer,
        "layers": [
            {"module": name, "kind": _tell_kind(module)}
            for name, module in named
            if has_bias(module) and name != last
        ],
        "unsupported": [
            *_tell_state(model),
            *(f"{module._get_name()} {name}" for name, module in named if _breaks(module)),  # noqa: SLF001
        ],
    }


def _tell_state(model: nn.Module) -> Iterator[str]:
    """What of the whole model breaks completeness: coarse numbers, and statistics that are those of the request."""
    kinds = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    yield from sorted(str(kind).removeprefix("torch.") + " arithmetic" for kind in kinds & _COARSE)
    if any(module.training for module in model.modules() if is_batch_norm(module)):
        yield "training mode"


def _tell_kind(module: nn.Module) -> str:
    if not is_batch_norm(module):
        return "bias"
    return "batch_norm" if module.affine else "plain_batch_norm"


def _breaks(module: nn.Module) -> bool:
    if isinstance(module, (*_AFFINE, *_BIASLESS)) or is_batch_norm(module):
        return False
    return not any(True for _ in module.children())
