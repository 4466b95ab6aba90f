"""Targeted DeepFool on the pixels an endpoint will see: AdvBox's role in the notebook.

Own code, because no maintained attack library was found that does DeepFool towards a target and survives rounding to
8-bit pixels. AdvBox, which has the target, stops at the decision boundary: after rounding, 2 of 40 images kept the
class. So this iterates on the rounded image, until the target leads by a margin.

Needs torch, which is imported when an attack runs, and the model of `endpoint_code/model.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from sagewatch.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STOP: Final = 14
INPUT_SIDE: Final = 128
_WHITE: Final = 255
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
# DeepFool's overshoot; with the margin that is asked for, a larger one than the paper's 0.02 saves iterations.
_OVERSHOOT: Final = 0.05
# Aimed at beyond the lead that is asked for: rounding takes some of each step back, most of all of the last, small ones.
_MARGIN: Final = 0.4
# Root mean square of one step in grey levels: where the gradient is small, the model is not linear as far as the step goes.
_LONGEST_STEP: Final = 3.0


class ModelNotFoundError(SandboxError):
    """The endpoint's model or weights are not where they were said to be."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"There is no {path}: give the folder that holds the endpoint's code and weights.")
        self.path = path


@dataclass(frozen=True)
class Attacked:
    """An attacked image.

    Parameters
    ----------
    image
        uint8, shape (128, 128, 3): what to send; the endpoint's resizing leaves it as it is.
    iterations
        Steps that were needed.
    rms_change
        Root mean square of the pixels' change, in grey levels of 255.
    success
        Whether the target's logit leads by the margin that was asked for.
    """

    image: NDArray[np.uint8]
    iterations: int
    rms_change: float
    success: bool


def load_model(endpoint_code: Path, weights: Path) -> Any:
    """The endpoint's model, from its own code.

    Raises
    ------
    ModelNotFoundError
        When the code or the weights are not there.
    """
    code = endpoint_code / "model.py"
    for path in (code, weights):
        if not path.is_file():
            raise ModelNotFoundError(path)
    spec = importlib.util.spec_from_file_location("sagewatch_endpoint_model", code)
    if spec is None or spec.loader is None:
        raise ModelNotFoundError(code)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.load_weights(weights).requires_grad_(requires_grad=False)


def attack(
    model: Any,
    image: NDArray[np.uint8],
    target: int = STOP,
    lead: float = 3.0,
    max_iterations: int = 50,
) -> Attacked:
    """Change an image as little as possible until the model answers `target`.

    Parameters
    ----------
    model
        Torch module from normalised images (N, 3, 128, 128) to logits, in evaluation mode.
    image
        uint8, shape (H, W, 3), RGB, of any size; it is resized as the endpoint does.
    target
        The class to be answered; an image that is of this class already comes back resized.
    lead
        How far its logit must lead all others.
    max_iterations
        When to give up.

    Returns
    -------
    Attacked
        The last image, whether or not it succeeded. The same input gives the same output.

    Notes
    -----
    Each step goes along the gradient as far as would reach the margin if the model were linear (Moosavi-Dezfooli,
    Fawzi and Frossard 2016, arXiv 1511.04599, algorithm 2, with one target), taken at the rounded image. The gradient
    is that of the target's lead over all other classes at once (log-sum-exp): towards the target away from the one
    strongest class, as in the paper, the next strongest take turns and 3 images in 100 never arrive.
    """
    import torch

    resized = Image.fromarray(image).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR)
    original = torch.from_numpy(np.array(resized)).permute(2, 0, 1).unsqueeze(0).to(torch.float32)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    # Unrounded, so that a step too small for any pixel to move is not lost but adds up with the next ones.
    wanted = pixels = original
    success, iterations = False, 0
    for iterations in range(max_iterations + 1):
        x = pixels.clone().requires_grad_()
        logits = model((x / 255 - mean) / std)[0]
        others = torch.cat([logits[:target], logits[target + 1 :]])
        missing = lead - float((logits[target] - others.max()).detach())
        success = missing <= 0
        if success or iterations == max_iterations:
            break
        (gradient,) = torch.autograd.grad(logits[target] - others.logsumexp(0), x)
        # Black and white pixels cannot go further; without this, dark photographs get a fraction of each step.
        stuck = ((wanted <= 0) & (gradient < 0)) | ((wanted >= _WHITE) & (gradient > 0))
        gradient = gradient.masked_fill(stuck, 0)
        length = gradient.square().mean().sqrt().clamp_min(1e-12)
        wanted_length = (missing + _MARGIN) * (1 + _OVERSHOOT) / (length * gradient.numel())
        step = gradient / length * wanted_length.clamp_max(_LONGEST_STEP)
        wanted = (wanted + step).clamp(0, _WHITE)
        pixels = wanted.round()
    changed = pixels[0].permute(1, 2, 0).to(torch.uint8).numpy()
    rms = float((pixels - original).square().mean().sqrt())
    return Attacked(np.ascontiguousarray(changed), iterations, rms, success)
