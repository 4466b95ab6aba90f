"""Pictures of an explanation: the input, its heat map (red most relevant, blue least), and both laid over each other."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sagewatch.explain.region import Region

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PANEL_SIDE: Final = 256
PAGE_SIDE: Final = 320
_MARGIN: Final = 8
_CAPTION_LINE: Final = 22
_INK: Final = (28, 32, 38)
_PAPER: Final = (255, 255, 255)
# Blue, cyan, green, yellow, red: the notebook's "jet", without its dark ends.
_STOPS: Final = (
    (0.0, (0, 0, 180)),
    (0.3, (0, 170, 230)),
    (0.5, (60, 200, 90)),
    (0.7, (250, 220, 0)),
    (1.0, (215, 0, 0)),
)


def input_picture(image: NDArray[np.float32]) -> Image.Image:
    """An input (3, H, W) of 0 to 1 as a picture, at the model's size; NaN is black."""
    pixels = np.nan_to_num(image.transpose(1, 2, 0)).clip(0, 1)
    return Image.fromarray((pixels * 255).round().astype(np.uint8), "RGB")


def heat_picture(saliency: NDArray[np.float64]) -> Image.Image:
    """A map (H, W) of 0 to 1 in colours: 0 is blue, 1 is red; NaN counts as 0."""
    level = np.nan_to_num(saliency).clip(0, 1)
    places = [place for place, _ in _STOPS]
    channels = [np.interp(level, places, [colour[c] for _, colour in _STOPS]) for c in range(3)]
    return Image.fromarray(np.stack(channels, axis=2).round().astype(np.uint8), "RGB")


def difference_picture(difference: NDArray[np.float64], full: float) -> Image.Image:
    """A signed difference of maps (H, W): red where it is positive, blue where negative, white where there is none.

    Parameters
    ----------
    full
        The amount that gets the full colour, above 0.
    """
    level = np.nan_to_num(difference / full).clip(-1, 1)[..., None]
    ink = np.where(level > 0, np.array(_STOPS[-1][1]), np.array(_STOPS[0][1]))
    pixels = 255 + (ink - 255) * np.abs(level)
    return Image.fromarray(pixels.round().astype(np.uint8), "RGB")


def outline_region(picture: Image.Image, region: Region) -> Image.Image:
    """The picture, enlarged, with the region of interest drawn into it."""
    enlarged = picture.resize((PANEL_SIDE, PANEL_SIDE), Image.Resampling.BICUBIC)
    sides = [side * (PANEL_SIDE - 1) for side in (region.left, region.top, region.right, region.bottom)]
    draw = ImageDraw.Draw(enlarged)
    draw.rectangle(sides, outline=_INK, width=3)
    draw.rectangle([sides[0] + 1, sides[1] + 1, sides[2] - 1, sides[3] - 1], outline=_PAPER, width=1)
    return enlarged


def overlay_picture(picture: Image.Image, heat: Image.Image, share: float = 0.5) -> Image.Image:
    """The heat map laid over the input; `share` is how much of the heat map shows, 0 to 1."""
    return Image.blend(picture, heat, share)


def page_copy(picture: Image.Image) -> Image.Image:
    """The picture as a page shows it: its longest side ``PAGE_SIDE`` at most; a smaller one is itself."""
    if max(picture.size) <= PAGE_SIDE:
        return picture
    copy = picture.copy()
    copy.thumbnail((PAGE_SIDE, PAGE_SIDE), Image.Resampling.LANCZOS)
    return copy


def side_by_side(panels: tuple[Image.Image, ...], caption: tuple[str, ...]) -> Image.Image:
    """Panels in a row, enlarged, above lines of caption, each broken where it is wider than the row."""
    side = PANEL_SIDE
    width = len(panels) * side + (len(panels) + 1) * _MARGIN
    font = ImageFont.load_default(size=15)
    lines = [part for line in caption for part in _break_line(line, font, width - 2 * _MARGIN)]
    height = side + 2 * _MARGIN + len(lines) * _CAPTION_LINE + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    for number, panel in enumerate(panels):
        sheet.paste(
            panel.resize((side, side), Image.Resampling.BICUBIC),
            (_MARGIN + number * (side + _MARGIN), _MARGIN),
        )
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, side + 2 * _MARGIN + number * _CAPTION_LINE), line, fill=_INK, font=font)
    return sheet


def _break_line(text: str, font: Font, width: int) -> list[str]:
    """A line of caption in lines of so many pixels; a word that is wider stands alone and is cut by the sheet's edge."""
    # Of letters: a recording's names may hold anything that a directory's may.
    lines = [""]
    for word in text.encode(errors="replace").decode().split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = BytesIO()
    # Level 9 or optimize=True makes a smooth heat map a tenth smaller and takes twenty times as long.
    picture.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
