"""Records, for each request, the tensors that FullGrad needs, in the format of Amazon SageMaker Debugger (smdebug).

Each worker process writes below a prefix of its own: smdebug lets only one process write into one prefix, and step
numbers start again in each process. One request is one step, and one step is one index object, written last, so
counting index objects counts complete requests::

    <TENSORS_OUTPUT>/<worker>/events/000000000007/000000000007_worker_0.tfevents
    <TENSORS_OUTPUT>/<worker>/index/000000000/000000000007_worker_0.json

Only smdebug's file writer is used. Its own hook saves every parameter at every step, calls a telemetry address when
profiling, and writes to S3 inside the request. Tensor names are the ones its hook gives.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
from typing import TYPE_CHECKING, Final

import torch
from tensor_store import StepStore, new_worker_name, open_store
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from model import ResNet
    from numpy.typing import NDArray

# Steps waiting to be written; a full queue drops the step, never delays the answer.
MAX_WAITING_STEPS: Final = 32
LAST_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class TensorRecorder:
    """Answers requests and records their tensors in the background.

    Parameters
    ----------
    model
        In evaluation mode; its parameters stop requiring gradients, because only the image's are needed.
    output
        `s3://bucket/prefix`, or a directory.
    """

    def __init__(self, model: ResNet, output: str) -> None:
        self.model = model.requires_grad_(requires_grad=False)
        self._output = output
        self._batch_norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[dict[str, torch.Tensor]] = queue.Queue(MAX_WAITING_STEPS)
        self._thread: threading.Thread | None = None

    def predict(self, x: torch.Tensor) -> torch.Tensor | None:
        """Logits (1, classes) of one image, its tensors handed over for writing.

        Returns
        -------
        torch.Tensor or None
            None when recording failed before there was an answer; the caller then predicts without it.
        """
        logits = None
        try:
            with self._lock, torch.enable_grad():
                tensors: dict[str, torch.Tensor] = {}
                logits = self._forward_and_backward(x, tensors)
            self._hand_over(tensors)
        except Exception:  # noqa: BLE001 - the hook must never fail a prediction
            _log.exception("tensors_not_recorded")
        return logits.detach() if logits is not None else None

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until everything handed over is written or given up; False when the time is over before."""
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(
                lambda: not self._waiting.unfinished_tasks, timeout_seconds
            )

    def _forward_and_backward(self, x: torch.Tensor, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        """The prediction itself, with the gradient of the predicted class's logit at the image and each BatchNorm."""
        image = x.detach().clone().requires_grad_()
        handles = [
            m.register_forward_hook(_GradientKeeper(name, tensors)) for name, m in self._batch_norms.items()
        ]
        try:
            logits = self.model(image)
        finally:
            for handle in handles:
                handle.remove()
        logits[0, int(logits[0].argmax())].backward(inputs=[image])
        tensors[f"{self.model._get_name()}_input_0"] = image.detach()  # noqa: SLF001 - the name smdebug gives
        tensors["gradient/image"] = image.grad
        tensors["fc_output_0"] = logits.detach()
        return logits

    def _hand_over(self, tensors: dict[str, torch.Tensor]) -> None:
        if self._thread is None:
            # Not earlier: a server may fork its workers after loading the model, and threads do not survive that.
            self._thread = threading.Thread(target=self._write_forever, name="tensor-writer", daemon=True)
            self._thread.start()
            # A container that is told to stop leaves in order; what was answered is then recorded too.
            atexit.register(self.drain, LAST_SECONDS)
        try:
            self._waiting.put_nowait(tensors)
        except queue.Full:
            _log.warning("tensors_dropped: %d steps wait to be written", MAX_WAITING_STEPS)

    def _write_forever(self) -> None:
        store: StepStore | None = None
        step = 0
        once = self._parameters()
        while True:
            tensors = self._waiting.get()
            try:
                store = store or open_store(self._output, new_worker_name())
                arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
                store.write_step(step, {**once, **arrays})
                # Parameters do not change while a model is served: the first complete step has them for all.
                step, once = step + 1, {}
            except Exception:  # noqa: BLE001 - this thread serves the next requests too
                _log.exception("tensors_not_written")
            finally:
                self._waiting.task_done()

    def _parameters(self) -> dict[str, NDArray[np.generic]]:
        """What is written once: each BatchNorm's parameters and statistics, and the last layer."""
        prefix = self.model._get_name()  # noqa: SLF001 - the name smdebug gives
        values: dict[str, torch.Tensor] = {
            f"{prefix}_fc.weight": self.model.fc.weight,
            f"{prefix}_fc.bias": self.model.fc.bias,
        }
        for name, module in self._batch_norms.items():
            values[f"{prefix}_{name}.weight"] = module.weight
            values[f"{prefix}_{name}.bias"] = module.bias
            values[f"{name}.running_mean_output_0"] = module.running_mean
            values[f"{name}.running_var_output_0"] = module.running_var
            values[f"{name}.eps_output_0"] = torch.tensor([module.eps], dtype=torch.float64)
        return {name: value.detach().numpy() for name, value in values.items()}


class _GradientKeeper:
    """A forward hook that keeps the gradient of a module's output under smdebug's name for it."""

    def __init__(self, name: str, tensors: dict[str, torch.Tensor]) -> None:
        self._name = f"gradient/{name}_output"
        self._tensors = tensors

    def __call__(self, _module: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        output.register_hook(self._keep)

    def _keep(self, gradient: torch.Tensor) -> None:
        self._tensors[self._name] = gradient.detach()
