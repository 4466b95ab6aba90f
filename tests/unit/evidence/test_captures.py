"""The captures of an incident's time: counted truly, drawn and told without a payload."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from sagewatch.capture import Segment, split_segment
from sagewatch.evidence.captures import MOST_BINS, count_captures
from sagewatch.evidence.model import CaptureBin
from sagewatch.evidence.page import build_page
from sagewatch.finding import Stream
from tests.unit.evidence.story import build_dossier

START = datetime(2026, 11, 21, 20, 34, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def build_segment(first, last, labels, key="a.jsonl", **changes):
    known = tuple(dict.fromkeys(labels))
    wide = 1 if len(known) <= 256 else 2
    classes = b"".join(known.index(one).to_bytes(wide, "little") for one in labels)
    values = {"bucket": "captures", "key": key, "etag": "e", "stream": Stream("signs", "AllTraffic"),
              "first_at": at(first), "last_at": at(last), "labels": known, "classes": classes}  # fmt: skip
    return Segment(**(values | changes))


def test_each_prediction_falls_into_the_bin_of_its_time():
    # One a second, from 0 to 9; the last four are of class 14.
    segment = build_segment(0, 9, ["2"] * 6 + ["14"] * 4)
    captured = count_captures([segment], at(0), at(9), "14")
    assert captured.step_seconds == 1
    assert [(one.predictions, one.of_subject) for one in captured.bins] == [(1, 0)] * 6 + [(1, 1)] * 4
    assert (captured.files, captured.first_at, captured.last_at) == (1, at(0), at(9))


def test_what_lies_outside_the_stretch_is_not_counted_and_a_gap_is_a_gap():
    files = [
        build_segment(-60, -30, ["14"] * 7, "before"),
        build_segment(-5, 4, ["2"] * 10, "across"),
        build_segment(30, 30, ["14"] * 3, "late"),
        build_segment(300, 310, ["14"] * 5, "after"),
    ]
    captured = count_captures(files, at(0), at(40), "14")
    counts = {one.start: one.predictions for one in captured.bins if one.predictions}
    assert counts == {**{at(n): 1 for n in range(5)}, at(30): 3}
    assert sum(one.of_subject for one in captured.bins) == 3
    assert captured.files == 2


@pytest.mark.parametrize(("seconds", "step"), [(1, 1), (47, 1), (48, 2), (3600, 120), (86_400, 3600), (40 * 86_400, 86_400)])  # fmt: skip
def test_a_bin_has_a_length_that_a_person_would_choose_and_begins_on_it(seconds, step):
    captured = count_captures([build_segment(0, seconds, ["2"] * 5)], at(0.4), at(seconds))
    assert captured.step_seconds == step
    assert len(captured.bins) <= MOST_BINS
    assert captured.bins[0].start.timestamp() % step == 0


def test_a_file_that_is_kept_in_pieces_counts_as_it_would_whole():
    rng = random.Random(3)
    labels = [str(rng.randrange(40)) for _ in range(1200)]
    whole = build_segment(0, 600, labels, rejected=12)
    pieces = split_segment(whole, 300)
    one = count_captures([whole], at(0), at(600), "14")
    many = count_captures(pieces, at(0), at(600), "14")
    assert many.files == 1
    for name in CaptureBin.__struct_fields__[1:]:
        counts = [[getattr(each, name) for each in captured.bins] for captured in (one, many)]
        assert sum(counts[0]) == sum(counts[1])
    assert max(abs(a.predictions - b.predictions) for a, b in zip(one.bins, many.bins, strict=True)) <= 2


@pytest.mark.parametrize("classes", [3, 300])
def test_no_prediction_is_lost_or_counted_twice(classes):
    rng = random.Random(classes)
    labels = [str(rng.randrange(classes)) for _ in range(5000)]
    files = [
        build_segment(13.37 * n, 13.37 * n + 20, labels[250 * n : 250 * n + 250], f"{n}") for n in range(20)
    ]
    captured = count_captures(files, at(-1), at(400), "2")
    assert sum(one.predictions for one in captured.bins) == 5000
    assert sum(one.of_subject for one in captured.bins) == labels.count("2")


def test_lines_that_could_not_be_read_are_counted_where_no_class_is_meant():
    segment = build_segment(0, 0, [], rejected=4)
    captured = count_captures([segment], at(0), at(10))
    assert [one.rejected for one in captured.bins if one.rejected] == [4]


def test_a_beginning_that_is_no_longer_kept_is_said_to_be():
    captured = build_dossier().captured
    lost = "What was captured before is no longer counted here."
    assert lost not in build_page(build_dossier()).decode()
    late = msgspec.structs.replace(captured, whole=False, last_at=captured.last_at + timedelta(days=2))
    page = build_page(build_dossier(captured=late)).decode()
    assert lost in page
    assert "Captures since 21 Nov 20:33:35:" in page


def test_nothing_captured_is_no_lane():
    assert count_captures([], at(0), at(10)) is None
    page = build_page(build_dossier(captured=None)).decode()
    assert 'class="captures"' not in page
    assert ">Captures<" not in page


@pytest.mark.parametrize("edge", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_time_at_the_edge_of_the_calendar_is_survived(edge):
    segment = build_segment(0, 1, ["2"], first_at=edge, last_at=edge)
    captured = count_captures([segment], min(edge, at(0)), max(edge, at(0)))
    assert sum(one.predictions for one in captured.bins) == 1
    build_page(build_dossier(captured=captured))


def test_the_page_says_how_much_was_captured_when():
    page = build_page(build_dossier()).decode()
    captured = build_dossier().captured
    total = sum(one.predictions for one in captured.bins)
    of_class = sum(one.of_subject for one in captured.bins)
    assert f"Captures since 20:33:35: {total:,} predictions" in page
    assert f"{of_class:,} of <bdi>class 14 (Stop)</bdi>" in page
    assert "in 17 files, the last at 20:36:45. A bar is 5\xa0s" in page
    assert page.count('class="captured"') == sum(one.predictions > 0 for one in captured.bins)
