"""The pen and the pictograms of the drawn signs; coordinates run from -1 to 1, x to the right, y down.

Each pictogram is told apart from the others by shape alone, as on the road: the drawings are simple, not exact.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

RED: Final[Colour] = (196, 24, 32)
BLUE: Final[Colour] = (18, 78, 162)
YELLOW: Final[Colour] = (250, 196, 20)
GREEN: Final[Colour] = (20, 140, 70)
WHITE: Final[Colour] = (244, 244, 240)
BLACK: Final[Colour] = (22, 22, 24)
DARK_GREY: Final[Colour] = (110, 110, 112)


@functools.cache
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=pixels)


class Pen:
    """Draws on a square, transparent picture in coordinates from -1 to 1."""

    def __init__(self, side: int) -> None:
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        self._half = side / 2

    def _at(self, point: Point) -> Point:
        return (point[0] + 1) * self._half, (point[1] + 1) * self._half

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A filled circle."""
        self._draw.ellipse(
            [self._at((x - radius, y - radius)), self._at((x + radius, y + radius))], fill=fill
        )

    def ring(self, x: float, y: float, radius: float, width: float, fill: Colour) -> None:
        """The outline of a circle."""
        box = [self._at((x - radius, y - radius)), self._at((x + radius, y + radius))]
        self._draw.ellipse(box, outline=fill, width=round(width * self._half))

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A line through points with round ends and joints."""
        self._draw.line([self._at(p) for p in points], fill=fill, width=max(1, round(width * self._half)))
        for x, y in points:
            self.disc(x, y, width / 2, fill)

    def polygon(self, points: Sequence[Point], fill: Colour, rounding: float = 0.0) -> None:
        """A filled polygon; `rounding` is the radius of its corners, which are taken from inside it."""
        if rounding:
            centre_x = sum(x for x, _ in points) / len(points)
            centre_y = sum(y for _, y in points) / len(points)
            reach = max(math.hypot(x - centre_x, y - centre_y) for x, y in points)
            shrink = 1 - 2 * rounding / reach
            points = [
                (centre_x + (x - centre_x) * shrink, centre_y + (y - centre_y) * shrink) for x, y in points
            ]
            self.line([*points, points[0]], 2 * rounding, fill)
        self._draw.polygon([self._at(p) for p in points], fill=fill)

    def text(self, words: str, x: float, y: float, height: float, fill: Colour) -> None:
        """Bold words, centred; `height` is that of a capital letter."""
        font = _font(round(height * self._half / 0.72))
        stroke = max(1, round(height * self._half * 0.05))
        self._draw.text(
            self._at((x, y)), words, fill=fill, font=font, anchor="mm", stroke_width=stroke, stroke_fill=fill
        )

    def arrow(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A shaft through points whose head's tip is the last point."""
        (x0, y0), (x1, y1) = points[-2], points[-1]
        length = math.hypot(x1 - x0, y1 - y0)
        along_x, along_y = (x1 - x0) / length, (y1 - y0) / length
        head = 1.35 * width
        base = (x1 - along_x * head, y1 - along_y * head)
        shaft = [p for p in points[:-1] if math.hypot(p[0] - x1, p[1] - y1) > head] or [points[0]]
        self.line([*shaft, base], width, fill)
        wing_x, wing_y = -along_y * width * 1.25, along_x * width * 1.25
        self.polygon(
            [(x1, y1), (base[0] + wing_x, base[1] + wing_y), (base[0] - wing_x, base[1] - wing_y)], fill
        )


def car_from_behind(pen: Pen, x: float, y: float, width: float, fill: Colour) -> None:
    """A car seen from behind, centred on (x, y)."""
    half = width / 2
    pen.polygon(
        [(x - half * 0.7, y - half * 0.7), (x + half * 0.7, y - half * 0.7), (x + half, y), (x - half, y)],
        fill,
    )
    pen.polygon([(x - half, y), (x + half, y), (x + half, y + half * 0.7), (x - half, y + half * 0.7)], fill)
    for side in (-1, 1):
        pen.line(
            [(x + side * half * 0.75, y + half * 0.6), (x + side * half * 0.75, y + half)], half * 0.35, fill
        )
    window = [
        (x - half * 0.5, y - half * 0.5),
        (x + half * 0.5, y - half * 0.5),
        (x + half * 0.65, y - half * 0.1),
    ]
    pen.polygon([*window, (x - half * 0.65, y - half * 0.1)], WHITE)


def truck_from_behind(pen: Pen, x: float, y: float, width: float, fill: Colour) -> None:
    """A truck seen from behind: a tall box on two wheels."""
    half = width / 2
    pen.polygon(
        [
            (x - half, y - half * 1.3),
            (x + half, y - half * 1.3),
            (x + half, y + half * 0.7),
            (x - half, y + half * 0.7),
        ],
        fill,
    )
    for side in (-1, 1):
        pen.line(
            [(x + side * half * 0.65, y + half * 0.7), (x + side * half * 0.65, y + half * 1.1)],
            half * 0.4,
            fill,
        )


def truck_from_the_side(pen: Pen, fill: Colour) -> None:
    """A truck driving to the left."""
    pen.polygon([(-0.14, -0.30), (0.58, -0.30), (0.58, 0.20), (-0.14, 0.20)], fill)
    pen.polygon([(-0.56, 0.20), (-0.56, -0.02), (-0.44, -0.20), (-0.18, -0.20), (-0.18, 0.20)], fill)
    for x in (-0.38, 0.36):
        pen.disc(x, 0.24, 0.13, fill)
        pen.disc(x, 0.24, 0.05, WHITE)


def crossing_with_priority(pen: Pen) -> None:
    """A thick arrow upwards across a thin side road."""
    pen.line([(-0.34, 0.22), (0.34, 0.22)], 0.12, BLACK)
    pen.line([(0, 0.50), (0, -0.10)], 0.18, BLACK)
    pen.polygon([(0, -0.42), (0.17, -0.05), (-0.17, -0.05)], BLACK)


def exclamation_mark(pen: Pen) -> None:
    """A thick exclamation mark."""
    pen.polygon([(-0.12, -0.36), (0.12, -0.36), (0.06, 0.22), (-0.06, 0.22)], BLACK, rounding=0.04)
    pen.disc(0, 0.42, 0.11, BLACK)


def curve(pen: Pen, towards: int) -> None:
    """A road that bends to the left (-1) or to the right (1)."""
    bend = [(-0.16, 0.52), (-0.16, 0.16), (-0.10, 0.02), (0.02, -0.02), (0.38, -0.02)]
    pen.arrow([(towards * x, y) for x, y in bend], 0.17, BLACK)


def double_curve(pen: Pen) -> None:
    """A road with a bend to the left and one to the right."""
    pen.arrow(
        [(0.10, 0.52), (0.10, 0.30), (-0.12, 0.12), (-0.12, 0.02), (0.08, -0.10), (0.08, -0.48)], 0.13, BLACK
    )


def bumps(pen: Pen) -> None:
    """Two humps on a road."""
    for x in (-0.24, 0.24):
        hump = [
            (x + 0.22 * math.cos(turn), 0.34 - 0.22 * math.sin(turn)) for turn in np.linspace(0, math.pi, 13)
        ]
        pen.polygon(hump, BLACK)
    pen.polygon([(-0.52, 0.33), (0.52, 0.33), (0.52, 0.48), (-0.52, 0.48)], BLACK)


def skidding_car(pen: Pen) -> None:
    """A tilted car above two crossing skid marks."""
    pen.polygon(
        [(-0.20, -0.20), (0.10, -0.30), (0.22, -0.08), (0.26, 0.06), (-0.22, 0.20), (-0.28, 0.02)], BLACK
    )
    pen.polygon([(-0.13, -0.13), (0.07, -0.20), (0.12, -0.08), (-0.16, 0.0)], WHITE)
    for x in (-0.16, 0.10):
        pen.line([(x, 0.22), (x + 0.14, 0.30), (x - 0.06, 0.40), (x + 0.10, 0.50)], 0.06, BLACK)


def narrowing(pen: Pen) -> None:
    """Two kerbs, of which the right one comes closer."""
    pen.line([(-0.20, 0.52), (-0.20, -0.16)], 0.12, BLACK)
    pen.line([(0.34, 0.52), (0.34, 0.28), (0.10, 0.06), (0.10, -0.30)], 0.12, BLACK)


def digging_worker(pen: Pen) -> None:
    """A worker bent over a shovel beside a heap."""
    pen.disc(0.02, -0.30, 0.10, BLACK)
    pen.line([(0.0, -0.18), (-0.16, 0.10)], 0.18, BLACK)
    pen.line([(-0.16, 0.10), (-0.02, 0.30), (-0.06, 0.52)], 0.10, BLACK)
    pen.line([(-0.16, 0.10), (-0.30, 0.30), (-0.42, 0.52)], 0.10, BLACK)
    pen.line([(0.0, -0.12), (0.14, 0.10)], 0.08, BLACK)
    pen.line([(-0.06, 0.0), (0.34, 0.34)], 0.05, BLACK)
    pen.polygon([(0.14, 0.54), (0.34, 0.26), (0.56, 0.54)], BLACK)


def traffic_light(pen: Pen, lamps: tuple[Colour, Colour, Colour]) -> None:
    """Three lamps, red above yellow above green, in a black case."""
    pen.line([(0, -0.26), (0, 0.40)], 0.27, BLACK)
    for y, lamp in zip((-0.26, 0.07, 0.40), lamps, strict=True):
        pen.disc(0, y, 0.12, lamp)


def _walker(pen: Pen, x: float, y: float, scale: float) -> None:
    def at(*points: Point) -> list[Point]:
        return [(x + px * scale, y + py * scale) for px, py in points]

    ((head_x, head_y),) = at((0, -0.42))
    pen.disc(head_x, head_y, 0.11 * scale, BLACK)
    pen.line(at((0, -0.24), (0.0, 0.08)), 0.18 * scale, BLACK)
    pen.line(at((0, 0.08), (-0.14, 0.28), (-0.22, 0.50)), 0.11 * scale, BLACK)
    pen.line(at((0, 0.08), (0.12, 0.28), (0.22, 0.50)), 0.11 * scale, BLACK)
    pen.line(at((0, -0.22), (-0.22, 0.02)), 0.08 * scale, BLACK)
    pen.line(at((0, -0.22), (0.22, 0.0)), 0.08 * scale, BLACK)


def pedestrian(pen: Pen) -> None:
    """One walker on a zebra crossing."""
    _walker(pen, 0.0, 0.0, 0.82)
    for x in (-0.44, -0.22, 0.0, 0.22, 0.44):
        pen.line([(x - 0.05, 0.52), (x + 0.05, 0.46)], 0.07, BLACK)


def children(pen: Pen) -> None:
    """Two children who run, a large and a small one."""
    _walker(pen, -0.17, 0.12, 0.80)
    _walker(pen, 0.22, 0.24, 0.62)


def bicycle(pen: Pen) -> None:
    """A bicycle from the side."""
    for x in (-0.28, 0.28):
        pen.ring(x, 0.30, 0.21, 0.06, BLACK)
    pen.line([(-0.28, 0.30), (-0.12, 0.0), (0.18, 0.0), (0.02, 0.30), (-0.28, 0.30)], 0.05, BLACK)
    pen.line([(0.02, 0.30), (-0.15, -0.08)], 0.05, BLACK)
    pen.line([(0.28, 0.30), (0.16, -0.14), (0.28, -0.16)], 0.05, BLACK)
    pen.line([(-0.23, -0.09), (-0.07, -0.09)], 0.06, BLACK)


def snowflake(pen: Pen) -> None:
    """A flake with six branches."""
    for turn in range(6):
        angle = math.pi / 3 * turn + math.pi / 6
        cos, sin = math.cos(angle), math.sin(angle)
        pen.line([(0, 0.14), (0.40 * cos, 0.14 + 0.40 * sin)], 0.07, BLACK)
        for side in (-0.5, 0.5):
            branch = (0.36 * math.cos(angle + side), 0.14 + 0.36 * math.sin(angle + side))
            pen.line([(0.20 * cos, 0.14 + 0.20 * sin), branch], 0.06, BLACK)


def deer(pen: Pen) -> None:
    """A leaping deer with antlers."""
    pen.polygon(
        [(-0.34, 0.10), (-0.10, 0.02), (0.14, -0.06), (0.20, 0.12), (-0.02, 0.22), (-0.30, 0.26)], BLACK
    )
    pen.line([(0.12, 0.0), (0.22, -0.18)], 0.12, BLACK)
    pen.line([(0.20, -0.20), (0.34, -0.14)], 0.09, BLACK)
    pen.line([(0.20, -0.22), (0.12, -0.40)], 0.04, BLACK)
    pen.line([(0.22, -0.22), (0.26, -0.40)], 0.04, BLACK)
    pen.line([(-0.30, 0.20), (-0.44, 0.36), (-0.40, 0.54)], 0.07, BLACK)
    pen.line([(-0.22, 0.22), (-0.26, 0.40), (-0.16, 0.54)], 0.06, BLACK)
    pen.line([(0.12, 0.12), (0.34, 0.22), (0.30, 0.38)], 0.07, BLACK)
    pen.line([(0.04, 0.16), (0.18, 0.32), (0.10, 0.46)], 0.06, BLACK)
