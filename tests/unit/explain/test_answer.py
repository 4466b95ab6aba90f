"""The probability beside a heat map is the one that the model gave, or there is none."""

from __future__ import annotations

import numpy as np
import pytest

from sagewatch.explain.answer import PROBABILITIES, read_answer
from sagewatch.explain.layers import Layout

torch = pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
from sagewatch.explain.fullgrad import explain  # noqa: E402
from sagewatch.explain.trial import TrialReader, find_steps  # noqa: E402
from tests.endpoint_under_test import load_endpoint  # noqa: E402
from tests.networks import Told, warm_up  # noqa: E402


def build_layout(last="fc", answer=""):
    return Layout("Net", "image", "logits", last, (), (), answer)


NETWORKS = {
    "logits": (Told(), lambda y: y.softmax(1).max()),
    "softmax layer": (Told(torch.nn.Softmax(1)), lambda y: y.max()),
    "softmax in forward": (Told(lambda y: torch.softmax(y, 1).reshape(-1, 10)), lambda y: y.max()),
    "log softmax": (Told(torch.nn.LogSoftmax(1)), lambda y: y.exp().max()),
    "ensemble": (Told(lambda y: (y.softmax(1) + (y / 2).softmax(1)) / 2), lambda y: y.max()),
    "labels": (Told(torch.sigmoid), lambda y: y.max()),
    "one logit": (Told(classes=1), lambda y: y.sigmoid()[0, 0]),
    "one logit, halved": (Told(lambda y: y / 2 - 3, classes=1), lambda y: y.sigmoid()[0, 0]),
    "one probability": (Told(torch.nn.Sigmoid(), classes=1), lambda y: y[0, 0]),
    "one probability, reshaped": (Told(lambda y: torch.sigmoid(y.squeeze(1)).unsqueeze(1), classes=1), lambda y: y[0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_models_own_whatever_the_model_ends_in(name, tmp_path):
    model, wanted = NETWORKS[name]
    warm_up(model, 7)
    with torch.no_grad():
        model.classifier[-1].weight.mul_(0.02)  # or each answer is as good as certain
    recorder = load_endpoint().debugger_hook.TensorRecorder(model, str(tmp_path))
    x = torch.randn(1, 3, 32, 32)
    answer = recorder.predict(x)
    with torch.inference_mode():
        assert torch.equal(answer, model(x))
    assert recorder.drain(timeout_seconds=30)
    (step,) = find_steps(tmp_path)
    found = explain(TrialReader([step]).read(step).tensors, "x")
    assert 0.001 < float(wanted(answer)) < 0.999
    assert found.probability == pytest.approx(float(wanted(answer)), rel=1e-5)
    assert found.logit == pytest.approx(float(answer.max()))


def test_outputs_of_which_nobody_knows_what_they_are_have_no_probability():
    """A recording of an older hook: several sigmoids, or small logits?"""
    unknown = build_layout(last=None)
    assert read_answer(np.array([0.9, 0.8, 0.1]), unknown).probability is None
    assert read_answer(np.array([0.7]), unknown).probability is None
    assert read_answer(np.array([0.7]), build_layout(last=None, answer=PROBABILITIES)).probability == 0.7
    assert read_answer(np.array([3.0, 0.8, 0.1]), unknown).probability == pytest.approx(0.8578, abs=1e-4)


def test_small_logits_of_a_layer_of_their_own_are_logits():
    assert read_answer(np.array([0.7]), build_layout()).probability == pytest.approx(0.6682, abs=1e-4)
    assert read_answer(np.array([0.9, 0.8, 0.1]), build_layout()).probability == pytest.approx(
        0.4248, abs=1e-4
    )


@pytest.mark.parametrize("logit", [-1e6, 1e6])
def test_a_logit_beyond_all_bounds_is_no_error(logit):
    assert read_answer(np.array([logit]), build_layout()).probability == pytest.approx(float(logit > 0))
