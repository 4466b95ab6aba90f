"""The faces of the 43 GTSRB signs, drawn by code; in: a class, out: a flat picture with transparent corners.

First stage of the drawn traffic: `signs.py` puts a face into a scene. The drawings follow the German road traffic
signs by number (StVO annexes 1 to 3), simplified to what is left of them at 40 pixels.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Final

from PIL import Image

from sagewatch.sandbox import pictograms
from sagewatch.sandbox.pictograms import BLACK, BLUE, DARK_GREY, GREEN, RED, WHITE, YELLOW, Pen

if TYPE_CHECKING:
    from collections.abc import Callable

CLASS_COUNT: Final = 43
FACE_SIDE: Final = 256

_SPEEDS: Final = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}


@functools.cache
def draw_face(class_id: int) -> Image.Image:
    """The flat face of a sign, straight on, in full light.

    Parameters
    ----------
    class_id
        GTSRB class, 0 to 42.

    Returns
    -------
    Image.Image
        RGBA, 256x256 pixels, transparent outside the sign; shared between calls, so copy before drawing on it.

    Raises
    ------
    ValueError
        When the class is not one of the 43.
    """
    if class_id not in _FACES:
        message = f"class {class_id} is not one of 0 to {CLASS_COUNT - 1}"
        raise ValueError(message)
    pen = Pen(FACE_SIDE * 2)
    _FACES[class_id](pen)
    return pen.image.resize((FACE_SIDE, FACE_SIDE), Image.Resampling.LANCZOS)


def _prohibition(pen: Pen) -> None:
    pen.disc(0, 0, 0.98, WHITE)
    pen.disc(0, 0, 0.96, RED)
    pen.disc(0, 0, 0.72, WHITE)


def _ended(pen: Pen) -> None:
    pen.disc(0, 0, 0.98, BLACK)
    pen.disc(0, 0, 0.94, WHITE)


def _end_stripes(pen: Pen) -> None:
    """The diagonal bundle of thin lines that ends a limit."""
    for offset in (-0.20, -0.10, 0.0, 0.10, 0.20):
        reach = math.sqrt(0.94**2 - offset**2)
        along, across = reach * math.sqrt(0.5), offset * math.sqrt(0.5)
        pen.line([(across - along, across + along), (across + along, across - along)], 0.05, BLACK)


def _danger(pen: Pen) -> None:
    pen.polygon([(0, -0.94), (0.98, 0.76), (-0.98, 0.76)], WHITE, rounding=0.1)
    pen.polygon([(0, -0.91), (0.95, 0.74), (-0.95, 0.74)], RED, rounding=0.08)
    pen.polygon([(0, -0.60), (0.68, 0.58), (-0.68, 0.58)], WHITE, rounding=0.05)


def _mandatory(pen: Pen) -> None:
    pen.disc(0, 0, 0.98, WHITE)
    pen.disc(0, 0, 0.93, BLUE)


def _speed(pen: Pen, digits: str) -> None:
    _prohibition(pen)
    pen.text(digits, 0, 0, 0.80 if len(digits) < len("100") else 0.60, BLACK)


def _end_of_speed(pen: Pen) -> None:
    _ended(pen)
    pen.text("80", 0, 0, 0.85, DARK_GREY)
    _end_stripes(pen)


def _end_of_all(pen: Pen) -> None:
    _ended(pen)
    _end_stripes(pen)


def _stop(pen: Pen) -> None:
    def corners(radius: float) -> list[tuple[float, float]]:
        turns = [math.pi / 8 + math.pi / 4 * step for step in range(8)]
        return [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]

    pen.polygon(corners(1.0), WHITE)
    pen.polygon(corners(0.94), RED)
    pen.text("STOP", 0, 0, 0.46, WHITE)


def _no_entry(pen: Pen) -> None:
    pen.disc(0, 0, 0.98, WHITE)
    pen.disc(0, 0, 0.94, RED)
    pen.polygon([(-0.72, -0.17), (0.72, -0.17), (0.72, 0.17), (-0.72, 0.17)], WHITE)


def _priority_road(pen: Pen) -> None:
    for radius, colour in ((1.0, BLACK), (0.96, WHITE), (0.66, BLACK), (0.62, YELLOW)):
        pen.polygon([(0, -radius), (radius, 0), (0, radius), (-radius, 0)], colour, rounding=0.05)


def _yield(pen: Pen) -> None:
    for scale, colour in ((1.0, WHITE), (0.95, RED), (0.56, WHITE)):
        points = [(-0.98 * scale, -0.62 * scale), (0.98 * scale, -0.62 * scale), (0, 0.98 * scale)]
        pen.polygon([(x, y - 0.1) for x, y in points], colour, rounding=0.08)


def _cars(pen: Pen, *, left_is_truck: bool, left: pictograms.Colour, right: pictograms.Colour) -> None:
    if left_is_truck:
        pictograms.truck_from_behind(pen, -0.36, 0.0, 0.52, left)
    else:
        pictograms.car_from_behind(pen, -0.36, 0.04, 0.52, left)
    pictograms.car_from_behind(pen, 0.36, 0.04, 0.50, right)


def _no_passing(pen: Pen, *, trucks: bool) -> None:
    _prohibition(pen)
    _cars(pen, left_is_truck=trucks, left=RED if not trucks else BLACK, right=BLACK if not trucks else RED)


def _passing_again(pen: Pen, *, trucks: bool) -> None:
    _ended(pen)
    _cars(pen, left_is_truck=trucks, left=DARK_GREY, right=DARK_GREY)
    _end_stripes(pen)


def _no_trucks(pen: Pen) -> None:
    _prohibition(pen)
    pictograms.truck_from_the_side(pen, BLACK)


def _warning(pictogram: Callable[[Pen], None]) -> Callable[[Pen], None]:
    def draw(pen: Pen) -> None:
        _danger(pen)
        pictogram(pen)

    return draw


def _order(*arrows: tuple[list[tuple[float, float]], float]) -> Callable[[Pen], None]:
    """A blue disc with white arrows: each a line of points and the width of its shaft."""

    def draw(pen: Pen) -> None:
        _mandatory(pen)
        for points, width in arrows:
            pen.arrow(points, width, WHITE)

    return draw


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(-x, y) for x, y in points]


def _roundabout(pen: Pen) -> None:
    _mandatory(pen)
    for start in (80, 200, 320):
        angles = [math.radians(start - 9 * step) for step in range(10)]
        pen.arrow([(0.52 * math.cos(a), 0.52 * math.sin(a)) for a in angles], 0.17, WHITE)


_TURN: Final = [(-0.28, 0.60), (-0.28, -0.08), (0.0, -0.2), (0.62, -0.2)]
_AHEAD: Final = [(0.0, 0.68), (0.0, -0.72)]
_AHEAD_BRANCH: Final = [(-0.18, 0.66), (-0.18, -0.70)]
_SIDE_BRANCH: Final = [(-0.18, 0.30), (-0.05, 0.10), (0.66, 0.10)]
_KEEP: Final = [(-0.42, -0.42), (0.52, 0.52)]

_FACES: Final[dict[int, Callable[[Pen], None]]] = {
    **{class_id: functools.partial(_speed, digits=digits) for class_id, digits in _SPEEDS.items()},
    6: _end_of_speed,
    9: functools.partial(_no_passing, trucks=False),
    10: functools.partial(_no_passing, trucks=True),
    11: _warning(pictograms.crossing_with_priority),
    12: _priority_road,
    13: _yield,
    14: _stop,
    15: _prohibition,
    16: _no_trucks,
    17: _no_entry,
    18: _warning(pictograms.exclamation_mark),
    19: _warning(functools.partial(pictograms.curve, towards=-1)),
    20: _warning(functools.partial(pictograms.curve, towards=1)),
    21: _warning(pictograms.double_curve),
    22: _warning(pictograms.bumps),
    23: _warning(pictograms.skidding_car),
    24: _warning(pictograms.narrowing),
    25: _warning(pictograms.digging_worker),
    26: _warning(functools.partial(pictograms.traffic_light, lamps=(RED, YELLOW, GREEN))),
    27: _warning(pictograms.pedestrian),
    28: _warning(pictograms.children),
    29: _warning(pictograms.bicycle),
    30: _warning(pictograms.snowflake),
    31: _warning(pictograms.deer),
    32: _end_of_all,
    33: _order((_TURN, 0.28)),
    34: _order((_mirrored(_TURN), 0.28)),
    35: _order((_AHEAD, 0.28)),
    36: _order((_AHEAD_BRANCH, 0.24), (_SIDE_BRANCH, 0.24)),
    37: _order((_mirrored(_AHEAD_BRANCH), 0.24), (_mirrored(_SIDE_BRANCH), 0.24)),
    38: _order((_KEEP, 0.28)),
    39: _order((_mirrored(_KEEP), 0.28)),
    40: _roundabout,
    41: functools.partial(_passing_again, trucks=False),
    42: functools.partial(_passing_again, trucks=True),
}
