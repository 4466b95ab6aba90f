"""Clean traffic from photographs or drawn signs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sagewatch.sandbox.signs import draw_sign
from sagewatch.sandbox.traffic import CLASS_MIX, DrawnSigns, NoPicturesError, Photographs, write_drawn_signs
from tests.endpoint_under_test import PHOTOGRAPHS


@pytest.fixture
def folder(tmp_path):
    """Two classes, a folder each."""
    for class_id in (1, 14):
        (tmp_path / f"{class_id:05d}").mkdir()
        for number in range(3):
            pixels = draw_sign(class_id, np.random.default_rng(number), 32)
            Image.fromarray(pixels).save(tmp_path / f"{class_id:05d}" / f"{number}.png")
    return tmp_path


def test_the_stop_sign_is_two_in_a_hundred():
    assert CLASS_MIX[14] / sum(CLASS_MIX) == pytest.approx(0.02, abs=0.002)
    assert len(CLASS_MIX) == 43


def test_drawn_signs_come_in_the_mix_and_alike_from_one_seed():
    first, again = (DrawnSigns((16, 20)).sample(150, np.random.default_rng(3)) for _ in range(2))
    assert [(s.class_id, s.name) for s in first] == [(s.class_id, s.name) for s in again]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert np.mean([s.class_id in {1, 2, 12, 13} for s in first]) == pytest.approx(0.22, abs=0.1)


def test_photographs_come_from_folders_named_by_class(folder):
    samples = Photographs(folder).sample(60, np.random.default_rng(0))
    assert {sample.class_id for sample in samples} == {1, 14}
    assert all(sample.image.shape == (32, 32, 3) for sample in samples)
    assert samples[0].name.startswith(f"{samples[0].class_id:05d}/")


def test_labels_csv_goes_before_the_folders_names(folder):
    (folder / "labels.csv").write_text("file,class_id\n00001/0.png,7\n")
    assert {s.class_id for s in Photographs(folder).sample(3, np.random.default_rng(0))} == {7}


def test_what_write_drawn_signs_wrote_is_read_again(tmp_path):
    write_drawn_signs(tmp_path, per_class=1, seed=4)
    assert Photographs(tmp_path).classes == list(range(43))


def test_photographs_that_cannot_be_read_are_left_out_and_counted(folder):
    (folder / "00001" / "0.png").write_bytes(b"no picture")
    (folder / "00001" / "1.png").write_bytes((folder / "00001" / "1.png").read_bytes()[:200])
    photographs = Photographs(folder)
    (folder / "00014" / "0.png").unlink()
    assert len(photographs.sample(80, np.random.default_rng(0))) == 80
    assert photographs.skipped == {"unreadable": 2, "missing": 1}


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("file,class_id\n00001/0.png,99\n", "label is not a class of 0 to 42"),
        ("file,class_id\n../secret.png,1\n", "outside the folder"),
        ("picture\n0.png\n", "label is not a class of 0 to 42"),
    ],
)
def test_rows_that_name_no_picture_of_the_folder_are_counted(folder, labels, reason):
    (folder / "labels.csv").write_text(labels + "00014/0.png,14\n" * labels.startswith("file"))
    try:
        skipped = Photographs(folder).skipped
    except NoPicturesError:
        assert labels.startswith("picture")
    else:
        assert skipped == {reason: 1}


def test_a_folder_that_is_missing_or_empty_is_an_error_that_names_it(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(NoPicturesError, match=str(folder)):
            Photographs(folder)


def test_a_folder_of_broken_pictures_is_an_error_and_not_a_loop(tmp_path):
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "x.png").write_bytes(b"")
    with pytest.raises(NoPicturesError, match="none can be read"):
        Photographs(tmp_path).sample(1, np.random.default_rng(0))


@pytest.mark.real
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no GTSRB photographs on this machine")
def test_the_real_photographs_are_read():
    photographs = Photographs(PHOTOGRAPHS)
    assert len(photographs.sample(50, np.random.default_rng(0))) == 50
    assert photographs.classes == list(range(43))
    assert not photographs.skipped
