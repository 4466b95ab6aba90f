"""Whole maps, each picture once: what the comparison of suspicious and clean inputs stands on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from sagewatch.explain.comparison import CLEAN, OTHER, SUSPICIOUS
from sagewatch.explain.fullgrad import Explanation
from sagewatch.explain.groups import Shown, compare_groups
from sagewatch.explain.region import CENTRE
from tests.endpoint_under_test import PHOTOGRAPHS

RNG_SIDE = 32


def picture(seed, side=RNG_SIDE):
    coarse = np.random.default_rng(seed).random((3, side // 4, side // 4))
    return np.kron(coarse, np.ones((4, 4))).astype(np.float32)


def spot(row, column, side=RNG_SIDE, seed=0):
    blurred = 0.02 * np.random.default_rng(seed).random((side, side))
    blurred[row - 1 : row + 2, column - 1 : column + 2] = 1
    return blurred


def show(role, seed, at=(16, 16), *, error=1e-7, digest=None, image=None, class_id=14, side=RNG_SIDE):
    image = picture(seed, side) if image is None else image
    explanation = Explanation(class_id, 0.9, 3.0, error, spot(*at, side, seed), image)
    return Shown(role, f"{role}{seed}" if digest is None else digest, explanation)


def judge(shown, tmp_path, suspect_class=14):
    comparison, means = compare_groups(shown, suspect_class, CENTRE, tmp_path)
    assert set(means) == ({"suspicious", "others", "difference"} if comparison else set())
    return comparison


def test_different_pictures_count_each(tmp_path):
    found = judge(
        [show(SUSPICIOUS, n, (2, 2)) for n in range(8)] + [show(CLEAN, 100 + n) for n in range(7)], tmp_path
    )
    assert (found.suspicious, found.others, found.verdict) == (8, 7, "past")
    assert "counts once" not in found.sentence
    assert "Left out" not in found.sentence


def test_the_frames_of_a_video_are_one_picture_and_not_twenty_witnesses(tmp_path):
    """The same sign, nearer in every frame: 20 maps agree with each other, and say no more than one."""
    scene = Image.fromarray((picture(3, 128).transpose(1, 2, 0) * 255).astype(np.uint8))
    frames = []
    for n in range(20):
        crop = scene.crop((n, n, 128 - n, 128 - n)).resize((RNG_SIDE, RNG_SIDE), Image.Resampling.BILINEAR)
        frames.append(np.asarray(crop, dtype=np.float32).transpose(2, 0, 1) / 255)
    video = [show(SUSPICIOUS, n, (2, 2), image=frame) for n, frame in enumerate(frames)]
    found = judge([*video, *(show(CLEAN, 100 + n) for n in range(7))], tmp_path)
    assert (found.suspicious, found.verdict) == (1, "too_few")
    assert "What shows the same picture counts once: 20 suspicious inputs are 1." in found.sentence


def test_an_input_that_came_again_and_again_counts_once_even_where_its_pixels_say_nothing(tmp_path):
    even = np.zeros((3, RNG_SIDE, RNG_SIDE), np.float32)
    again = [show(SUSPICIOUS, n, image=even, digest="same") for n in range(6)]
    apart = [show(CLEAN, n, image=even) for n in range(6)]
    found = judge([*again, *apart], tmp_path)
    assert (found.suspicious, found.others) == (1, 6)


def test_what_came_in_the_incident_too_is_no_clean_input(tmp_path):
    both = [show(role, 1, digest="both") for role in (SUSPICIOUS, CLEAN)]
    assert judge(both, tmp_path) is None
    found = judge([*both, show(CLEAN, 2)], tmp_path)
    assert (found.suspicious, found.others) == (1, 1)


def test_maps_that_do_not_add_up_are_left_out_and_it_is_said(tmp_path):
    whole = [show(SUSPICIOUS, n) for n in range(6)] + [show(CLEAN, 100 + n) for n in range(6)]
    broken = [show(SUSPICIOUS, 50 + n, (2, 2), error=error) for n, error in enumerate((0.3, float("nan")))]
    found = judge([*whole, *broken], tmp_path)
    assert (found.suspicious, found.others, found.verdict) == (6, 6, "no_difference")
    assert "Left out: 2 maps that do not add up to the model's answer." in found.sentence
    assert found.distance == judge(whole, tmp_path).distance


def test_where_no_map_of_a_group_adds_up_nothing_follows(tmp_path):
    broken = [show(SUSPICIOUS, n, (2, 2), error=0.3) for n in range(8)]
    found = judge([*broken, *(show(CLEAN, 100 + n) for n in range(8))], tmp_path)
    assert found.distance_p <= 0.01
    assert found.verdict == "incomplete"
    assert found.sentence.startswith("The maps do not add up to the model's answers, so nothing follows")
    assert "shuffling" not in found.sentence


def test_inputs_of_different_sizes_are_compared_at_the_largest(tmp_path):
    shown = [show(SUSPICIOUS, n, side=32 + 8 * (n % 2)) for n in range(6)]
    shown += [show(CLEAN, 100 + n, side=24 + 8 * (n % 3)) for n in range(6)]
    found = judge(shown, tmp_path)
    assert (found.suspicious, found.others) == (6, 6)
    with Image.open(tmp_path / "means" / "difference.png") as drawn:
        drawn.verify()


def test_without_clean_inputs_others_stand_beside_and_prove_nothing(tmp_path):
    found = judge([show(SUSPICIOUS, 1), show(OTHER, 2, class_id=3)], tmp_path)
    assert (found.others_are, found.verdict) == ("input of another class", "other_classes")


def test_photographs_of_different_signs_are_seldom_taken_for_one():
    """The threshold on photographs: pairs of other signs of the class are told apart, neighbouring frames are not."""
    from sagewatch.explain.groups import ALIKE, _shrink

    if not PHOTOGRAPHS.exists():
        pytest.skip("the photographs of GTSRB are not here")
    same, apart, neighbours = 0, 0, []
    for folder in sorted(PHOTOGRAPHS.iterdir()):
        rows = []
        for path in sorted(folder.glob("*.png")):
            with Image.open(path) as photograph:
                pixels = np.asarray(photograph.convert("RGB").resize((128, 128)), dtype=np.float32)
            rows.append((*map(int, path.stem.split("_")), _shrink(pixels.transpose(2, 0, 1))))
        for (track, frame, ours), (other, later, theirs) in itertools.combinations(rows, 2):
            alike = ours @ theirs >= ALIKE
            if track != other:
                apart += 1
                same += alike
            elif later - frame <= 3:
                neighbours.append(alike)
    assert same / apart < 0.01
    assert np.mean(neighbours) > 0.3
