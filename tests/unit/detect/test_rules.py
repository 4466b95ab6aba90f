"""The rules without a mixture: the fixed share, unreadable lines, silence; and the bounds on a share."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest

from sagewatch.datapoints import Datapoints
from sagewatch.detect.binomial import compute_lower_share, compute_upper_share
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.detector import Cleared, Numbers, Raised
from sagewatch.detect.fixed_share import FixedShare, FixedShareConfig, judge_counts
from sagewatch.detect.no_data import Rhythm, judge_silence
from sagewatch.detect.rejected import Rejected, RejectedConfig
from tests.unit.detect.test_class_concentration import fold
from tests.unit.detect.traffic import START, build_segment, draw_clean, draw_confidences

HOUR = timedelta(hours=1)
# The notebook's own output.
NOTEBOOK = {
    9: 2,
    19: 1,
    25: 1,
    14: 322,
    13: 5,
    5: 1,
    8: 10,
    18: 1,
    31: 4,
    26: 8,
    33: 4,
    36: 4,
    29: 20,
    12: 8,
    22: 4,
    6: 4,
}


def test_the_notebooks_batch_is_judged_as_the_notebook_did():
    verdict = judge_counts({str(label): count for label, count in NOTEBOOK.items()}, 0.5)
    assert verdict is not None
    assert (verdict.label, verdict.exceeds) == ("14", True)
    assert verdict.share > 0.8


@pytest.mark.parametrize(
    ("counts", "exceeds"), [({"1": 5, "2": 5}, False), ({"1": 6, "2": 5}, True), ({"1": 1}, True)]
)
def test_a_share_must_exceed_the_threshold_not_reach_it(counts, exceeds):
    verdict = judge_counts(counts, 0.5)
    assert verdict is not None
    assert verdict.exceeds is exceeds


def test_an_empty_batch_has_no_verdict():
    assert judge_counts({}, 0.5) is None


def test_an_hour_is_judged_when_it_is_over_and_not_before():
    detector = FixedShare(FixedShareConfig(per=HOUR))
    state, changes = fold(detector, [build_segment(number, ["14"] * 50) for number in range(100)])
    assert changes == []
    assert detector.close(state, START + timedelta(minutes=59))[1] == ()
    _, by_clock = detector.close(state, START + HOUR)
    _, by_file = detector.fold(state, build_segment(400, ["1", "2"]))
    assert [change.episode for change in by_clock] == [change.episode for change in by_file]
    assert by_file[0].episode.window.predictions == 5000


def test_a_batch_of_so_many_predictions_is_judged_when_it_is_full():
    detector = FixedShare(FixedShareConfig(per=100))
    state, changes = fold(detector, [build_segment(0, ["14"] * 99)])
    assert changes == []
    _, changes = fold(detector, [build_segment(1, ["14", "1", "2"] + ["3", "4"] * 60)], state)
    assert [type(change) for change in changes] == [Raised, Cleared]
    assert changes[0].episode.counts == {"14": 100}


def test_another_class_above_the_threshold_is_another_episode():
    detector = FixedShare(FixedShareConfig(per=10))
    _, changes = fold(detector, [build_segment(0, ["1"] * 10 + ["2"] * 20)])
    assert [(type(change), change.episode.subject) for change in changes] == [
        (Raised, "1"),
        (Cleared, "1"),
        (Raised, "2"),
    ]


def build_rejected(number, good, bad):
    named = tuple(range(good + 1, good + 1 + min(10, bad)))
    return build_segment(number, ["1"] * good, rejected=bad, rejected_lines=named)


def judge_batches(config, *shares):
    """What the rule says after each batch of a hundred in which class 14 has these shares."""
    detector = FixedShare(config)
    state, told = detector.start(), []
    for number, share in enumerate(shares):
        counts = round(share * 100)
        labels = ["14"] * counts + [str(n % 40) + "x" for n in range(100 - counts)]
        segment = build_segment(number, labels)
        state, changes = detector.fold(state, segment)
        told.append("".join("R" if isinstance(one, Raised) else "C" for one in changes))
    return told


TWO_OF_THREE = Datapoints(bad=2, of=3, good=2)


@pytest.mark.parametrize(
    ("patience", "shares", "told"),
    [
        (Datapoints(), [0.6, 0.4, 0.6], ["R", "C", "R"]),
        (TWO_OF_THREE, [0.6, 0.1, 0.1, 0.6], ["", "", "", ""]),
        (TWO_OF_THREE, [0.6, 0.1, 0.6], ["", "", "R"]),
        (TWO_OF_THREE, [0.6, 0.6, 0.1, 0.6, 0.1, 0.1], ["", "R", "", "", "", "C"]),
        # What cleared must be bad as often as the first time.
        (TWO_OF_THREE, [0.6, 0.6, 0.1, 0.1, 0.6, 0.6], ["", "R", "", "C", "", "R"]),
    ],
)
def test_so_many_batches_of_so_many_open_it_and_so_many_in_a_row_end_it(patience, shares, told):
    assert judge_batches(FixedShareConfig(per=100, patience=patience), *shares) == told


def test_just_under_the_threshold_is_not_over_where_hysteresis_is_asked_for():
    config = FixedShareConfig(per=100, threshold=0.5, clear_below=0.3)
    assert judge_batches(config, 0.6, 0.45, 0.31, 0.29) == ["R", "", "", "C"]


def test_an_endpoint_whose_answers_never_could_be_read_is_found_at_once():
    _, changes = fold(Rejected(RejectedConfig()), [build_rejected(0, 0, 20)])
    assert [type(change) for change in changes] == [Raised]
    assert changes[0].episode.evidence.observed == 1.0
    assert [sample.line for sample in changes[0].episode.samples] == list(range(1, 11))


def test_a_bad_line_now_and_then_is_no_finding():
    segments = [build_rejected(number, 100, number % 3 == 0) for number in range(300)]
    assert fold(Rejected(RejectedConfig()), segments)[1] == []


def test_unreadable_lines_clear_when_files_can_be_read_again():
    detector = Rejected(RejectedConfig())
    segments = [build_rejected(number, 50, 0) for number in range(30)]
    segments += [build_rejected(30 + number, 25, 25) for number in range(4)]
    segments += [build_rejected(40 + number, 20, 0) for number in range(4)]
    _, changes = fold(detector, segments)
    assert [type(change) for change in changes] == [Raised, Cleared]
    assert changes[1].episode.window.rejected == 100
    assert changes[1].at == segments[36].last_at


@pytest.mark.parametrize("seed", range(3))
def test_fallen_confidence_is_found_soon_and_clears(seed):
    rng = random.Random(seed)

    def files(count, mean, first):
        return [
            build_segment(first + number, draw_clean(rng, 50), draw_confidences(rng, 50, mean))
            for number in range(count)
        ]

    detector = Confidence(ConfidenceConfig())
    state, before = fold(detector, files(60, 0.9, 0))
    assert before == []
    state, during = fold(detector, files(6, 0.7, 60), state)
    assert [type(change) for change in during] == [Raised]
    assert during[0].episode.window.predictions <= 50
    assert during[0].episode.evidence.effect_size < -0.05
    assert detector.list_open(state)[0].evidence.effect_size == pytest.approx(-0.2, abs=0.05)
    assert during[0].episode.samples
    _, after = fold(detector, files(10, 0.9, 66), state)
    assert [type(change) for change in after] == [Cleared]


def test_silence_is_judged_by_the_streams_own_rhythm():
    rhythm = Rhythm()
    for day in range(3):
        for minute in range(0, 600, 5):
            at = START + timedelta(days=day, minutes=minute)
            rhythm = rhythm.observe(at, at + timedelta(seconds=30))
    night = rhythm.last_at + timedelta(hours=14)
    assert judge_silence(rhythm, night) is None
    assert judge_silence(rhythm, rhythm.last_at + timedelta(hours=29)) is not None
    overdue = judge_silence(rhythm, night, timedelta(minutes=20))
    assert overdue is not None
    assert (overdue.seconds, overdue.allowed_seconds) == (14 * 3600, 1200)


def watch_days(days, rhythm=None, outage_on=(), hours=10):
    """A file each five minutes of every day; on the given days nothing comes for so many hours."""
    rhythm = rhythm or Rhythm()
    for day in range(*days):
        for minute in range(0, 1440, 5):
            if day in outage_on and 60 <= minute < 60 + 60 * hours:
                continue
            at = START.replace(hour=0, minute=0) + timedelta(days=day, minutes=minute)
            rhythm = rhythm.observe(at, at + timedelta(seconds=30))
    return rhythm


def test_an_outage_excuses_no_other():
    rhythm = watch_days((0, 6), outage_on=[4])
    assert rhythm.find_allowed() == timedelta(minutes=15)
    assert judge_silence(rhythm, rhythm.last_at + timedelta(hours=1)) is not None


def test_what_comes_again_is_rhythm_and_is_forgotten_when_it_comes_no_more():
    rhythm = watch_days((0, 6), outage_on=[4, 5])
    assert timedelta(hours=20) <= rhythm.find_allowed() <= timedelta(hours=20, minutes=10)
    assert watch_days((6, 24), rhythm).find_allowed() == timedelta(minutes=15)


def test_of_two_outages_the_shorter_is_what_came_twice():
    rhythm = watch_days((5, 6), watch_days((0, 5), outage_on=[3]), outage_on=[5], hours=3)
    assert timedelta(hours=6) <= rhythm.find_allowed() <= timedelta(hours=6, minutes=10)


def test_a_stream_that_rests_at_weekends_is_told_of_twice_and_then_known():
    rhythm, told = Rhythm(), []
    for day in range(35):
        if day % 7 in {5, 6}:
            continue
        for minute in range(0, 1440, 5):
            at = START.replace(hour=0, minute=0) + timedelta(days=day, minutes=minute)
            if judge_silence(rhythm, at) is not None:
                told.append(day)
            rhythm = rhythm.observe(at, at + timedelta(seconds=30))
    assert told == [7, 14]


def test_a_rhythm_that_an_older_version_kept_is_read():
    old = b'{"first_at":"2026-11-21T00:00:00Z","last_at":"2026-11-21T20:00:00Z","longest":{"2026-11-21":300.0},"files":9,"total_seconds":900.0}'
    assert msgspec.json.decode(old, type=Rhythm).outages == {}


def test_a_stream_that_never_began_is_not_silent():
    assert judge_silence(Rhythm(), START) is None


def test_numbers_start_again_each_day_and_forget_old_days():
    numbers, first = Numbers().take("14", START)
    numbers, second = numbers.take("14", START)
    numbers, other = numbers.take("3", START)
    numbers, next_day = numbers.take("14", START + timedelta(days=1))
    assert (first, second, other, next_day) == (1, 2, 1, 1)
    assert set(numbers.latest) == {"14"}


@pytest.mark.parametrize("trials", [1, 10, 1000, 30_000, 1_000_000])
@pytest.mark.parametrize("miss", [0.9, 0.2, 0.05, 1e-6, 1e-9])
def test_bounds_on_a_share_are_clopper_and_pearsons(trials, miss):
    special = pytest.importorskip("scipy.special")
    for successes in {0, 1, trials // 50, trials // 2, trials - 1, trials}:
        upper = 1.0 if successes == trials else special.betainccinv(successes + 1, trials - successes, miss)
        lower = 0.0 if not successes else special.betaincinv(successes, trials - successes + 1, miss)
        assert compute_upper_share(successes, trials, miss) == pytest.approx(upper, rel=1e-9)
        assert compute_lower_share(successes, trials, miss) == pytest.approx(lower, rel=1e-9, abs=1e-14)
