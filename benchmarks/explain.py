"""How fast a prediction is explained and recorded, as ratios within one run.

Run: ``make bench FILES=benchmarks/explain.py [BENCH=--quick]``. Needs torch and smdebug. One thread. Compared with: the notebook's loop
(scipy.ndimage.zoom on each channel), smdebug's reader, forward plus backward without a hook, smdebug's save-all hook.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # noqa: TID251 - before numpy and torch are imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251
warnings.simplefilter("ignore", DeprecationWarning)
ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "endpoint_code"))
sys.path.insert(0, str(ROOT))  # before anybody else's package of the name `tests`

import inference  # noqa: E402
import numpy as np  # noqa: E402
import smdebug.pytorch as smd  # noqa: E402
import torch  # noqa: E402
from debugger_hook import TensorRecorder  # noqa: E402
from model import ResNet, load_weights, normalise  # noqa: E402
from scipy import ndimage  # noqa: E402
from smdebug.core.tfevent.event_file_reader import EventFileReader  # noqa: E402

from sagewatch.explain.fullgrad import explain, saliency_map  # noqa: E402
from sagewatch.explain.layers import pair_layers, read_layout  # noqa: E402
from sagewatch.explain.tensorfile import parse_event_file  # noqa: E402
from sagewatch.explain.trial import TrialReader, find_steps  # noqa: E402
from sagewatch.sandbox.signs import draw_sign  # noqa: E402
from tests.networks import DenseNet, Inception, MobileNet, NormalisedAnswer, Vgg, warm_up  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20261121
WEIGHTS = ROOT / "endpoint_code" / "weights" / "resnet18_quarter_128.pt"


def best_cpu_ms(work: Callable[[], object], turns: int) -> float:
    """Least CPU time of the whole process, in milliseconds; a background thread's work counts."""
    work()
    times = []
    for _ in range(turns):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) * 1e3


def images(count: int) -> list[torch.Tensor]:
    """Drawn signs as the model takes them."""
    rng = np.random.default_rng(SEED)
    drawn = [draw_sign(int(rng.integers(43)), rng, 128) for _ in range(count)]
    return [normalise(torch.from_numpy(each).permute(2, 0, 1).unsqueeze(0)) for each in drawn]


def notebooks_loop(image: Any, gradient: Any, layers: Any) -> Any:
    """The notebook's map, channel by channel."""

    def scaled(tensor: Any) -> Any:
        tensor = tensor - np.min(tensor)
        return tensor / np.max(tensor)

    total = np.sum(scaled(np.abs(gradient * image)), axis=0)
    for layer in layers:
        for channel in scaled(np.abs(layer.bias.reshape(-1, 1, 1) * layer.gradient)):
            total = total + ndimage.zoom(channel, 128 / channel.shape[0], order=1)
    return scaled(total)


def warm_full_width() -> ResNet:
    """ResNet18 at full width with the statistics of some images; its answers mean nothing, its sizes do."""
    torch.manual_seed(SEED)
    model = ResNet(width=64).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.cat(images(8)))
    return model.eval()


def record(model: ResNet, folder: Path, inputs: list[torch.Tensor]) -> TensorRecorder:
    """Record each input."""
    recorder = TensorRecorder(model, str(folder))
    for x in inputs:
        recorder.predict(x)
        recorder.drain()
    return recorder


def measure_explaining(name: str, folder: Path, turns: int) -> None:
    """Reading and explaining a recording."""
    steps = find_steps(folder)
    reader = TrialReader(steps)
    errors = [explain(reader.read(step).tensors, step.name).completeness_relative_error for step in steps]
    tensors = reader.read(steps[-1]).tensors
    paired = pair_layers(tensors, read_layout(tensors, ""), "")
    layers = [layer for layer in paired if layer.gradient.ndim == 3]
    image, gradient = tensors["ResNet_input_0"][0], tensors["gradient/image"][0]
    # Ours before and after the loop, which takes a thousand times as long: else another's second of load is only ours.
    first = best_cpu_ms(lambda: saliency_map(image, gradient, layers), 3 * turns)
    loop = best_cpu_ms(lambda: notebooks_loop(image, gradient, layers), 2)
    ours = min(first, best_cpu_ms(lambda: saliency_map(image, gradient, layers), 3 * turns))
    path = next(steps[-1].directory.glob(f"events/{steps[-1].step:012d}/*"))
    floor = best_cpu_ms(path.read_bytes, turns)
    read = best_cpu_ms(lambda: parse_event_file(path.read_bytes(), ""), turns)
    smdebug = best_cpu_ms(lambda: list(EventFileReader(str(path)).read_tensors()), turns)
    print(
        f"{name}: largest completeness error {max(errors):.1e} over {len(errors)} images (reach 1e-5, beyond 1e-6)"
    )
    print(
        f"{name}: heat map {ours:.2f} ms, the notebook's loop {loop:.0f} ms: {loop / ours:.0f}x (reach 1000x, beyond 1500x)"
    )
    print(
        f"{name}: reading a step {read:.2f} ms, smdebug {smdebug:.2f} ms ({smdebug / read:.1f}x), bytes {floor:.2f} ms"
    )


def measure_architectures(count: int) -> None:
    """How far contributions miss the logit on networks that are no ResNet."""
    for network in (Vgg, MobileNet, DenseNet, Inception, NormalisedAnswer):
        model = warm_up(network(), SEED)
        with tempfile.TemporaryDirectory() as place:
            recorder = TensorRecorder(model, place)
            for _ in range(count):
                recorder.predict(torch.randn(1, 3, 32, 32))
            recorder.drain()
            steps = find_steps(Path(place))
            reader = TrialReader(steps)
            errors = [
                explain(reader.read(step).tensors, step.name).completeness_relative_error for step in steps
            ]
        print(f"{network.__name__}: largest completeness error {max(errors):.1e} over {len(errors)} images")


def measure_hook(name: str, model: ResNet, folder: Path, x: torch.Tensor, turns: int) -> None:
    """What recording costs beside forward and backward."""
    recorder = TensorRecorder(model, str(folder))

    def plain() -> None:
        with torch.inference_mode():
            model(x)

    def bare() -> None:
        image = x.clone().requires_grad_()
        logits = model(image)
        logits[0, int(logits[0].argmax())].backward(inputs=[image])

    def hooked() -> None:
        recorder.predict(x)
        recorder.drain()

    forward, both, recorded = (best_cpu_ms(work, turns) for work in (plain, bare, hooked))
    extra = (recorded - both) / both
    print(
        f"{name}: plain {forward:.1f} ms, forward and backward {both:.1f} ms, recorded {recorded:.1f} ms CPU"
    )
    print(f"{name}: recording adds {extra:.2f}x of forward and backward (reach 1.5x, beyond 1.0x)")


def measure_request(folder: Path, turns: int) -> None:
    """How long a client waits, plain and hooked; wall-clock, the writing goes on behind the answer."""
    body = BytesIO()
    np.save(body, draw_sign(14, np.random.default_rng(SEED), 96))
    waits = []
    for recorder in (None, TensorRecorder(load_weights(WEIGHTS), str(folder))):
        served = inference.Classifier(load_weights(WEIGHTS) if recorder is None else recorder.model, recorder)
        times = []
        for _ in range(turns + 1):
            began = time.perf_counter()
            inference.transform_fn(served, body.getvalue(), inference.NPY, inference.JSON)
            times.append(time.perf_counter() - began)
            time.sleep(0.05)
        if recorder:
            recorder.drain()
        waits.append(float(np.median(times[1:])) * 1e3)
    print(f"a request: {waits[0]:.1f} ms plain, {waits[1]:.1f} ms hooked: {waits[1] / waits[0]:.1f}x")


def measure_bytes(name: str, model: ResNet, folder: Path, x: torch.Tensor) -> None:
    """Bytes a step, against smdebug's hook that saves all."""
    files = [step.directory / "events" / f"{step.step:012d}" for step in find_steps(folder)[1:]]
    ours = sum(path.stat().st_size for each in files for path in each.iterdir()) / len(files)
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "all"
        hook = smd.Hook(out_dir=str(out), save_all=True, save_config=smd.SaveConfig(save_interval=1))
        model.requires_grad_(requires_grad=True)
        hook.register_module(model)
        for _ in range(2):
            image = x.clone().requires_grad_()
            logits = model(image)
            logits[0, int(logits[0].argmax())].backward()
        hook.close()
        every = sum(path.stat().st_size for path in out.rglob("*1_worker_0.tfevents"))
    print(
        f"{name}: {ours / 1e6:.2f} MB a step, smdebug's save-all {every / 1e6:.2f} MB: {ours / every:.2f}x (reach 0.5x, beyond 0.3x)"
    )


def main() -> None:
    """Measure both widths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        measure_request(Path(place), 5 if quick else 30)
    measure_architectures(5 if quick else 30)
    inputs = images(3 if quick else 12)
    for name, model in (
        ("shipped, width 16", load_weights(WEIGHTS)),
        ("ResNet18, width 64", warm_full_width()),
    ):
        with tempfile.TemporaryDirectory() as place:
            record(model, Path(place) / "trial", inputs)
            measure_explaining(name, Path(place) / "trial", 5 if quick else 30)
            measure_hook(name, model, Path(place) / "timed", inputs[0], 5 if quick else 20)
            measure_bytes(name, model, Path(place) / "trial", inputs[0])


if __name__ == "__main__":
    main()
