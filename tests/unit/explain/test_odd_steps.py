"""A recording may hold anything: an odd step is skipped with its reason, and the job goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from sagewatch.explain.report import Question, explain_steps
from sagewatch.explain.selection import Chosen, Suspicion, choose_steps
from sagewatch.explain.trial import TrialReader, find_steps
from tests import endpoint_under_test

NAN, INF = float("nan"), float("inf")
ODD = {
    "nan": lambda value: np.full(value.shape, NAN, np.float32),
    "infinite": lambda value: np.full(value.shape, INF, np.float32),
    "huge": lambda value: np.full(value.shape, 3e38, np.float32),
    "empty": lambda value: np.zeros((1, 0), np.float32),
    "none": lambda value: np.zeros((0,), np.float32),
    "one number": lambda value: np.float32(1).reshape(()),
    "flat": lambda value: value.ravel(),
    "a batch": lambda value: np.concatenate([value, value]),
    "booleans": lambda value: value > 0,
    "integers": lambda value: np.ones(value.shape, np.int64),
    "a long side": lambda value: np.zeros((1, 1, 1, 5000), np.float32),
    "another size": lambda value: np.ones((1, 3, 7, 5), np.float32),
    "no channel": lambda value: np.ones((1, 0, 7, 5), np.float32),
}


@pytest.fixture(scope="module")
def endpoint():
    pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
    return endpoint_under_test.load_endpoint()


def write(endpoint, folder, worker, tensors):
    store = endpoint.tensor_store.open_store(str(folder), worker)
    store.write_step(0, tensors)


def build_step():
    """A recording of the smallest network that has one tensor of each kind."""
    rng = np.random.default_rng(3)
    rows = [{"module": "bn", "kind": "batch_norm"}, {"module": "conv", "kind": "bias"}]
    layout = {
        "schema": 1, "model": "Net", "image": "Net_input_0", "logits": "fc_output_0", "last": "fc", "layers": rows,
        "unsupported": [],
    }  # fmt: skip
    step = {
        "Net_input_0": rng.random((1, 3, 8, 8)),
        "gradient/image": rng.random((1, 3, 8, 8)),
        "fc_output_0": rng.random((1, 4)),
        "gradient/bn_output": rng.random((1, 5, 4, 4)),
        "gradient/conv_output": rng.random((1, 2, 8, 8)),
        "Net_bn.weight": rng.random(5),
        "Net_bn.bias": rng.random(5),
        "bn.running_mean_output_0": rng.random(5),
        "bn.running_var_output_0": rng.random(5),
        "Net_conv.bias": rng.random(2),
        "Net_fc.bias": rng.random(4),
    }
    step = {name: value.astype(np.float32) for name, value in step.items()}
    step["bn.eps_output_0"] = np.array([1e-5])
    step["sagewatch.seconds"] = np.array([0.01, 0.02])
    step["sagewatch.request"] = np.arange(32, dtype=np.uint8)
    step["sagewatch.layout"] = np.frombuffer(json.dumps(layout).encode(), dtype=np.uint8)
    return step


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("oddity", ODD)
def test_whatever_a_tensor_holds_the_other_inputs_are_explained(endpoint, tmp_path, oddity):
    """Every tensor of a step in turn, the parameters and our own among them."""
    step = build_step()
    for number, (name, value) in enumerate(step.items()):
        write(endpoint, tmp_path, f"odd-{number}", {**step, name: ODD[oddity](value)})
    write(endpoint, tmp_path, "sound", step)
    steps = find_steps(tmp_path)
    reader = TrialReader(steps)
    predicted = int(step["fc_output_0"].argmax())
    chosen, skipped = choose_steps(steps, reader, len(steps), Suspicion(predicted))
    report = explain_steps(chosen, reader, tmp_path / "out", Question(predicted))
    assert "sound" in [image.worker for image in report.images]
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert all(one.reason for one in [*skipped, *report.skipped])
    assert len(report.images) + len(report.skipped) + len(skipped) == len(steps)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_an_input_of_other_channels_than_three_is_shown_in_grey(recorded, tmp_path, channels):
    from sagewatch.explain.fullgrad import explain
    from sagewatch.explain.heatmap import input_picture

    tensors = dict(recorded[0].tensors)
    for name in ("ResNet_input_0", "gradient/image"):
        tensors[name] = np.repeat(tensors[name][:, :1], channels, axis=1)
    explanation = explain(tensors, "x")
    assert explanation.image.shape == (3, 128, 128)
    assert input_picture(explanation.image).size == (128, 128)


def test_a_worker_may_be_called_anything_that_a_directory_may(endpoint, recorded, tmp_path):
    worker = "a" * 120 + "/" + "ü" * 100 + "/line\nbreak"
    write(endpoint, tmp_path, worker, recorded[0].tensors)
    (step,) = find_steps(tmp_path)
    report = explain_steps([Chosen(step)], TrialReader([step]), tmp_path / "out", Question())
    (image,) = report.images
    assert (tmp_path / "out" / image.heatmap).is_file()


def test_a_picture_that_a_page_shows_smaller_is_kept_in_full_beside_it(recording, tmp_path, monkeypatch):
    (step, *_) = find_steps(recording)
    explain_steps([Chosen(step)], TrialReader([step]), tmp_path / "small", Question())
    assert not (tmp_path / "small/full").exists()
    monkeypatch.setattr("sagewatch.explain.heatmap.PAGE_SIDE", 20)
    (row,) = explain_steps([Chosen(step)], TrialReader([step]), tmp_path / "large", Question()).images
    for path in (row.input, row.overlay):
        with Image.open(tmp_path / "large" / path) as shown:
            assert max(shown.size) == 20
        whole = (tmp_path / "small" / path).read_bytes()
        assert (tmp_path / "large/full" / path).read_bytes() == whole
