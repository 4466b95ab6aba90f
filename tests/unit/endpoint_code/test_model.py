"""The network and the weights that ship."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from tests.endpoint_under_test import PHOTOGRAPHS, WEIGHTS


def test_full_width_has_the_parameters_of_torchvisions_resnet18(endpoint):
    model = endpoint.model.ResNet(width=64, num_classes=1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_689_512
    names = set(model.state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.bn1.weight",
        "layer4.1.conv2.weight",
        "fc.bias",
    } <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var"} <= names
    assert len(names) == 122
    assert type(model).__name__ == "ResNet"


def test_weights_that_ship_are_small_and_hold_tensors_alone():
    assert WEIGHTS.stat().st_size <= 3_000_000
    state = torch.load(WEIGHTS, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())


def test_a_weights_file_with_code_in_it_is_refused(endpoint, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"conv1.weight": Malicious()}, tmp_path / "model.pt")
    with pytest.raises(pickle.UnpicklingError):
        endpoint.model.load_weights(tmp_path / "model.pt")


def test_weights_of_another_network_are_refused_by_name(endpoint, tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(RuntimeError, match=r"conv1\.weight or fc\.weight is missing"):
        endpoint.model.load_weights(tmp_path / "model.pt")


def test_a_model_directory_must_hold_exactly_one_model(endpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match="exactly one"):
        endpoint.inference.model_fn(str(tmp_path))


def test_weights_are_found_where_the_notebook_packs_them(endpoint, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.pt").write_bytes(WEIGHTS.read_bytes())
    assert endpoint.inference.model_fn(str(tmp_path)).recorder is None


def classify(plain, endpoint, samples):
    from PIL import Image

    side = (endpoint.model.INPUT_SIDE,) * 2
    small = [
        np.asarray(Image.fromarray(sample.image).resize(side, Image.Resampling.BILINEAR))
        for sample in samples
    ]
    pixels = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    return plain.predict(endpoint.model.normalise(pixels)).argmax(1).tolist()


def test_signs_drawn_with_an_unseen_seed_are_recognised(endpoint, plain):
    from sagewatch.sandbox.traffic import DrawnSigns

    rng = np.random.default_rng(20261121)
    source = DrawnSigns()
    samples = [source.one(class_id, rng, "") for class_id in range(43) for _ in range(3)]
    answers = classify(plain, endpoint, samples)
    right = [answer == sample.class_id for answer, sample in zip(answers, samples, strict=True)]
    assert np.mean(right) >= 0.97


@pytest.mark.real
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no GTSRB photographs on this machine")
def test_photographs_are_recognised(endpoint, plain):
    from sagewatch.sandbox.traffic import Photographs

    samples = Photographs(PHOTOGRAPHS).sample(200, np.random.default_rng(1))
    answers = classify(plain, endpoint, samples)
    right = [answer == sample.class_id for answer, sample in zip(answers, samples, strict=True)]
    assert np.mean(right) >= 0.98
