"""The traffic-sign classifier: ResNet18 with torchvision's parameter and module names and a width of one's choice.

Torchvision's names are kept because the recorded tensors are named after modules and the class (`ResNet_input_0`,
`gradient/layer1.0.bn1_output`), and weights trained elsewhere under those names must load. Runs in the inference
container, so it imports nothing of Sagewatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

CLASS_COUNT: Final = 43
INPUT_SIDE: Final = 128
SHIPPED_WIDTH: Final = 16
# ImageNet's mean and standard deviation per channel, RGB, of pixels scaled to 0..1.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015, arXiv 1512.03385, figure 2)."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, inplanes, H, W) to (N, planes, H / stride, W / stride)."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet18.

    Parameters
    ----------
    width
        Channels of the first stage, doubled at each of the next three: 64 is torchvision's ResNet18, 16 the shipped one.
    num_classes
        Length of the answer.
    """

    def __init__(self, width: int = 64, num_classes: int = CLASS_COUNT) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.layer2 = _stage(width, 2 * width)
        self.layer3 = _stage(2 * width, 4 * width)
        self.layer4 = _stage(4 * width, 8 * width)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised images (N, 3, 128, 128) to logits (N, classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _stage(inplanes: int, planes: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inplanes, planes, 2), BasicBlock(planes, planes))


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels (N, 3, H, W), 0 to 255, to what the model was trained on: float32, ImageNet's mean 0 and deviation 1."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.to(torch.float32) / 255 - mean) / std


def load_weights(path: Path) -> ResNet:
    """The model in a state-dict file, in evaluation mode; its width and classes are read off the weights.

    Raises
    ------
    RuntimeError
        When the names or shapes are not those of a ResNet18.
    pickle.UnpicklingError
        When the file holds anything but tensors (it is never executed).
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    if "conv1.weight" not in state or "fc.weight" not in state:
        message = f"{path.name} is not a ResNet18 state dict: conv1.weight or fc.weight is missing"
        raise RuntimeError(message)
    model = ResNet(width=state["conv1.weight"].shape[0], num_classes=state["fc.weight"].shape[0])
    model.load_state_dict(state)
    return model.eval()
