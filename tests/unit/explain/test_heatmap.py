"""The pictures of an explanation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sagewatch.explain import heatmap
from sagewatch.explain.region import Region


def test_the_most_relevant_pixel_is_red_and_the_least_is_blue():
    picture = np.asarray(heatmap.heat_picture(np.array([[0.0, 1.0]])))
    (red0, _, blue0), (red1, _, blue1) = picture[0]
    assert blue0 > red0
    assert red1 > blue1


def test_nan_is_drawn_and_does_not_fail():
    assert heatmap.heat_picture(np.full((4, 4), np.nan)).size == (4, 4)
    assert heatmap.input_picture(np.full((3, 4, 4), np.nan, np.float32)).size == (4, 4)


def test_a_difference_is_red_where_more_blue_where_less_and_white_where_none():
    picture = heatmap.difference_picture(np.array([[1.0, -1.0, 0.0, 0.5]]), 1.0)
    more, less, none, half = (picture.getpixel((column, 0)) for column in range(4))
    assert (more, less, none) == ((215, 0, 0), (0, 0, 180), (255, 255, 255))
    assert half[0] > half[1] == half[2] > 100


def test_the_region_is_drawn_into_the_picture():
    plain = heatmap.heat_picture(np.zeros((8, 8)))
    drawn = heatmap.outline_region(plain, Region(0.25, 0.25, 0.75, 0.75))
    edge, side = round(0.25 * (heatmap.PANEL_SIDE - 1)), heatmap.PANEL_SIDE
    assert drawn.size == (side, side)
    assert drawn.getpixel((edge, side // 2)) != drawn.getpixel((side // 2, side // 2))


def test_the_sheet_is_a_png_wide_enough_for_its_panels():
    panel = heatmap.heat_picture(np.zeros((128, 128)))
    data = heatmap.png_bytes(heatmap.side_by_side((panel, panel, panel), ("Stop, 98 %", "step 3")))
    with Image.open(io.BytesIO(data)) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width >= 3 * heatmap.PANEL_SIDE


def test_a_caption_that_is_wider_than_its_panels_is_broken_and_ends_inside_the_sheet():
    panel = heatmap.heat_picture(np.zeros((8, 8)))
    short = heatmap.side_by_side((panel, panel, panel), ("INCOMPLETE", "step 3"))
    named = ", ".join(f"SyncBatchNorm backbone.layer4.{n}.downsample.1" for n in range(6))
    long = heatmap.side_by_side((panel, panel, panel), (f"INCOMPLETE: {named} breaks the sum", "step 3"))
    assert long.width == short.width
    assert long.height > short.height
    right = np.asarray(long)[:, -heatmap._MARGIN :]
    assert (right == 255).all(), "nothing is written into the margin"


def test_a_word_that_is_wider_than_the_sheet_ends_with_it():
    panel = heatmap.heat_picture(np.zeros((8, 8)))
    assert heatmap.side_by_side((panel,), ("w" * 400, "")).height > heatmap.PANEL_SIDE


@pytest.mark.parametrize(
    ("size", "shown"), [((64, 48), (64, 48)), ((320, 320), (320, 320)), ((1280, 640), (320, 160))]
)
def test_a_pages_copy_of_a_picture_is_no_larger_than_a_page_needs(size, shown):
    picture = Image.new("RGB", size, (200, 10, 10))
    copy = heatmap.page_copy(picture)
    assert copy.size == shown
    assert picture.size == size
    assert copy.getpixel((5, 5)) == (200, 10, 10)
