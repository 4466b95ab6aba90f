"""FullGrad's contributions add up for any network of convolution, BatchNorm, linear layers and ReLU, not only for ResNet."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
from torch import nn  # noqa: E402

from sagewatch.explain.fullgrad import explain  # noqa: E402
from sagewatch.explain.trial import TrialReader, find_steps  # noqa: E402
from tests.endpoint_under_test import load_endpoint  # noqa: E402


@pytest.fixture(scope="module")
def endpoint():
    return load_endpoint()


class Vgg(nn.Module):
    """Convolutions with biases and two hidden linear layers, no BatchNorm."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * 64, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class MobileNet(nn.Module):
    """Depthwise separable convolutions, BatchNorm (one without weights), LeakyReLU, and a convolution as last layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.1))
        self.depthwise = nn.Sequential(
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8, affine=False)
        )
        self.pointwise = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU())
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.head(self.pointwise(self.depthwise(self.stem(x))))
        return x.mean((2, 3))


class DenseNet(nn.Module):
    """Concatenation, pre-activation BatchNorm, one convolution used twice, a BatchNorm1d in the head, no last bias."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.shared = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.hidden = nn.Linear(18 * 16, 24, bias=False)
        self.norm1d = nn.BatchNorm1d(24)
        self.out = nn.Linear(24, 10, bias=False)

    def forward(self, x):
        a = self.stem(x)
        b = self.shared(torch.relu(self.norm(a)))
        c = self.shared(torch.relu(b))
        y = self.pool(torch.cat([a, b, c], 1)).flatten(1)
        return self.out(torch.relu(self.norm1d(self.hidden(y))))


class Gelu(Vgg):
    """A network whose contributions do not add up."""

    def __init__(self):
        super().__init__()
        self.features[1] = nn.GELU()


def record_one(endpoint, model, folder, seed=7):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, 32, 32))
    model.eval()
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
