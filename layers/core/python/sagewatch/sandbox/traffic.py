"""The sandbox's clean traffic: photographs from a folder, or signs drawn by code, mixed as on German roads.

Both sources give `Sample`s: `sample(n, rng)`. Run as a module it writes drawn signs into a folder, which
`endpoint_code/train.py` reads::

    python -m sagewatch.sandbox.traffic DRAWN --per-class 80 --seed 1
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from sagewatch.sandbox.errors import SandboxError
from sagewatch.sandbox.signs import CLASS_COUNT, draw_sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Photographs of each class among the 39,209 of GTSRB's training set (Stallkamp et al. 2012), in tens.
# Class 14, the sample's stop sign, is 2.0 % of them.
CLASS_MIX: Final = (
    21, 222, 225, 141, 198, 186, 42, 144, 141, 147, 201, 132, 210, 216, 78, 63, 42, 111, 120, 21, 36, 33,
    39, 51, 27, 150, 60, 24, 54, 27, 45, 78, 24, 69, 42, 120, 39, 21, 207, 30, 36, 24, 24,
)  # fmt: skip
LABELS_FILE: Final = "labels.csv"
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".ppm"})


@dataclass(frozen=True)
class Sample:
    """One picture of the traffic: RGB pixels (H, W, 3), its true class, and a name for the story."""

    image: NDArray[np.uint8]
    class_id: int
    name: str


class Traffic(Protocol):
    """Where clean traffic comes from."""

    def sample(self, n: int, rng: np.random.Generator) -> list[Sample]:
        """Draw `n` pictures, classes mixed by `CLASS_MIX`."""


class NoPicturesError(SandboxError):
    """The folder given for photographs holds none that can be used."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"no photographs in {folder}: {reason}")
        self.folder = folder
        self.reason = reason


class DrawnSigns:
    """Signs drawn by code, 43 classes, no data set needed.

    Parameters
    ----------
    sizes
        Smallest and largest side of a picture in pixels.
    """

    def __init__(self, sizes: tuple[int, int] = (48, 128)) -> None:
        self._sizes = sizes

    def sample(self, n: int, rng: np.random.Generator) -> list[Sample]:
        """Draw `n` signs."""
        weights = np.array(CLASS_MIX, dtype=float)
        chosen = rng.choice(CLASS_COUNT, size=n, p=weights / weights.sum())
        return [self.one(int(class_id), rng, f"drawn-{number:05d}") for number, class_id in enumerate(chosen)]

    def one(self, class_id: int, rng: np.random.Generator, name: str) -> Sample:
        """Draw one sign of a class."""
        size = int(rng.integers(self._sizes[0], self._sizes[1] + 1))
        return Sample(draw_sign(class_id, rng, size), class_id, name)


@dataclass
class Photographs:
    """Photographs from a folder with `labels.csv` (file, class_id), or with one folder per class, named by its number.

    A photograph that cannot be read is left out and counted in `skipped` by reason.

    Raises
    ------
    NoPicturesError
        When the folder is missing, or names no picture.
    """

    folder: Path
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise NoPicturesError(self.folder, "there is no such folder")
        labels = self.folder / LABELS_FILE
        self._files = self._from_labels(labels) if labels.is_file() else self._from_folders()
        if not self._files:
            raise NoPicturesError(self.folder, f"neither {LABELS_FILE} nor folders named by class hold any")

    @property
    def classes(self) -> list[int]:
        """The classes of which there are photographs."""
        return sorted(self._files)

    def sample(self, n: int, rng: np.random.Generator) -> list[Sample]:
        """Draw `n` photographs with replacement, classes mixed by `CLASS_MIX` as far as they are there.

        Raises
        ------
        NoPicturesError
            When not one photograph is left that can be read.
        """
        samples: list[Sample] = []
        while len(samples) < n:
            if not self._files:
                raise NoPicturesError(self.folder, f"none can be read ({dict(self.skipped)})")
            classes = self.classes
            weights = np.array([CLASS_MIX[class_id] for class_id in classes], dtype=float)
            class_id = int(rng.choice(classes, p=weights / weights.sum()))
            sample = self._read(class_id, int(rng.integers(len(self._files[class_id]))))
            if sample is not None:
                samples.append(sample)
        return samples

    def _read(self, class_id: int, index: int) -> Sample | None:
        path = self._files[class_id][index]
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
        except FileNotFoundError:
            self._leave_out(class_id, index, "missing")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
            # Pillow reports broken pictures by each of these, depending on where it notices.
            self._leave_out(class_id, index, "unreadable")
        else:
            return Sample(pixels, class_id, path.relative_to(self.folder).as_posix())
        return None

    def _leave_out(self, class_id: int, index: int, reason: str) -> None:
        self.skipped[reason] += 1
        del self._files[class_id][index]
        if not self._files[class_id]:
            del self._files[class_id]

    def _from_labels(self, labels: Path) -> dict[int, list[Path]]:
        files: dict[int, list[Path]] = {}
        with labels.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                self._add(files, row.get("class_id") or "", self.folder / (row.get("file") or ""))
        return files

    def _from_folders(self) -> dict[int, list[Path]]:
        files: dict[int, list[Path]] = {}
        for path in sorted(self.folder.glob("*/*")):
            if path.suffix.lower() in _SUFFIXES:
                self._add(files, path.parent.name, path)
        return files

    def _add(self, files: dict[int, list[Path]], label: str, path: Path) -> None:
        if not label.isdecimal() or int(label) >= CLASS_COUNT:
            self.skipped["label is not a class of 0 to 42"] += 1
        elif not path.resolve().is_relative_to(self.folder.resolve()):
            self.skipped["outside the folder"] += 1
        else:
            files.setdefault(int(label), []).append(path)


def write_drawn_signs(folder: Path, per_class: int, seed: int) -> None:
    """Write drawn signs as PNG files and their `labels.csv`: training pictures for `endpoint_code/train.py`."""
    rng = np.random.default_rng(seed)
    source = DrawnSigns(sizes=(28, 128))
    rows = ["file,class_id"]
    for class_id in range(CLASS_COUNT):
        (folder / f"{class_id:05d}").mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            sample = source.one(class_id, rng, f"{class_id:05d}/{number:05d}_00000.png")
            Image.fromarray(sample.image).save(folder / sample.name)
            rows.append(f"{sample.name},{class_id}")
    (folder / LABELS_FILE).write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write drawn signs into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write_drawn_signs(given.folder, given.per_class, given.seed)
