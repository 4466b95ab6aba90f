"""Makes the attacked pictures, in a process of its own: torch must take no time from the story's senders.

``python -m sagewatch.sandbox.demo.attacked --root . --count 24 --seed 15 --out DIR [--images DIR]`` writes
``00.png``, ``01.png``... as they come.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sagewatch.sandbox.attack import attack, load_model
from sagewatch.sandbox.demo.driver import encode_png
from sagewatch.sandbox.errors import SandboxError
from sagewatch.sandbox.traffic import DrawnSigns, Photographs, Traffic

STOP = 14
WEIGHTS = Path("endpoint_code/weights/resnet18_quarter_128.pt")
TRIES_EACH = 8
_AT_ONCE = 8


class NothingToAttackError(SandboxError):
    """Too few pictures could be pushed to the target class."""

    def __init__(self, made: int, wanted: int, tried: int) -> None:
        super().__init__(
            f"Only {made} of {wanted} pictures could be pushed to class {STOP}, of {tried} tried: the attack needs "
            f"pictures of other classes than {STOP} that the model recognises."
        )
        self.made = made


def attack_images(root: Path, traffic: Traffic, count: int, seed: int) -> Iterator[bytes]:
    """Pictures that the model takes for a stop sign, as PNG.

    Raises
    ------
    NothingToAttackError
        After so many tries there are still too few.
    """
    model = load_model(root / "endpoint_code", root / WEIGHTS)
    rng = np.random.default_rng(seed)
    made = tried = 0
    while made < count:
        if tried >= TRIES_EACH * count:
            raise NothingToAttackError(made, count, tried)
        for sample in traffic.sample(_AT_ONCE, rng):
            tried += 1
            if sample.class_id == STOP or made == count:
                continue
            attacked = attack(model, sample.image, target=STOP)
            if attacked.success:
                made += 1
                yield encode_png(attacked.image)


def main() -> None:
    """Write the pictures, each whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    traffic: Traffic = Photographs(asked.images) if asked.images else DrawnSigns()
    try:
        for number, picture in enumerate(attack_images(asked.root, traffic, asked.count, asked.seed)):
            part = asked.out / f"{number:02d}.part"
            part.write_bytes(picture)
            part.rename(asked.out / f"{number:02d}.png")
    except SandboxError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
