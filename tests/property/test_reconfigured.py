"""Detectors are set otherwise while something is open, however captures are cut and settled: nothing is lost, nothing told twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.detect.checkpoint import Checkpoint
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.fixed_share import FixedShare, FixedShareConfig
from sagewatch.detect.rejected import Rejected, RejectedConfig
from sagewatch.detect.stream import StreamFold, Told
from tests.unit.detect.traffic import PLACE, STREAM, build_segment

# Small numbers and low bars make alarms and clearings common, and what one finds the others often do not.
SETTINGS = st.sampled_from(
    [
        [
            ClassConcentration(
                ClassConcentrationConfig(one_false_alarm_in=bar, learn_from=10, clear_after=clear)
            ),
            Confidence(ConfidenceConfig(one_false_alarm_in=bar, learn_from=10, clear_after=clear)),
            Rejected(RejectedConfig(one_false_alarm_in=bar, clear_after=clear)),
            FixedShare(FixedShareConfig(threshold=share, per=per)),
        ][:detectors]
        for bar, clear, share, per, detectors in [
            (20, 6, 0.5, 10, 4),
            (30, 12, 0.4, 6, 4),
            (400, 3, 0.7, 10, 4),
            (10**9, 6, 0.9, 10, 4),
            (20, 6, 0.5, 10, 2),
        ]
    ]
)


@st.composite
def draw_segments(draw):
    """Traffic that changes every few files: one class takes over, or two, or none; sure or unsure, with unreadable lines."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    segments = []
    for stretch in draw(st.lists(st.sampled_from(["abcd", "a", "b", "ab", "abcd"]), min_size=2, max_size=7)):
        for _ in range(rng.randint(1, 5)):
            labels = [
                rng.choice(stretch if rng.random() < 0.9 else "abcd") for _ in range(rng.randint(4, 12))
            ]
            levels = [rng.choice([0.9, 1.0]) if len(stretch) == 4 else rng.choice([0.0, 0.4]) for _ in labels]
            rejected = 0 if len(stretch) == 4 else rng.randint(0, 4)
            lines = tuple(range(90, 90 + rejected))
            segments.append(
                build_segment(len(segments), labels, levels, rejected=rejected, rejected_lines=lines)
            )
    return segments


@dataclass
class World:
    """Who hears of findings: each once, and by its id for ever settled when it is cleared, as incidents are."""

    open: dict[str, tuple[str, str]] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    unjudged: set[str] = field(default_factory=set)

    def hear(self, told: Told) -> None:
        raised = {one.finding_id for one in (*told.findings, *told.lasting) if one.cleared_at is None}
        assert not raised & self.unjudged
        for one in (*told.findings, *told.lasting):
            if one.cleared_at is not None:
                self.open.pop(one.finding_id, None)
                self.settled.add(one.finding_id)
            elif one.finding_id not in self.settled:
                self.open[one.finding_id] = (one.kind, one.subject)
            if one.no_longer_judged:
                self.unjudged.add(one.finding_id)


@settings(max_examples=150, deadline=None)
@given(draw_segments(), st.lists(SETTINGS, min_size=2, max_size=4), st.data())
def test_what_is_open_at_the_end_is_known_to_be_open_by_exactly_one_id(segments, all_settings, data):
    world, fold, at, settled = World(), None, 0, 0
    checkpoint: Checkpoint | None = None
    for detectors in all_settings:
        fold = None  # another version of monitors.yml is another process
        for _ in range(data.draw(st.integers(1, 4))):
            at = min(len(segments), at + data.draw(st.integers(0, 8)))
            settled = max(settled, at - data.draw(st.integers(0, 12)))
            if fold is None or data.draw(st.booleans()):
                fold = StreamFold(
                    detectors, checkpoint, stream=STREAM, place=PLACE, remembers=data.draw(st.booleans())
                )
            known = [one for one in segments[:at] if fold.since is None or one.first_at >= fold.since]
            boundary = segments[min(settled, len(segments) - 1)].first_at
            told = fold.take_in(known, settle_before=boundary)
            world.hear(told)
            fold.announce(told)
            # Through the wire, as the state table has it.
            checkpoint = msgspec.json.decode(msgspec.json.encode(fold.rest()), type=Checkpoint)
            now_open = {one.finding_id: (one.kind, one.subject) for one in told.open}
            assert now_open == world.open
            assert now_open.keys() == checkpoint.announced.keys()
            assert len(set(now_open.values())) == len(now_open)
