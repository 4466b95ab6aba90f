"""FullGrad's contributions add up for any network of convolution, BatchNorm, linear layers and ReLU, not only for ResNet."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
from sagewatch.explain.fullgrad import explain  # noqa: E402
from sagewatch.explain.trial import TrialReader, find_steps  # noqa: E402
from tests.endpoint_under_test import load_endpoint  # noqa: E402
from tests.networks import DenseNet, Gelu, MobileNet, Vgg, warm_up  # noqa: E402


@pytest.fixture(scope="module")
def endpoint():
    return load_endpoint()


def record_one(endpoint, model, folder, seed=7):
    warm_up(model, seed)
    recorder = endpoint.debugger_hook.TensorRecorder(model, str(folder))
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        plain = model(x)
    logits = recorder.predict(x)
    assert torch.equal(plain, logits), "the answer is the plain one bit for bit"
    assert recorder.drain(timeout_seconds=30)
    (step,) = find_steps(folder)
    return explain(TrialReader([step]).read(step).tensors, step.name)


@pytest.mark.parametrize("network", [Vgg, MobileNet, DenseNet])
def test_contributions_add_up(endpoint, tmp_path, network):
    explanation = record_one(endpoint, network(), tmp_path)
    assert explanation.completeness_relative_error <= 1e-5
    assert explanation.unsupported == ()
    assert explanation.saliency.shape == (32, 32)


@pytest.mark.parametrize("network", [Vgg, MobileNet, DenseNet])
def test_leaving_out_any_layer_is_noticed(endpoint, tmp_path, network, monkeypatch):
    """The check has teeth: no layer's bias is too small to be missed."""
    from sagewatch.explain import fullgrad

    pair = fullgrad.pair_layers
    everything = record_one(endpoint, network(), tmp_path)
    (step,) = find_steps(tmp_path)
    tensors = TrialReader([step]).read(step).tensors
    count = len(pair(tensors, fullgrad.read_layout(tensors, ""), ""))
    for left_out in range(count):
        monkeypatch.setattr(
            fullgrad,
            "pair_layers",
            lambda *a, left_out=left_out: [each for n, each in enumerate(pair(*a)) if n != left_out],
        )
        assert explain(tensors, "x").completeness_relative_error > 1e-4
    assert everything.complete


def test_an_activation_that_breaks_completeness_is_named(endpoint, tmp_path):
    explanation = record_one(endpoint, Gelu(), tmp_path)
    assert explanation.unsupported == ("GELU features.1",)
    assert not explanation.complete
