"""Records, for each request, the tensors that FullGrad needs, in the format of Amazon SageMaker Debugger (smdebug).

Each worker process writes below a prefix of its own: smdebug lets only one process write into one prefix, and step
numbers start again in each process. One request is one step, and one step is one index object, written last, so
counting index objects counts complete requests::

    <TENSORS_OUTPUT>/<worker>/events/000000000007/000000000007_worker_0.tfevents
    <TENSORS_OUTPUT>/<worker>/index/000000000/000000000007_worker_0.json

Nothing of smdebug runs here: its hook saves every parameter at every step, calls a telemetry address when profiling,
and writes to S3 inside the request. Tensor names are the ones its hook gives.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from layout import LAYOUT, count_channels, describe_layout, has_bias, is_batch_norm, tell_answer
from tensor_store import StepStore, new_worker_name, open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

# Steps waiting to be written; a full queue drops the step, never delays the answer.
MAX_WAITING_STEPS: Final = 32
LAST_SECONDS: Final = 5.0
REQUEST: Final = "sagewatch.request"
SECONDS: Final = "sagewatch.seconds"
# What a tensor's frame and its line in the index take beside its content, at most.
FRAME_BYTES: Final = 512

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much one worker process records.

    Parameters
    ----------
    every
        One request in so many.
    max_requests, max_bytes
        Then no more: requests are answered as if there were no hook. None is no limit. The first step is recorded
        whatever its size; after it nothing is that would lead above `max_bytes`, written or still waiting.
    """

    every: int = 1
    max_requests: int | None = None
    max_bytes: int | None = None


class TensorRecorder:
    """Answers requests and records their tensors in the background.

    Parameters
    ----------
    model
        In evaluation mode; its parameters stop requiring gradients, because only the image's are needed.
    output
        `s3://bucket/prefix`, or a directory.
    limits
        How much to record.
    normalisation
        Mean and standard deviation by channel that pictures of 0 to 1 were normalised with, by which they are shown as
        they were sent: `((0, 0, 0), (1, 1, 1))` for a model that takes 0 to 1. Without it, it is guessed, and said so.
    """

    def __init__(
        self,
        model: nn.Module,
        output: str,
        limits: Limits | None = None,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    ) -> None:
        self.model = model.requires_grad_(requires_grad=False)
        self._output = output
        self._limits = limits or Limits()
        self._normalisation = _read_normalisation(normalisation)
        self._biased = {name: module for name, module in model.named_modules() if has_bias(module)}
        self._lock = threading.Lock()  # of the counts: held for a moment
        self._turn = threading.Lock()  # of the model while it has our hooks: only who records waits for it
        self._seen = 0
        self._recorded = 0
        self._bytes = 0
        self._step_bytes = 0
        self._counted_parameters = False
        self._last: str | None = None
        self._answer = ""
        self._waiting: queue.Queue[dict[str, torch.Tensor]] = queue.Queue(MAX_WAITING_STEPS)
        self._thread: threading.Thread | None = None

    def predict(self, x: torch.Tensor, body: bytes = b"") -> torch.Tensor | None:
        """Logits (1, classes) of one image, its tensors handed over for writing.

        Parameters
        ----------
        body
            The request as it came: its SHA-256 is recorded, by which a step is found again in the data capture.
            (The serving toolkit gives no request id: its context is that of the first request.)

        Returns
        -------
        torch.Tensor or None
            None when this request is not recorded; the caller then predicts without it.
        """
        logits = None
        try:
            if not self._wants_another():
                return None
            # The caller's inference mode, which most keep around their prediction, would leave no gradient.
            with self._turn, torch.inference_mode(mode=False), torch.enable_grad():
                tensors: dict[str, torch.Tensor] = {}
                logits = self._forward_and_backward(x, tensors)
            digest = hashlib.sha256(body).digest()
            tensors[REQUEST] = torch.frombuffer(bytearray(digest), dtype=torch.uint8)
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

    def _wants_another(self) -> bool:
        limits = self._limits
        with self._lock:
            self._seen += 1
            if (self._seen - 1) % limits.every:
                return False
            if limits.max_requests is not None and self._recorded >= limits.max_requests:
                return False
            if not self._has_room(self._step_bytes):
                return False
            self._recorded += 1
            return True

    def _has_room(self, size: int) -> bool:
        """Whether one more step of so many bytes may be recorded."""
        limit = self._limits.max_bytes
        return limit is None or not self._bytes or self._bytes + size <= limit

    def _forward_and_backward(self, x: torch.Tensor, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        """The prediction itself, with the gradient of the predicted class's logit at the image and each biased layer."""
        began = time.perf_counter()
        image = x.detach().clone().requires_grad_()
        keepers = {name: _GradientKeeper(name, tensors) for name in self._biased}
        handles = [self._biased[name].register_forward_hook(keeper) for name, keeper in keepers.items()]
        try:
            logits = self.model(image.clone())  # which a model may normalise in its place
        finally:
            for handle in handles:
                handle.remove()
        answered = time.perf_counter()
        self._last = next((name for name, keeper in keepers.items() if keeper.output is logits), None)
        self._answer = tell_answer(logits)
        logits[0, int(logits[0].argmax())].backward(inputs=[image])
        kind = self.model._get_name()  # noqa: SLF001 - the name smdebug gives
        for name, module in self._biased.items():
            # No way leads from it to the answer (a head that only training uses, or whose output nobody returns).
            tensors.setdefault(f"gradient/{name}_output", torch.zeros(1, count_channels(module)))
        tensors[f"{kind}_input_0"] = image.detach()
        tensors["gradient/image"] = image.grad
        tensors[f"{self._last or kind}_output_0"] = logits.detach()
        spent = [answered - began, time.perf_counter() - began]
        tensors[SECONDS] = torch.tensor(spent, dtype=torch.float64)
        return logits

    def _reserve(self, tensors: dict[str, torch.Tensor]) -> int | None:
        """Count a step before it is queued; its bytes, or None where there is no room for it any more."""
        size = sum(_measure(tensor) for tensor in tensors.values())
        with self._lock:
            if not self._has_room(size):
                self._recorded -= 1
                return None
            self._step_bytes = size
            if not self._counted_parameters:
                self._counted_parameters = True
                size += self._measure_parameters()
            self._bytes += size
            return size

    def _measure_parameters(self) -> int:
        return sum(array.nbytes + FRAME_BYTES for array in self._parameters().values())

    def _hand_over(self, tensors: dict[str, torch.Tensor]) -> None:
        size = self._reserve(tensors)
        if size is None:
            return
        if self._thread is None:
            # Not earlier: a server may fork its workers after loading the model, and threads do not survive that.
            self._thread = threading.Thread(target=self._write_forever, name="tensor-writer", daemon=True)
            self._thread.start()
            # A container that is told to stop leaves in order; what was answered is then recorded too.
            atexit.register(self.drain, LAST_SECONDS)
        try:
            self._waiting.put_nowait(tensors)
        except queue.Full:
            with self._lock:
                self._bytes -= size
                self._recorded -= 1
            _log.warning("tensors_dropped: %d steps wait to be written", MAX_WAITING_STEPS)

    def _write_forever(self) -> None:
        store: StepStore | None = None
        step = 0
        is_first = True
        while True:
            tensors = self._waiting.get()
            try:
                store = store or open_store(self._output, new_worker_name())
                arrays = {name: _to_array(tensor) for name, tensor in tensors.items()}
                # Parameters do not change while a model is served: the first complete step has them for all.
                store.write_step(step, {**self._parameters(), **arrays} if is_first else arrays)
                step, is_first = step + 1, False
            except Exception:  # noqa: BLE001 - this thread serves the next requests too
                # Perhaps half of it was written: its bytes stay counted, and the parameters will come once more.
                self._counted_parameters = not is_first
                _log.exception("tensors_not_written")
            finally:
                self._waiting.task_done()

    def _parameters(self) -> dict[str, NDArray[np.generic]]:
        """What is written once: the layout, and each biased layer's parameters and statistics."""
        described = describe_layout(self.model, self._last, self._answer)
        layout = json.dumps({**described, "normalisation": self._normalisation}).encode()
        found: dict[str, NDArray[np.generic]] = {LAYOUT: np.frombuffer(layout, dtype=np.uint8)}
        prefix = self.model._get_name()  # noqa: SLF001 - the name smdebug gives
        for name, module in self._biased.items():
            values: dict[str, torch.Tensor | None] = {f"{prefix}_{name}.bias": module.bias}
            if is_batch_norm(module):
                values[f"{prefix}_{name}.weight"] = module.weight
                values[f"{name}.running_mean_output_0"] = module.running_mean
                values[f"{name}.running_var_output_0"] = module.running_var
                values[f"{name}.eps_output_0"] = torch.tensor([module.eps], dtype=torch.float64)
            elif name == self._last:
                values[f"{prefix}_{name}.weight"] = module.weight  # the notebook looks for it
            found |= {key: _to_array(value) for key, value in values.items() if value is not None}
        return found


def _to_array(tensor: torch.Tensor) -> NDArray[np.generic]:
    """What can be written, wherever the tensor lies: numpy has no bfloat16, and float32 holds each of its numbers."""
    near = tensor.detach().cpu()
    array: NDArray[np.generic] = (near.float() if near.dtype == torch.bfloat16 else near).numpy()
    return array


def _measure(tensor: torch.Tensor) -> int:
    """What the tensor takes as it is written, at most."""
    item_bytes = 4 if tensor.dtype == torch.bfloat16 else tensor.element_size()
    return tensor.numel() * item_bytes + FRAME_BYTES


class _GradientKeeper:
    """A forward hook that keeps the gradient of a module's output under smdebug's name for it."""

    def __init__(self, name: str, tensors: dict[str, torch.Tensor]) -> None:
        self._name = f"gradient/{name}_output"
        self._tensors = tensors
        self._thread = threading.get_ident()
        self.output: torch.Tensor | None = None

    def __call__(self, _module: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if threading.get_ident() != self._thread:
            return  # another request, which this server answers at the same moment with the same module
        self.output = output
        if output.requires_grad:  # or it does not depend on the image, and no gradient comes
            output.register_hook(self._keep)

    def _keep(self, gradient: torch.Tensor) -> None:
        # A module that is used twice has one bias and two gradients. Of one size they add up; each size has its own
        # name: the first smdebug's, the next ones with a number behind it.
        name, uses = self._name, 0
        while name in self._tensors and self._tensors[name].shape != gradient.shape:
            uses += 1
            name = f"{self._name}_{uses}"
        before = self._tensors.get(name)
        self._tensors[name] = gradient.detach() if before is None else before + gradient.detach()


def _read_normalisation(given: Any) -> list[list[float]] | None:
    """By channel, as JSON has it; None, and the colours are guessed, where it is no pair of lists of numbers."""
    if given is None:
        return None
    try:
        mean, deviation = ([float(one) for one in each] for each in given)
    except (TypeError, ValueError):
        _log.warning("normalisation_not_understood")
        return None
    return [mean, deviation]
