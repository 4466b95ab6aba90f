"""Small networks of different kinds, for tests and benchmarks of the explanation: what they answer means nothing."""

from __future__ import annotations

import torch
from torch import nn


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


class Inception(Vgg):
    """Heads that the answer does not use: one is not called in evaluation, two are called and their output is kept back."""

    def __init__(self):
        super().__init__()
        self.auxiliary = nn.Sequential(
            nn.Conv2d(16, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 10)
        )
        self.box = nn.Linear(16, 4)
        self.uncertainty = nn.Linear(16, 1)

    def forward(self, x):
        x = self.features(x)
        self.boxes = self.box(x.mean((2, 3))).detach()
        self.doubt = self.uncertainty(x.mean((2, 3)).detach())
        answer = self.classifier(x)
        return (answer, self.auxiliary(x)) if self.training else answer


class NormalisedAnswer(MobileNet):
    """A BatchNorm as the last layer."""

    def __init__(self, *, affine=True):
        super().__init__()
        self.norm = nn.BatchNorm1d(10, affine=affine)

    def forward(self, x):
        return self.norm(super().forward(x))


class ChangedAnswer(Vgg):
    """The last layer's output is changed where it stands."""

    def forward(self, x):
        return super().forward(x).mul_(0.5).relu_()


class Told(Vgg):
    """The answer goes through something that is no layer with a bias; as many classes as asked for."""

    def __init__(self, through=None, classes=10):
        super().__init__()
        self.classifier[-1] = nn.Linear(32, classes)
        self.through = through

    def forward(self, x):
        return super().forward(x) if self.through is None else self.through(super().forward(x))


class Gelu(Vgg):
    """A network whose contributions do not add up."""

    def __init__(self):
        super().__init__()
        self.features[1] = nn.GELU()


def warm_up(model: nn.Module, seed: int) -> nn.Module:
    """Random weights, and the statistics of random pictures of 32 x 32 in every BatchNorm; in evaluation mode."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, 32, 32))
    return model.eval()
