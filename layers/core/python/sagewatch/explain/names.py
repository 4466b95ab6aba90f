"""The names under which smdebug stores tensors: the one place where they are spelled on the reading side.

`tests/contract/test_tensor_names.py` holds them equal to what `endpoint_code/debugger_hook.py` writes.
"""

from __future__ import annotations

from typing import Final

from sagewatch.errors import RejectedInputError

IMAGE_GRADIENT: Final = "gradient/image"
# Our hook's own: what the network is made of (JSON), the request's SHA-256, and what answering took.
LAYOUT: Final = "sagewatch.layout"
REQUEST: Final = "sagewatch.request"
SECONDS: Final = "sagewatch.seconds"
_GRADIENT: Final = "gradient/"
_OUTPUT: Final = "_output"
_PARAMETER_ENDINGS: Final = (
    ".weight", ".bias", ".running_mean_output_0", ".running_var_output_0", ".eps_output_0",
)  # fmt: skip


class MissingTensorError(RejectedInputError):
    """A step lacks a tensor that FullGrad needs.

    Parameters
    ----------
    name
        The tensor, or the pattern it has to match.
    where
        The step.
    """

    def __init__(self, name: str, *, where: str) -> None:
        super().__init__(f"tensor {name} is not recorded", where=where)
        self.name = name


def is_parameter(name: str) -> bool:
    """Whether a tensor belongs to the model and not to one request, so that it may be written once.

    >>> is_parameter("ResNet_bn1.bias"), is_parameter("gradient/ResNet_bn1.bias")
    (True, False)
    """
    return name == LAYOUT or (not name.startswith(_GRADIENT) and name.endswith(_PARAMETER_ENDINGS))


def output_gradient(module: str, size: int = 0) -> str:
    """The gradient at a module's output; of a module that is used at several sizes, at the first, second... of them.

    >>> output_gradient("bn1"), output_gradient("bn1", 1)
    ('gradient/bn1_output', 'gradient/bn1_output_1')
    """
    return f"{_GRADIENT}{module}{_OUTPUT}" + (f"_{size}" if size else "")


def running_mean(module: str) -> str:
    """A BatchNorm's running mean."""
    return f"{module}.running_mean_output_0"


def running_var(module: str) -> str:
    """A BatchNorm's running variance."""
    return f"{module}.running_var_output_0"


def epsilon(module: str) -> str:
    """What a BatchNorm adds to the variance; our hook's own, smdebug has no such tensor."""
    return f"{module}.eps_output_0"


def output(module: str) -> str:
    """A module's first output."""
    return f"{module}_output_0"


def model_input(model: str) -> str:
    """The model's first input; `model` is its class, such as `ResNet`."""
    return f"{model}_input_0"


def parameter(model: str, module: str, kind: str) -> str:
    """A module's `weight` or `bias`."""
    return f"{model}_{module}.{kind}"
