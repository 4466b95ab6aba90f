"""The endpoint's code as its container sees it: modules on the path by their own names, no package around them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ENDPOINT_CODE = ROOT / "endpoint_code"
WEIGHTS = ENDPOINT_CODE / "weights" / "resnet18_quarter_128.pt"
PHOTOGRAPHS = ROOT.parent / "shared" / "real" / "gtsrb"


def load_endpoint():
    """The modules `model`, `inference`, `debugger_hook`, `tensor_store`, `event_file` and `layout`."""
    if str(ENDPOINT_CODE) not in sys.path:
        sys.path.append(str(ENDPOINT_CODE))
    names = ("model", "inference", "debugger_hook", "tensor_store", "event_file", "layout")
    return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


def start(endpoint, output: str = ""):
    """A served model, hooked when there is an output."""
    previous = os.environ.get("TENSORS_OUTPUT")  # noqa: TID251 - the switch under test
    os.environ["TENSORS_OUTPUT"] = output  # noqa: TID251
    try:
        return endpoint.inference.model_fn(str(WEIGHTS.parent))
    finally:
        if previous is None:
            del os.environ["TENSORS_OUTPUT"]  # noqa: TID251
        else:
            os.environ["TENSORS_OUTPUT"] = previous  # noqa: TID251


def encode_npy(pixels):
    """The body that the notebook's client sends."""
    import io

    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def record(endpoint, output: Path, classes: list[int], seed: int = 5):
    """Answer one drawn sign of each class with the hook on; returns what was answered."""
    from sagewatch.sandbox.signs import draw_sign

    served = start(endpoint, str(output))
    rng = np.random.default_rng(seed)
    bodies = [encode_npy(draw_sign(class_id, rng)) for class_id in classes]
    answers = [endpoint.inference.transform_fn(served, body, "application/x-npy", "") for body in bodies]
    assert served.recorder.drain(timeout_seconds=60)
    return answers
