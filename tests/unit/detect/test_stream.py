"""All detectors of a stream: files late, twice and in any order."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest

from sagewatch.detect.checkpoint import Checkpoint, DetectorRecord
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.fixed_share import FixedShare, FixedShareConfig
from sagewatch.detect.no_data import NoData, NoDataConfig
from sagewatch.detect.rejected import Rejected, RejectedConfig
from sagewatch.detect.stream import fold_stream
from tests.unit.detect.test_class_concentration import COUNTS
from tests.unit.detect.traffic import (
    PLACE,
    START,
    STREAM,
    build_segment,
    build_story,
    cut,
    draw_attacked,
    draw_clean,
)

ALL = [
    ClassConcentration(ClassConcentrationConfig()),
    Confidence(ConfidenceConfig()),
    Rejected(RejectedConfig()),
    FixedShare(FixedShareConfig(per=timedelta(minutes=1))),
    NoData(NoDataConfig()),
]
GIVEN = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))
STORY = build_story(seed=5)
LATENESS = timedelta(minutes=1)


def fold(segments, checkpoint=None, detectors=None, **options):
    return fold_stream(detectors or ALL, checkpoint, segments, stream=STREAM, place=PLACE, **options)


def arrive(order, detectors=None, kept=timedelta(days=1)):
    """Fold after each arrival, as ingestion does; every finding published, each once."""
    checkpoint, known, told = None, [], {}
    for segment in order:
        known.append(segment)
        since = checkpoint.since if checkpoint else None
        recent = [each for each in known if since is None or each.first_at >= since]
        newest = max(each.first_at for each in known)
        folded = fold(recent, checkpoint, detectors, settle_before=newest - kept)
        # Through the wire, as the state table has it.
        checkpoint = msgspec.json.decode(msgspec.json.encode(folded.checkpoint), type=Checkpoint)
        for finding in folded.findings:
            told.setdefault((finding.finding_id, finding.cleared_at is not None), finding)
    return checkpoint, told


def test_arrival_one_by_one_finds_what_a_single_fold_finds():
    at_once = fold(STORY)
    _, told = arrive(STORY, kept=LATENESS)
    assert told == {(each.finding_id, each.cleared_at is not None): each for each in at_once.findings}
    assert {each.kind for each in at_once.findings} == {
        "class-concentration",
        "confidence",
        "rejected",
        "fixed-share",
    }


def test_folding_twice_from_the_same_checkpoint_gives_the_same():
    checkpoint = fold(STORY[:40], settle_before=START + timedelta(minutes=5)).checkpoint
    recent = [each for each in STORY[:58] if each.first_at >= checkpoint.since]
    assert fold(recent, checkpoint) == fold(random.Random(3).sample(recent, len(recent)) + recent, checkpoint)


@pytest.mark.parametrize("seed", range(4))
def test_files_shuffled_and_doubled_end_in_the_same_findings(seed):
    segments = [
        *cut(draw_clean(random.Random(1), 480), 60),
        *cut(draw_attacked(random.Random(2), 300, 0.7), 60, 8),
        *cut(draw_clean(random.Random(3), 480), 60, 13),
    ]
    order = [*segments, *segments]
    random.Random(seed).shuffle(order)
    _, told = arrive(order, [GIVEN])
    final = fold(segments, detectors=[GIVEN])
    assert told.keys() == {(each.finding_id, each.cleared_at is not None) for each in final.findings}
    assert len(final.findings) == 2


def test_a_late_file_that_shifts_the_onset_leaves_the_id_as_it_was():
    clean = cut(draw_clean(random.Random(1), 600), 30)
    attacked = cut(draw_attacked(random.Random(2), 300, 0.7), 30, 20)
    without = fold([*clean, *attacked[1:]], detectors=[GIVEN]).findings[0]
    with_it = fold([*clean, *attacked], detectors=[GIVEN]).findings[0]
    assert with_it.window.start < without.window.start
    assert with_it.finding_id == without.finding_id


def test_a_file_from_before_the_checkpoint_is_reported_late_and_not_folded():
    checkpoint = fold(STORY[:40], settle_before=START + timedelta(minutes=5)).checkpoint
    folded = fold([STORY[3], *STORY[29:58]], checkpoint)
    assert folded.late == (STORY[3],)
    assert folded.findings == fold(STORY[29:58], checkpoint).findings


def test_the_segment_at_the_watermark_is_known_and_not_late():
    checkpoint = fold(STORY[:40], settle_before=START + timedelta(minutes=5)).checkpoint
    at_watermark = [each for each in STORY if each.position == checkpoint.watermark]
    assert fold(at_watermark, checkpoint).late == ()


def test_what_was_announced_and_is_no_longer_found_is_cleared():
    attacked = cut(draw_attacked(random.Random(2), 30, 0.7), 30, 90)
    early = fold(attacked, detectors=[ClassConcentration(ClassConcentrationConfig(baseline=COUNTS))])
    finding = early.findings[0]
    # A new configuration would never have raised it.
    lenient = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS, one_false_alarm_in=10**15))
    later = fold(attacked, early.checkpoint, [lenient])
    assert [(each.finding_id, each.cleared_at) for each in later.findings] == [
        (finding.finding_id, attacked[-1].last_at)
    ]
    assert later.findings[0].no_longer_judged
    assert fold(attacked, later.checkpoint, [lenient]).findings == ()


def test_what_a_late_file_explains_away_is_cleared_by_evidence():
    silence = [NoData(NoDataConfig(after=timedelta(hours=1)))]
    last = STORY[9].last_at
    raised = fold(STORY[:10], None, silence, now=last + timedelta(hours=2))
    resumed = msgspec.structs.replace(STORY[60], first_at=last, last_at=last + timedelta(hours=2))
    (cleared,) = fold(
        [*STORY[:10], resumed], raised.checkpoint, silence, now=last + timedelta(hours=2)
    ).findings
    assert (cleared.cleared_at is not None, cleared.no_longer_judged) == (True, False)


@pytest.mark.parametrize(
    "meanwhile", [[GIVEN], [NoData(NoDataConfig(after=timedelta(hours=6)))]], ids=["gone", "patient"]
)
def test_what_is_judged_again_after_a_change_is_another_finding(meanwhile):
    """Cleared as no longer judged, it is settled: told by its old name it would be told to nobody."""
    silence = [NoData(NoDataConfig(after=timedelta(hours=1)))]
    now = STORY[9].last_at + timedelta(hours=2)
    first = fold(STORY[:10], None, silence, now=now)
    names = {first.findings[-1].finding_id}
    checkpoint = first.checkpoint
    for _ in range(2):
        (gone,) = fold(STORY[:10], checkpoint, meanwhile, now=now).findings
        assert (gone.finding_id in names, gone.no_longer_judged) == (True, True)
        changed = fold(STORY[:10], checkpoint, meanwhile, now=now)
        again = fold(STORY[:10], changed.checkpoint, silence, now=now)
        (finding,) = again.findings
        assert finding.finding_id not in names
        same = fold(STORY[:10], again.checkpoint, silence, now=now)
        assert [one.finding_id for one in same.findings] == [finding.finding_id]
        names.add(finding.finding_id)
        checkpoint = again.checkpoint


def test_an_open_episode_that_a_changed_detector_takes_over_keeps_its_name():
    story = STORY[:58]
    early = fold(story, detectors=[GIVEN], settle_before=START + timedelta(days=1))
    (finding,) = early.open
    again = [ClassConcentration(ClassConcentrationConfig(baseline=COUNTS, one_false_alarm_in=2000))]
    after = fold(story, early.checkpoint, again)
    assert [one.finding_id for one in after.open] == [finding.finding_id]
    assert not [one for one in after.findings if one.cleared_at]


@pytest.mark.parametrize("second", ["14", "30"])
def test_an_episode_that_is_not_settled_when_its_detector_is_set_anew_is_told_by_another_id(second):
    """By the id that was cleared as no longer judged it would be taken for settled, and told to nobody."""
    rng = random.Random(1)
    first, clean = draw_attacked(rng, 600, 0.5), draw_clean(rng, 300)
    both = [label if rng.random() < 0.5 else "14" for label in draw_attacked(rng, 1000, 0.7, "30")]
    rest = both if second == "30" else [*clean, *draw_attacked(rng, 700, 0.5)]
    segments = cut([*draw_clean(rng, 1000), *first, *rest], 20)
    settle = segments[79].first_at  # within the first episode
    counts = range(81, len(segments) + 1)
    # Until the second episode is raised: one is open for good, and another one is not.
    befores = (fold(segments[:count], None, [GIVEN], settle_before=settle) for count in counts)
    before = next(one for one in befores if sum(each.cleared_at is None for each in one.findings) > 1)
    (goes_on,), lost = before.checkpoint.open.values(), before.findings[-1]
    assert (goes_on.subject, lost.subject) == ("14", second)
    assert goes_on.finding_id != lost.finding_id
    changed = ClassConcentration(ClassConcentrationConfig(baseline=COUNTS, one_false_alarm_in=10**15))
    checkpoint, raised, unjudged = before.checkpoint, {}, set()
    for count in counts:
        recent = [one for one in segments[:count] if one.first_at >= checkpoint.since]
        folded = fold(recent, checkpoint, [changed], settle_before=settle)
        checkpoint = msgspec.json.decode(msgspec.json.encode(folded.checkpoint), type=Checkpoint)
        raised |= {one.finding_id: one.subject for one in folded.findings if one.cleared_at is None}
        unjudged |= {one.finding_id for one in folded.findings if one.no_longer_judged}
    assert unjudged == {lost.finding_id}
    assert not unjudged & raised.keys()
    assert second in raised.values()
    # What was open for good goes on by its own id, where it was not over.
    assert (goes_on.finding_id in {one.finding_id for one in folded.open}) == (second == "30")


def test_a_checkpoint_of_before_episodes_kept_their_change_reads_and_changes_no_id():
    early = fold(STORY[:58], detectors=[GIVEN], settle_before=START + timedelta(days=1))
    rows = msgspec.to_builtins(early.checkpoint, builtin_types=(bytes,))
    for row in rows["detectors"].values():
        del row["begun"], row["older"]
    old = msgspec.convert(rows, Checkpoint, strict=False)
    assert old == early.checkpoint
    assert fold(STORY[58:], old, [GIVEN]).findings == fold(STORY[58:], early.checkpoint, [GIVEN]).findings


def test_an_open_finding_is_listed_with_all_evidence_so_far():
    folded = fold(STORY[:58], detectors=[GIVEN])
    assert [each.finding_id for each in folded.open] == [folded.findings[0].finding_id]
    assert folded.open[0].window.predictions > folded.findings[0].window.predictions
    assert len(folded.open[0].samples) == 40
    assert folded.traces["class-concentration"]


def test_a_changed_configuration_restarts_only_its_detector():
    settle = START + timedelta(days=1)
    checkpoint = fold(STORY[:40], settle_before=settle).checkpoint
    changed = [ClassConcentration(ClassConcentrationConfig(one_false_alarm_in=500)), *ALL[1:]]
    after = fold([], checkpoint, changed, settle_before=settle).checkpoint
    same = {name for name in checkpoint.detectors if after.detectors[name] == checkpoint.detectors[name]}
    assert same == {"confidence", "rejected", "fixed-share", "no-data"}
    # The learned baseline is still there: learning anew would have taken in the attack.
    raised = fold(STORY[40:58], checkpoint, changed).findings
    assert "class-concentration" in {each.kind for each in raised}


def test_a_state_that_cannot_be_read_any_more_starts_anew():
    record = DetectorRecord("0", "?", b"oops")
    folded = fold(STORY[:3], Checkpoint(detectors={"class-concentration": record}))
    assert folded.findings == ()


def test_a_staged_detector_says_so_in_its_findings():
    staged = FixedShare(FixedShareConfig(per=50, staged=True))
    findings = fold(STORY, detectors=[staged]).findings
    assert findings
    assert all(finding.staged for finding in findings)


def test_silence_is_raised_by_the_clock_and_cleared_by_the_next_file():
    now = STORY[9].last_at + timedelta(hours=2)
    silent = fold(STORY[:10], now=now)
    finding = silent.findings[-1]
    assert (finding.kind, finding.cleared_at) == ("no-data", None)
    assert finding.evidence.observed == 7200
    again = fold(STORY[:10], silent.checkpoint, now=now + timedelta(minutes=1))
    assert again.findings[-1].finding_id == finding.finding_id
    after = fold(STORY[:11], again.checkpoint, now=now + timedelta(minutes=2))
    # The capture of the old time came late: the silence is now shorter, and another one.
    assert [each.cleared_at is None for each in after.findings] == [True, False]
    resumed = msgspec.structs.replace(STORY[60], first_at=now, last_at=now)
    over = fold([*STORY[:10], resumed], silent.checkpoint, now=now + timedelta(minutes=1))
    assert [(each.finding_id, each.cleared_at) for each in over.findings] == [(finding.finding_id, now)]


def test_a_file_of_a_clock_that_is_years_ahead_excuses_no_silence():
    segments = [build_segment(number, ["stop"], every=timedelta(minutes=5)) for number in range(24)]
    wrong = build_segment(24, ["stop"], every=timedelta(days=30), key="capture/wrong.jsonl")
    counted = [
        msgspec.structs.replace(one, counted_at=one.last_at + timedelta(minutes=2)) for one in segments
    ]
    last = counted[-1].last_at
    story = [*counted, msgspec.structs.replace(wrong, counted_at=last + timedelta(minutes=1))]
    silence = [NoData(NoDataConfig(after=timedelta(hours=2)))]
    assert not fold(story, None, silence, now=last + timedelta(hours=1)).findings
    (finding,) = fold(story, None, silence, now=last + timedelta(hours=3)).findings
    assert finding.kind == "no-data"
    assert finding.window.start == last + timedelta(minutes=1)  # when the last file was counted


def test_what_was_announced_and_lies_in_segments_that_were_left_out_is_not_cleared():
    clean = cut(draw_clean(random.Random(1), 600), 30)
    attacked = cut(draw_attacked(random.Random(2), 300, 0.7), 30, 20)
    whole = fold([*clean, *attacked], detectors=[GIVEN])
    (finding,) = whole.findings
    ahead = fold(clean, whole.checkpoint, [GIVEN], more=True)
    assert ahead.findings == ()
    assert finding.finding_id in ahead.checkpoint.announced
    assert fold([*clean, *attacked], ahead.checkpoint, [GIVEN]).checkpoint == whole.checkpoint
    (gone,) = fold(clean, ahead.checkpoint, [GIVEN]).findings
    assert (gone.finding_id, gone.cleared_at is not None) == (finding.finding_id, True)
