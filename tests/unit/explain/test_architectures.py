"""FullGrad's contributions add up for any network of convolution, BatchNorm, linear layers and ReLU, not only for ResNet."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
from sagewatch.explain.fullgrad import explain  # noqa: E402
from sagewatch.explain.names import MissingTensorError  # noqa: E402
from sagewatch.explain.trial import TrialReader, find_steps  # noqa: E402
from tests.endpoint_under_test import load_endpoint  # noqa: E402
from tests.networks import (  # noqa: E402
    ChangedAnswer,
    DenseNet,
    Gelu,
    Inception,
    MobileNet,
    NormalisedAnswer,
    Vgg,
    warm_up,
)


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


def plainly_normalised():
    return NormalisedAnswer(affine=False)


@pytest.mark.parametrize(
    "network",
    [Vgg, MobileNet, DenseNet, Inception, NormalisedAnswer, plainly_normalised, ChangedAnswer],
)
def test_contributions_add_up(endpoint, tmp_path, network):
    explanation = record_one(endpoint, network(), tmp_path)
    assert explanation.completeness_relative_error <= 1e-5
    assert explanation.unsupported == ()
    assert explanation.saliency.shape == (32, 32)


@pytest.mark.parametrize("network", [Vgg, MobileNet, DenseNet, NormalisedAnswer, plainly_normalised])
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


def test_a_layer_that_the_answer_does_not_use_contributes_nothing_and_one_that_is_lost_is_missed(
    endpoint, tmp_path
):
    record_one(endpoint, Inception(), tmp_path)
    (step,) = find_steps(tmp_path)
    tensors = dict(TrialReader([step]).read(step).tensors)
    unused = ("auxiliary.1", "auxiliary.3", "box", "uncertainty")
    for module in unused:
        assert not tensors[f"gradient/{module}_output"].any()
    assert tensors["gradient/features.0_output"].any()
    del tensors["gradient/features.0_output"]
    with pytest.raises(MissingTensorError):
        explain(tensors, "x")


def test_a_recording_of_before_the_last_layers_gradient_was_kept_is_explained_alike(endpoint, tmp_path):
    explanation = record_one(endpoint, NormalisedAnswer(), tmp_path)
    (step,) = find_steps(tmp_path)
    tensors = dict(TrialReader([step]).read(step).tensors)
    del tensors["gradient/norm_output"]
    older = explain(tensors, "x")
    assert older.completeness_relative_error == explanation.completeness_relative_error
    assert (older.saliency == explanation.saliency).all()


def test_an_activation_that_breaks_completeness_is_named(endpoint, tmp_path):
    explanation = record_one(endpoint, Gelu(), tmp_path)
    assert explanation.unsupported == ("GELU features.1",)
    assert not explanation.complete


class _Pyramid(torch.nn.Module):
    """One BatchNorm at two sizes, as in the heads of detectors."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.shared = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)
        self.last = torch.nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for _ in range(2):
            x = torch.relu(self.norm(self.shared(x)))
        x = torch.nn.functional.max_pool2d(x, 2)
        x = torch.relu(self.norm(self.shared(x)))
        return self.last(x.mean((2, 3)))


def test_a_layer_that_is_used_at_two_sizes_counts_at_each(endpoint, tmp_path):
    explanation = record_one(endpoint, _Pyramid(), tmp_path)
    assert explanation.completeness_relative_error <= 1e-5
    (step,) = find_steps(tmp_path)
    recorded = TrialReader([step]).read(step).tensors
    sizes = [recorded[f"gradient/norm_output{ending}"].shape[2:] for ending in ("", "_1")]
    assert sorted(sizes) == [(16, 16), (32, 32)]


def test_numbers_of_sixteen_bits_are_written_as_the_format_has_them(endpoint, tmp_path):
    """numpy, and smdebug's format, know no bfloat16: the recording of such a model was empty."""
    warm_up(model := Vgg(), 7)
    recorder = endpoint.debugger_hook.TensorRecorder(model.to(torch.bfloat16), str(tmp_path))
    assert recorder.predict(torch.randn(1, 3, 32, 32, dtype=torch.bfloat16)) is not None
    assert recorder.drain(timeout_seconds=30)
    (step,) = find_steps(tmp_path)
    tensors = TrialReader([step]).read(step).tensors
    assert {str(value.dtype) for value in tensors.values()} == {"float32", "float64", "uint8"}
    assert explain(tensors, "x").saliency.shape == (32, 32)

    assert explain(tensors, "x").unsupported == ("bfloat16 arithmetic",)


class _InPlace(torch.nn.Module):
    """Normalises its input where it stands, as some models do first of all."""

    def __init__(self):
        super().__init__()
        self.inside = Vgg()

    def forward(self, x):
        return self.inside(x.mul_(0.5))


def test_a_model_that_changes_its_input_in_place_is_recorded_and_the_callers_input_is_not_changed(
    endpoint, tmp_path
):
    model, x = warm_up(_InPlace(), 7), torch.randn(1, 3, 32, 32)
    recorder = endpoint.debugger_hook.TensorRecorder(model, str(tmp_path))
    before = x.clone()
    logits = recorder.predict(x)
    assert torch.equal(x, before)
    with torch.inference_mode():
        assert torch.equal(logits, model(x))
    assert recorder.drain(timeout_seconds=30)
    (step,) = find_steps(tmp_path)
    assert explain(TrialReader([step]).read(step).tensors, "x").completeness_relative_error <= 1e-5


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_caller_that_wants_no_gradients_is_recorded_all_the_same(endpoint, tmp_path, mode):
    recorder = endpoint.debugger_hook.TensorRecorder(warm_up(model := Vgg(), 7), str(tmp_path))
    with mode():
        x = torch.randn(1, 3, 32, 32)
        assert torch.equal(recorder.predict(x), model(x))
    assert recorder.drain(timeout_seconds=30)
    assert len(find_steps(tmp_path)) == 1


def test_a_model_that_was_trained_on_several_machines_adds_up(endpoint, tmp_path):
    network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(MobileNet())
    explanation = record_one(endpoint, network, tmp_path)
    assert explanation.completeness_relative_error <= 1e-5
    assert explanation.unsupported == ()


def test_a_model_that_is_served_in_training_mode_is_named_as_such(endpoint, tmp_path):
    recorder = endpoint.debugger_hook.TensorRecorder(warm_up(MobileNet(), 7).train(), str(tmp_path))
    recorder.predict(torch.randn(1, 3, 32, 32))
    assert recorder.drain(timeout_seconds=30)
    (step,) = find_steps(tmp_path)
    explanation = explain(TrialReader([step]).read(step).tensors, "x")
    assert explanation.unsupported == ("training mode",)
    assert not explanation.complete


class _Far(torch.Tensor):
    """A tensor on another device, as far as writing it goes: numpy gets it from the processor's memory alone."""

    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_a_tensor_on_a_graphics_card_is_fetched_before_it_is_written(endpoint):
    far = torch.arange(3.0).as_subclass(_Far)
    assert endpoint.debugger_hook._to_array(far).tolist() == [0, 1, 2]
