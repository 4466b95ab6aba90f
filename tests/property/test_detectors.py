"""What no traffic whatever can break."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.capture import split_segment
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.mixture import SIZES, Mixture, MixtureState, build_gain
from sagewatch.detect.rejected import Rejected, RejectedConfig
from sagewatch.detect.stream import fold_stream
from sagewatch.monitors.detectors import MOST_BETWEEN_FALSE_ALARMS
from tests.unit.detect.traffic import PLACE, STREAM, build_segment

BARS = st.sampled_from([1, 2, 3, 5, 7, 9, 10, 11, 12, 20, 1000, MOST_BETWEEN_FALSE_ALARMS])
PROBABILITIES = st.lists(st.floats(1e-4, 0.9), min_size=1, max_size=6)
# Small numbers and a low bar make alarms, clearings, new classes and growth common.
DETECTORS = st.sampled_from(
    [
        ClassConcentration(ClassConcentrationConfig(one_false_alarm_in=20, learn_from=10, clear_after=6)),
        Confidence(ConfidenceConfig(one_false_alarm_in=20, learn_from=10, clear_after=6)),
        Rejected(RejectedConfig(one_false_alarm_in=20, clear_after=6)),
    ]
)


@st.composite
def draw_segments(draw):
    files = draw(st.lists(st.lists(st.sampled_from("abcd"), max_size=12), min_size=1, max_size=14))
    segments = []
    for number, labels in enumerate(files):
        levels = [draw(st.sampled_from([None, 0.0, 0.4, 0.9, 1.0])) for _ in labels]
        rejected = draw(st.integers(0, 4))
        segments.append(
            build_segment(
                number, labels, levels, rejected=rejected, rejected_lines=tuple(range(90, 90 + rejected))
            )
        )
    return segments


def fold(detector, segments):
    state = detector.start()
    changes = []
    for segment in segments:
        state, more = detector.fold(state, segment)
        changes += more
    return state, changes


@given(PROBABILITIES, st.lists(st.integers(0, 5), max_size=60), st.data())
def test_the_lazy_mixture_is_the_plain_recursion(probabilities, predicted, data):
    predicted = [row % len(probabilities) for row in predicted]
    gains = [build_gain(share) for share in probabilities]
    mixture = Mixture(MixtureState(), gains, gains, 1e12)
    plain = [[0.0] * len(SIZES) for _ in probabilities]
    at = 0
    while at < len(predicted):
        stop = data.draw(st.integers(at + 1, len(predicted)))
        stopped, due = mixture.advance(predicted, at, stop, -1)
        for x in predicted[at:stopped]:
            for row, values in enumerate(plain):
                for size, eps in enumerate(SIZES):
                    factor = (1 - eps) + eps * (x == row) / probabilities[row]
                    values[size] = (values[size] + 1) * factor
        mean = sum(map(sum, plain)) / (len(SIZES) * len(plain))
        assert abs(mixture.compute_mean() - mean) <= 1e-9 * max(1.0, mean)
        assert due == (mean >= 1e12) or abs(mean - 1e12) < 1e4
        at = stopped
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(mixture.rest()), type=MixtureState)
        mixture = Mixture(stored, gains, gains, 1e12)
        if due:
            break


@settings(max_examples=60, deadline=None)
@given(DETECTORS, draw_segments(), st.integers(1, 5))
def test_pieces_give_what_wholes_give(detector, segments, size):
    pieces = [piece for segment in segments for piece in split_segment(segment, size)]
    assert fold(detector, pieces) == fold(detector, segments)


@settings(max_examples=60, deadline=None)
@given(DETECTORS, draw_segments(), st.randoms(use_true_random=False), st.integers(0, 14))
def test_order_of_arrival_and_repetition_change_nothing(detector, segments, rng, settled):
    boundary = segments[min(settled, len(segments) - 1)].first_at
    first = fold_stream([detector], None, segments, stream=STREAM, place=PLACE, settle_before=boundary)
    shuffled = segments * 2
    rng.shuffle(shuffled)
    again = fold_stream([detector], None, shuffled, stream=STREAM, place=PLACE, settle_before=boundary)
    assert again == first
    since = [
        each for each in segments if first.checkpoint.since is None or each.first_at >= first.checkpoint.since
    ]
    rest = fold_stream([detector], first.checkpoint, since, stream=STREAM, place=PLACE)
    assert rest.open == first.open
    assert list(rest.findings) == list(first.findings)[len(first.findings) - len(rest.findings) :]


@settings(max_examples=60, deadline=None)
@given(DETECTORS, draw_segments())
def test_every_episode_is_raised_before_it_is_cleared_and_cleared_once(detector, segments):
    folded = fold_stream([detector], None, segments, stream=STREAM, place=PLACE)
    open_now = set()
    ever = set()
    for finding in folded.findings:
        if finding.cleared_at is None:
            assert finding.finding_id not in ever - open_now
            open_now.add(finding.finding_id)
            ever.add(finding.finding_id)
        else:
            open_now.remove(finding.finding_id)
    assert open_now == {finding.finding_id for finding in folded.open}


@st.composite
def draw_many_classes(draw):
    """Traffic of few classes or many, of which some come for the first time when the baseline is learned already."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    usual = [f"c{number}" for number in range(draw(st.sampled_from([2, 4, 10, 40])))]
    segments = []
    for number in range(draw(st.integers(1, 16))):
        count = rng.randint(0, 30)
        pool = usual if number < 8 else [*usual[:2], f"new{rng.randint(0, 20)}"]
        levels = [rng.choice([None, 0.0, 0.5, 0.9, 1.0]) for _ in range(count)]
        labels = [rng.choice(pool) for _ in range(count)]
        segments.append(build_segment(number, labels, levels, rejected=rng.randint(0, 9)))
    return segments


@settings(max_examples=150, deadline=None)
@given(BARS, st.integers(1, 60), draw_many_classes())
def test_whatever_false_alarms_are_accepted_an_episode_is_about_a_class_that_was_predicted(
    bar, learn, segments
):
    _, changes = fold(
        ClassConcentration(ClassConcentrationConfig(one_false_alarm_in=bar, learn_from=learn)), segments
    )
    for change in changes:
        assert change.episode.evidence.observed > 0
        assert change.episode.samples


@settings(max_examples=60, deadline=None)
@given(BARS, st.integers(1, 60), draw_many_classes())
def test_whatever_false_alarms_are_accepted_confidence_and_unreadable_lines_are_judged(bar, learn, segments):
    for detector in (
        Confidence(ConfidenceConfig(one_false_alarm_in=bar, learn_from=learn)),
        Rejected(RejectedConfig(one_false_alarm_in=bar)),
    ):
        _, changes = fold(detector, segments)
        assert all(change.episode.evidence.threshold == bar for change in changes)
