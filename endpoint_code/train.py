"""Trains the shipped weights: the photographs' model is taught drawn signs without forgetting the photographs.

Usage::

    python -m sagewatch.sandbox.traffic DRAWN --per-class 80 --seed 1      # the drawn signs, in a folder
    python train.py --parent PARENT.pt --photographs GTSRB --drawn DRAWN --out weights/resnet18_quarter_128.pt

Each folder holds `labels.csv` (file, class_id). The parent is a ResNet18 trained on GTSRB photographs. Half of each batch
are photographs, whose parent's answers are distilled (Hinton, Vinyals and Dean 2015, arXiv 1503.02531) so that what
the parent knew is kept; the other half are drawn signs. BatchNorm's statistics stay the parent's: two kinds of
pictures in one batch would give it the statistics of neither. One thread; about ten minutes.
"""

from __future__ import annotations

import argparse
import copy
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from model import INPUT_SIDE, ResNet, load_weights, normalise
from PIL import Image
from torch import nn
from torch.nn import functional

TEMPERATURE = 2.0
LABEL_SMOOTHING = 0.05


@dataclass(frozen=True)
class Pictures:
    """Pictures resized for the model (uint8, N x 3 x 128 x 128), their classes and their tracks (one physical sign)."""

    pixels: torch.Tensor
    classes: torch.Tensor
    tracks: tuple[str, ...]

    def subset(self, keep: torch.Tensor) -> Pictures:
        """The pictures whose flag is set."""
        chosen = tuple(track for track, kept in zip(self.tracks, keep.tolist(), strict=True) if kept)
        return Pictures(self.pixels[keep], self.classes[keep], chosen)


def read_pictures(folder: Path) -> Pictures:
    """Read every picture that `labels.csv` names; a GTSRB file's track is the part of its name before the underscore."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    side = (INPUT_SIDE, INPUT_SIDE)
    arrays = []
    for row in rows:
        with Image.open(folder / row["file"]) as image:
            arrays.append(np.asarray(image.convert("RGB").resize(side, Image.Resampling.BILINEAR)))
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    tracks = tuple(f"{row['class_id']}/{Path(row['file']).name.split('_')[0]}" for row in rows)
    return Pictures(pixels, torch.tensor([int(row["class_id"]) for row in rows]), tracks)


def hold_out_tracks(
    pictures: Pictures, share: float, generator: torch.Generator
) -> tuple[Pictures, Pictures]:
    """Split by track, at least one of each class held out, so that no physical sign is on both sides."""
    held: set[str] = set()
    for class_id in range(int(pictures.classes.max()) + 1):
        tracks = sorted({track for track in pictures.tracks if track.startswith(f"{class_id}/")})
        order = torch.randperm(len(tracks), generator=generator).tolist()
        held.update(tracks[index] for index in order[: max(1, round(share * len(tracks)))])
    flags = torch.tensor([track in held for track in pictures.tracks])
    return pictures.subset(~flags), pictures.subset(flags)


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn, scale, shift, darken and blur pictures in 0..1; GTSRB is dark, so darkening is strong."""
    count = x.shape[0]

    def between(low: float, high: float) -> torch.Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    turn, scale, shear = between(-0.2, 0.2), between(0.85, 1.15), between(-0.1, 0.1)
    scale_y = scale * between(0.92, 1.08)
    first = torch.stack([turn.cos() / scale, -turn.sin() / scale + shear, between(-0.12, 0.12)], 1)
    second = torch.stack([turn.sin() / scale_y, turn.cos() / scale_y, between(-0.12, 0.12)], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    gamma, light = torch.exp(between(-0.4, 0.4)), torch.exp(between(-1.8, 0.5))
    x = x.clamp(1e-4, 1) ** gamma.view(-1, 1, 1, 1) * light.view(-1, 1, 1, 1)
    if torch.rand(1, generator=generator) < 0.3:  # noqa: PLR2004 - three batches in ten are blurred
        x = functional.avg_pool2d(x, 3, 1, 1)
    return x.clamp(0, 1)


def distil(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of softened answers, scaled back to the size of a cross entropy."""
    wanted = functional.log_softmax(teacher / TEMPERATURE, 1)
    given = functional.log_softmax(student / TEMPERATURE, 1)
    return functional.kl_div(given, wanted, log_target=True, reduction="batchmean") * TEMPERATURE**2


def accuracy(model: ResNet, pictures: Pictures) -> float:
    """Share of pictures whose class is answered."""
    right = 0
    with torch.inference_mode():
        for start in range(0, len(pictures.classes), 128):
            answer = model(normalise(pictures.pixels[start : start + 128])).argmax(1)
            right += int((answer == pictures.classes[start : start + 128]).sum())
    return right / len(pictures.classes)


def fine_tune(
    parent: ResNet, photographs: Pictures, drawn: Pictures, epochs: int, rate: float, seed: int
) -> ResNet:
    """Return a copy of the parent that knows both; the last step's rate is zero."""
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(parent).eval()
    half = 32
    steps = len(drawn.classes) // half
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps * epochs, pct_start=0.1)
    criterion = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    for epoch in range(epochs):
        began, total = time.monotonic(), 0.0
        order = torch.randperm(len(drawn.classes), generator=generator)
        for step in range(steps):
            from_drawn = order[step * half : (step + 1) * half]
            from_photos = torch.randint(len(photographs.classes), (half,), generator=generator)
            pixels = torch.cat([photographs.pixels[from_photos], drawn.pixels[from_drawn]])
            x = normalise(augment(pixels.float() / 255, generator) * 255).to(
                memory_format=torch.channels_last
            )
            with torch.no_grad():
                taught = parent(x[:half])
            logits = model(x)
            wanted = torch.cat([photographs.classes[from_photos], drawn.classes[from_drawn]])
            loss = criterion(logits, wanted) + distil(logits[:half], taught)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            plan.step()
            total += float(loss.detach())
        _say(
            f"epoch {epoch + 1}/{epochs}: loss {total / steps:.3f}, {time.monotonic() - began:.0f} s",
        )
    return model.eval()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the training log is this script's output


def main() -> None:
    """Train, print what the model card reports, and save the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("parent", "photographs", "drawn", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--fresh", type=Path, help="drawn signs of another seed, to report on")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    photographs = read_pictures(given.photographs)
    learned, held = hold_out_tracks(photographs, 0.2, torch.Generator().manual_seed(given.seed))
    reports = {"photographs, all": photographs, "photographs, tracks held out of the fine-tuning": held}
    reports |= {"drawn, freshly": read_pictures(given.fresh)} if given.fresh else {}
    parent = load_weights(given.parent)
    model = fine_tune(parent, learned, read_pictures(given.drawn), given.epochs, given.rate, given.seed)
    for name, pictures in reports.items():
        before, after = accuracy(parent, pictures), accuracy(model, pictures)
        _say(f"{name} ({len(pictures.classes)}): parent {before:.4f}, fine-tuned {after:.4f}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.contiguous() for name, value in model.state_dict().items()}, given.out)


if __name__ == "__main__":
    main()
