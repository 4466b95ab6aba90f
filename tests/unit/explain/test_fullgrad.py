"""Contributions add up to the logit, and the map is the notebook's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sagewatch.errors import RejectedInputError
from sagewatch.explain.fullgrad import explain, saliency_map
from sagewatch.explain.layers import Layer, pair_layers, read_layout
from sagewatch.explain.names import MissingTensorError


def normalise(tensor):
    """The notebook's."""
    tensor = tensor - np.min(tensor)
    return tensor / np.max(tensor)


def notebooks_loop(image, gradient, layers):
    """The notebook's loop over channels, with the layers paired by name."""
    total = np.sum(normalise(np.abs(gradient * image)), axis=0)
    for layer in layers:
        bias_gradient = normalise(np.abs(layer.bias.reshape(-1, 1, 1) * layer.gradient.astype(np.float64)))
        for channel in bias_gradient:
            total = total + ndimage.zoom(channel, image.shape[1] / channel.shape[0], order=1)
    return normalise(total)


def test_contributions_add_up_to_the_logit_on_every_image(recorded):
    errors = [explain(step.tensors, "x").completeness_relative_error for step in recorded]
    assert max(errors) <= 1e-5


def test_the_explanation_is_of_the_answer_that_was_given(recorded):
    explanations = [explain(step.tensors, "x") for step in recorded]
    assert sorted(each.class_id for each in explanations) == [1, 12, 14, 14, 38]
    assert all(0.5 < each.probability <= 1 for each in explanations)
    assert all(each.complete for each in explanations)


def test_the_map_equals_the_notebooks_loop(recorded):
    for step in recorded[:2]:  # the loop takes a second an image
        paired = pair_layers(step.tensors, read_layout(step.tensors, "x"), "x")
        layers = [layer for layer in paired if layer.gradient.ndim == 3]  # the notebook knows no other
        assert len(layers) == len(paired) - 1
        image, gradient = step.tensors["ResNet_input_0"][0], step.tensors["gradient/image"][0]
        ours = saliency_map(image, gradient, layers)
        assert np.abs(ours - notebooks_loop(image, gradient, layers)).max() <= 1e-5
        assert (ours.min(), ours.max()) == (0, 1)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 31, 64, 128])
def test_enlarging_is_scipys_zoom(size):
    rng = np.random.default_rng(size)
    image = np.zeros((3, 128, 128))
    layer = Layer("bn", rng.random((2, size, size)), np.ones(2))
    ours = saliency_map(image, image, [layer])
    if size == 1:
        assert ours.max() == 0  # one value everywhere is relevant nowhere more than elsewhere
        return
    channels = normalise(np.abs(layer.gradient))
    theirs = sum(ndimage.zoom(channel, 128 / size, order=1) for channel in channels)
    assert np.abs(ours - normalise(theirs)).max() <= 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_of_every_size_are_summed_as_the_notebook_does_and_those_without_a_spread_add_nothing(dtype):
    """Large and small layers go different ways: several of each, beside some that are even, or broken."""
    rng = np.random.default_rng(2)
    image, gradient = (rng.standard_normal((3, 128, 128)).astype(dtype) for _ in range(2))

    def build(channels, side, spoil=1.0):
        tensor = rng.standard_normal((channels, side, side)).astype(dtype)
        return Layer(f"{channels} {side} {spoil}", tensor * dtype(spoil), rng.standard_normal(channels))

    sound = [build(3 + n, side) for n, side in enumerate([64, 64, 32, 16, 16, 8, 4, 4, 4])]
    idle = [build(4, side, spoil) for side in (64, 16, 4) for spoil in (0.0, np.nan, np.inf)]
    mixed = [layer for pair in zip(idle, sound, strict=True) for layer in pair]
    expected = notebooks_loop(image, gradient, sound)
    limit = 1e-5 if dtype is np.float32 else 1e-12
    with np.errstate(invalid="ignore"):
        assert np.abs(saliency_map(image, gradient, sound) - expected).max() <= limit
        assert np.abs(saliency_map(image, gradient, mixed) - expected).max() <= limit


def test_layers_are_paired_by_name_whatever_the_order(recorded):
    tensors = recorded[0].tensors
    expected = explain(tensors, "x")
    shuffled = explain(dict(sorted(tensors.items(), key=lambda item: item[0][::-1])), "x")
    assert np.allclose(shuffled.saliency, expected.saliency, atol=1e-12)
    assert shuffled.completeness_relative_error == pytest.approx(
        expected.completeness_relative_error, abs=1e-9
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {**t, "bn1.running_mean_output_0": t["bn1.running_mean_output_0"][::-1]},
        lambda t: {**t, "ResNet_layer1.0.bn1.bias": t["ResNet_layer1.1.bn1.bias"]},
        lambda t: {**t, "ResNet_fc.bias": np.zeros_like(t["ResNet_fc.bias"])},
        lambda t: {**t, "gradient/image": t["gradient/image"] * 0},
    ],
    ids=["shuffled statistics", "another layer's bias", "no last bias", "no gradient at the image"],
)
def test_wrong_tensors_show_in_the_completeness_error(recorded, change):
    broken = explain(change(dict(recorded[0].tensors)), "x")
    assert broken.completeness_relative_error > 1e-4
    assert not broken.complete


def test_epsilon_is_read_from_the_recording_and_defaults_to_torchs(recorded):
    tensors = dict(recorded[0].tensors)
    without = {name: value for name, value in tensors.items() if not name.endswith("eps_output_0")}
    assert explain(without, "x").completeness_relative_error <= 1e-5
    wrong = {n: np.array([0.1]) if n.endswith("eps_output_0") else v for n, v in tensors.items()}
    assert not explain(wrong, "x").complete


def test_nan_in_a_tensor_counts_as_incomplete(recorded):
    tensors = dict(recorded[0].tensors)
    tensors["gradient/bn1_output"] = tensors["gradient/bn1_output"] * np.nan
    assert not explain(tensors, "x").complete


@pytest.mark.parametrize(
    "name",
    [
        "ResNet_input_0",
        "gradient/image",
        "fc_output_0",
        "ResNet_fc.bias",
        "gradient/layer3.0.downsample.1_output",
        "ResNet_layer4.1.bn2.weight",
        "layer2.1.bn1.running_var_output_0",
    ],
)
def test_a_missing_tensor_is_named(recorded, name):
    tensors = {key: value for key, value in recorded[0].tensors.items() if key != name}
    with pytest.raises(MissingTensorError) as missing:
        explain(tensors, "worker, step 3")
    assert name.endswith(missing.value.name.lstrip("*"))
    assert missing.value.where == "worker, step 3"


def test_a_batch_and_shapes_that_do_not_fit_are_refused(recorded):
    tensors = dict(recorded[0].tensors)
    batch = {**tensors, "ResNet_input_0": np.repeat(tensors["ResNet_input_0"], 2, axis=0)}
    bent = {**tensors, "gradient/bn1_output": tensors["gradient/bn1_output"][:, :3]}
    small = {**tensors, "gradient/image": tensors["gradient/image"][..., :5]}
    for broken in (batch, bent, small):
        with pytest.raises(RejectedInputError):
            explain(broken, "x")
