"""The pictures of an explanation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sagewatch.explain import heatmap


def test_the_most_relevant_pixel_is_red_and_the_least_is_blue():
    picture = np.asarray(heatmap.heat_picture(np.array([[0.0, 1.0]])))
    (red0, _, blue0), (red1, _, blue1) = picture[0]
    assert blue0 > red0
    assert red1 > blue1


def test_the_input_is_shown_as_it_was_sent(recorded):
    shown = np.asarray(heatmap.input_picture(recorded[0].tensors["ResNet_input_0"][0]))
    back = (shown.transpose(2, 0, 1) / 255 - np.array(heatmap.IMAGENET_MEAN)[:, None, None]) / np.array(
        heatmap.IMAGENET_STD
    )[:, None, None]
    assert np.abs(back - recorded[0].tensors["ResNet_input_0"][0]).max() <= 1e-5


def test_nan_is_drawn_and_does_not_fail():
    assert heatmap.heat_picture(np.full((4, 4), np.nan)).size == (4, 4)
    assert heatmap.input_picture(np.full((3, 4, 4), np.nan, np.float32)).size == (4, 4)


@pytest.mark.parametrize(
    ("saliency", "expected"),
    [
        (np.zeros((10, 10)), 0.0),
        (np.ones((10, 10)), 0.36),
        (np.pad(np.ones((8, 8)), 1), 0.0),
        (1 - np.pad(np.ones((8, 8)), 1), 1.0),
    ],
)
def test_the_share_outside_the_middle(saliency, expected):
    assert heatmap.outside_share(saliency) == pytest.approx(expected)


def test_a_region_of_interest_can_be_given():
    saliency = np.zeros((10, 10))
    saliency[0, 0] = saliency[9, 9] = 1
    assert heatmap.outside_share(saliency, heatmap.Box(0, 0, 0.5, 0.5)) == 0.5


def test_the_sheet_is_a_png_wide_enough_for_its_panels():
    panel = heatmap.heat_picture(np.zeros((128, 128)))
    data = heatmap.png_bytes(heatmap.side_by_side((panel, panel, panel), ("Stop, 98 %", "step 3")))
    with Image.open(io.BytesIO(data)) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width >= 3 * heatmap.PANEL_SIDE
