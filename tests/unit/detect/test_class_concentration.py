"""One class takes over: how soon it is named, and what never raises anything."""

from __future__ import annotations

import random

import pytest

from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.class_concentration import OTHER, ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.detector import Cleared, Raised
from sagewatch.finding import Severity
from tests.unit.detect.traffic import SHARES, build_segment, cut, draw_attacked, draw_clean

COUNTS = ClassCounts({str(label): round(share * 10_000) for label, share in enumerate(SHARES)})


def fold(detector, segments, state=None):
    state = detector.start() if state is None else state
    changes = []
    for segment in segments:
        state, more = detector.fold(state, segment)
        changes += more
    return state, changes


@pytest.mark.parametrize("seed", range(5))
def test_clean_traffic_raises_nothing(seed):
    rng = random.Random(seed)
    _, changes = fold(ClassConcentration(ClassConcentrationConfig()), cut(draw_clean(rng, 20_000), 100))
    assert changes == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("config", [{}, {"baseline": COUNTS}], ids=["learned", "given"])
def test_half_of_the_traffic_on_one_class_is_named_within_40_predictions(seed, config):
    rng = random.Random(seed)
    detector = ClassConcentration(ClassConcentrationConfig(**config))
    state, before = fold(detector, cut(draw_clean(rng, 1500), 50))
    _, changes = fold(detector, cut(draw_attacked(rng, 40, 0.5), 1, 30), state)
    assert before == []
    episode = changes[0].episode
    assert isinstance(changes[0], Raised)
    assert episode.subject == "14"
    assert episode.severity is Severity.CRITICAL
    assert episode.window.predictions <= 40
    assert episode.evidence.expected == pytest.approx(0.0213, abs=0.015)


def test_an_attack_continues_as_one_episode_and_clears_after_clean_predictions():
    rng = random.Random(7)
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
    state, _ = fold(detector, cut(draw_clean(rng, 500), 50))
    state, during = fold(detector, cut(draw_attacked(rng, 1000, 0.6), 50, 10), state)
    assert [type(change) for change in during] == [Raised]
    state, still = fold(detector, cut(draw_clean(rng, 40), 1, 30), state)
    assert still == []
    _, after = fold(detector, cut(draw_clean(rng, 400), 1, 100), state)
    assert [type(change) for change in after] == [Cleared]
    cleared = after[0].episode
    assert cleared.evidence.observed == pytest.approx(0.6, abs=0.1)
    assert cleared.evidence.log10_excess > during[0].episode.evidence.log10_excess
    assert cleared.window.predictions > 1000
    assert len(cleared.samples) == 40


def test_clear_after_says_how_many_clean_predictions_end_an_episode():
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS, clear_after=5))
    state, _ = fold(detector, [build_segment(0, ["14"] * 30)])
    assert [each.subject for each in detector.list_open(state)] == ["14"]
    _, changes = fold(detector, [build_segment(1, ["1", "2", "3", "4"]), build_segment(2, ["5"])], state)
    assert [type(change) for change in changes] == [Cleared]


def test_a_second_attack_on_the_same_day_is_a_second_episode():
    rng = random.Random(7)
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
    _, changes = fold(
        detector,
        [
            *cut(draw_attacked(rng, 100, 0.8), 50),
            *cut(draw_clean(rng, 1000), 50, 10),
            *cut(draw_attacked(rng, 100, 0.8), 50, 60),
        ],
    )
    assert [(type(change), change.episode.number) for change in changes] == [
        (Raised, 1),
        (Cleared, 1),
        (Raised, 2),
    ]


def test_two_classes_under_attack_are_two_episodes():
    rng = random.Random(7)
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
    mixed = [rng.choice("24") if rng.random() < 0.8 else clean for clean in draw_clean(rng, 600)]
    _, changes = fold(detector, cut([{"2": "20", "4": "40"}.get(label, label) for label in mixed], 50))
    assert {change.episode.subject for change in changes if isinstance(change, Raised)} == {"20", "40"}


def test_the_samples_are_lines_that_predicted_the_class_since_the_onset():
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
    clean = build_segment(0, draw_clean(random.Random(1), 200))
    attacked = build_segment(
        1, ["1", "14", "2", "14", "14", "14", "14", "14", "14"], lines=(2, 4, 5, 6, 8, 8, 9, 10, 11)
    )
    _, changes = fold(detector, [clean, attacked])
    lines = [sample.line for sample in changes[0].episode.samples if sample.key == attacked.key]
    # The request of line 8 held two rows: it is named once.
    assert lines == [4, 6, 8, 9, 10][: len(lines)]
    assert len(lines) >= 4
    assert changes[0].episode.counts["14"] >= 5
    assert changes[0].episode.expected_shares["14"] == pytest.approx(0.0213, abs=0.001)


def test_frames_of_a_video_raise_nothing_though_classes_come_in_runs():
    rng = random.Random(11)
    labels = []
    for label in draw_clean(rng, 6000):
        labels += [label] * rng.choice([1, 1, 2, 5])
    _, changes = fold(ClassConcentration(ClassConcentrationConfig()), cut(labels, 100))
    assert changes == []


def test_a_class_never_seen_before_takes_over():
    rng = random.Random(2)
    detector = ClassConcentration(ClassConcentrationConfig())
    state, _ = fold(detector, cut(draw_clean(rng, 1200), 50))
    _, changes = fold(detector, cut(draw_attacked(rng, 40, 0.5, "speed camera"), 10, 40), state)
    assert changes[0].episode.subject == "speed camera"
    assert changes[0].episode.evidence.expected == 0


def test_a_flood_of_new_classes_is_one_finding_of_others():
    rng = random.Random(2)
    detector = ClassConcentration(ClassConcentrationConfig())
    state, _ = fold(detector, cut(draw_clean(rng, 1200), 50))
    flood = [build_segment(40 + number, [f"new {number}"]) for number in range(60)]
    _, changes = fold(detector, flood, state)
    assert {change.episode.subject for change in changes} == {OTHER}


def test_the_baseline_grows_from_clean_traffic_and_not_from_an_attack():
    rng = random.Random(4)
    detector = ClassConcentration(ClassConcentrationConfig())
    state, _ = fold(detector, cut(draw_clean(rng, 4500), 100))
    assert state.learned.total == 3000  # all but the two blocks that wait
    attacked, _ = fold(detector, cut(draw_attacked(rng, 3000, 0.3), 100, 60), state)
    assert attacked.learned.total == 3000


def test_with_classes_known_beforehand_one_that_was_never_seen_has_its_row_at_once():
    detector = ClassConcentration(
        ClassConcentrationConfig(baseline=ClassCounts({"1": 500, "2": 500}), classes=("1", "2", "3"))
    )
    assert detector.start().labels == (OTHER, "1", "2", "3")


def test_the_trace_reaches_the_alarm_and_starts_again():
    rng = random.Random(7)
    detector = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
    state, _ = fold(detector, [*cut(draw_clean(rng, 500), 50), *cut(draw_attacked(rng, 100, 0.6), 50, 10)])
    points = detector.list_trace(state)
    assert max(point.log10_excess for point in points[:10]) < 0
    assert max(point.log10_excess for point in points) >= 0
    assert points[-1].predictions == 600
