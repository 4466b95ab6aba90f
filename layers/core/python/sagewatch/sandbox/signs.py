"""Draws a traffic sign as a camera might see it: the sandbox's own traffic, which needs no data set.

In: a GTSRB class and a random generator. Out: an RGB picture. The same generator state gives the same picture, bit
for bit, with the same Pillow. Faces come from `signfaces.py`; here they get position, size, tilt, light, blur,
noise and something behind them. Fonts are Pillow's own, so no system font is needed.
"""

from __future__ import annotations

import csv
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sagewatch.sandbox.signfaces import CLASS_COUNT, draw_face

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CLASS_COUNT", "SIGN_NAMES_FILE", "draw_sign", "read_sign_names"]

SIGN_NAMES_FILE: Final = "signnames.csv"
_SMALLEST_SIDE: Final = 16
# GTSRB crops leave about a tenth of the sign's size as margin on each side.
_SIGN_SHARE: Final = (0.66, 0.92)
_SCENES: Final = ("sky", "trees", "walls", "plain")


def read_sign_names() -> list[str]:
    """The names of the 43 classes, by class number."""
    text = resources.files("sagewatch.sandbox").joinpath(SIGN_NAMES_FILE).read_text(encoding="utf-8")
    return [row["SignName"] for row in csv.DictReader(text.splitlines())]


def draw_sign(class_id: int, rng: np.random.Generator, size: int = 96) -> NDArray[np.uint8]:
    """A picture of one sign, different for each state of the generator.

    Parameters
    ----------
    class_id
        GTSRB class, 0 to 42.
    rng
        Where position, light and all else come from.
    size
        Side of the picture in pixels, at least 16.

    Returns
    -------
    NDArray[np.uint8]
        Shape (size, size, 3), RGB.

    Raises
    ------
    ValueError
        When the class is not one of the 43, or the size is below 16.
    """
    if size < _SMALLEST_SIDE:
        message = f"size {size} is below {_SMALLEST_SIDE} pixels"
        raise ValueError(message)
    face = draw_face(class_id)
    scene = _draw_scene(rng, size)
    placed = _place(face, rng, size)
    if rng.random() < 0.5:  # noqa: PLR2004 - half of the signs show their post
        _draw_post(scene, rng, size)
    pixels = np.asarray(Image.alpha_composite(scene, placed).convert("RGB"), dtype=np.float32)
    return _expose(pixels, rng)


def _place(face: Image.Image, rng: np.random.Generator, size: int) -> Image.Image:
    """Scale, tilt, shear and shift a face onto a transparent picture of the wanted size."""
    share = rng.uniform(*_SIGN_SHARE)
    tilt = np.radians(rng.normal(0, 5))
    shear = rng.uniform(-0.12, 0.12, 2)
    stretch = rng.uniform(0.90, 1.06)
    centre = size * (0.5 + rng.uniform(-0.06, 0.06, 2))
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    forward = rotation @ np.array([[1.0, shear[0]], [shear[1], 1.0]]) @ np.diag([stretch, 1.0])
    # Shrinking first keeps thin strokes: an affine transform alone samples, it does not average.
    side = max(8, round(size * share))
    small = _fade(face.resize((side, side), Image.Resampling.LANCZOS), rng)
    back = np.linalg.inv(forward)
    offset = np.array([side / 2, side / 2]) - back @ centre
    coefficients = (back[0, 0], back[0, 1], offset[0], back[1, 0], back[1, 1], offset[1])
    return small.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)


def _fade(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Age a face: paint bleaches and light has a colour."""
    pixels = np.asarray(face, dtype=np.float32).copy()
    grey = pixels[..., :3].mean(axis=2, keepdims=True)
    keep = rng.uniform(0.55, 1.05)
    tint = rng.normal(1.0, 0.06, 3)
    pixels[..., :3] = np.clip((grey + (pixels[..., :3] - grey) * keep) * tint, 0, 255)
    return Image.fromarray(pixels.round().astype(np.uint8), "RGBA")


def _draw_scene(rng: np.random.Generator, size: int) -> Image.Image:
    """Something blurred behind the sign: sky, trees, walls or nothing in particular."""
    kind = _SCENES[rng.integers(len(_SCENES))]
    top = {"sky": (150, 185, 225), "trees": (70, 95, 55), "walls": (150, 135, 120), "plain": (120, 120, 120)}[
        kind
    ]
    base = np.array(top) * rng.uniform(0.5, 1.2) + rng.normal(0, 14, 3)
    slope = np.linspace(0, 1, size)[:, None, None] * (rng.normal(0, 40) + rng.normal(0, 10, 3))
    canvas = np.broadcast_to(base + slope, (size, size, 3)).clip(0, 255).astype(np.uint8)
    scene = Image.fromarray(canvas, "RGB")
    draw = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(3, 16)) if kind != "plain" else 0):
        x, y = rng.uniform(-0.2, 1.1, 2) * size
        width, height = rng.uniform(0.08, 0.6, 2) * size
        # Mostly grey differences: roadsides are less colourful than independent channels would be.
        colour = tuple(int(c) for c in np.clip(base + rng.normal(0, 40) + rng.normal(0, 14, 3), 0, 255))
        if kind == "walls":
            draw.rectangle([x, y, x + width, y + height], fill=colour)
        else:
            draw.ellipse([x, y, x + width, y + height], fill=colour)
    return scene.filter(ImageFilter.GaussianBlur(size * rng.uniform(0.01, 0.05))).convert("RGBA")


def _draw_post(scene: Image.Image, rng: np.random.Generator, size: int) -> None:
    """A grey post from the sign's middle downwards."""
    x = size * (0.5 + rng.uniform(-0.04, 0.04))
    half = size * rng.uniform(0.015, 0.035)
    shade = int(rng.uniform(80, 170))
    ImageDraw.Draw(scene).rectangle([x - half, size * 0.5, x + half, size], fill=(shade, shade, shade, 255))


def _expose(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera does: exposure, contrast, blur, a shadow at times, and noise."""
    size = pixels.shape[0]
    if rng.random() < 0.3:  # noqa: PLR2004 - three in ten signs lie partly in shadow
        direction = rng.normal(0, 1, 2)
        ramp = np.add.outer(np.linspace(-1, 1, size) * direction[0], np.linspace(-1, 1, size) * direction[1])
        pixels = pixels * np.where(ramp > rng.uniform(-0.5, 0.8), rng.uniform(0.45, 0.85), 1.0)[..., None]
    mean = pixels.mean()
    pixels = (pixels - mean) * rng.uniform(0.6, 1.1) + mean
    pixels = np.clip(pixels, 0, 255) * np.exp(rng.uniform(-1.3, 0.25))
    blurred = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB").filter(
        ImageFilter.GaussianBlur(size / 96 * rng.uniform(0, 1.4))
    )
    noisy = np.asarray(blurred, dtype=np.float32) + rng.normal(0, rng.uniform(0.5, 5.0), pixels.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)
