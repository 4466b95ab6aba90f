"""monitors.yml is edited while something is open: what nothing judges any more is no all-clear, and is told again once judged."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from click.testing import CliRunner

from sagewatch.cli.explain import explain
from sagewatch.cli.store import Store
from tests.acceptance.conftest import MONITORS
from tests.acceptance.language import START
from tests.unit.flows.captures import draw_attacked, draw_clean

RNG = random.Random(7)
CLEAN, ATTACKED = draw_clean(160, RNG), draw_attacked(60, RNG)


def watch(detectors):
    """Only this is watched for."""
    return MONITORS.replace("signs: {}", f"signs: {{detectors: {{{detectors}}}}}")


SILENCE = watch("no-data: {after: 30m}")
ATTACK = watch("class-concentration: {baseline: {learn_from: 100}, clear_after: 60}")
OTHER = watch("confidence: {}")


def explain_all(story):
    """What ``sagewatch explain`` says of each incident, the earliest first."""
    store = Store(world=story.world, outputs={})
    names = sorted(one.incident_id for one in story.world.state.list_incidents())
    return [CliRunner().invoke(explain, [name], obj=store).output for name in names]


@pytest.mark.parametrize("changed", [OTHER, watch("no-data: {after: 6h}")], ids=["taken out", "more patient"])
def test_a_silence_that_monitors_yml_no_longer_asks_for_is_told_as_no_longer_judged(tell, changed):
    story = tell(SILENCE)
    story.at("0s").captures(["14"])
    story.at("31m").ticks()
    story.at("40m").deploys(changed)
    story.at("41m").ticks()
    story.at("50m").deploys(SILENCE)
    story.at("51m").ticks()
    story.at("1h").captures(["14"])
    story.expect_all("firing", "31m", contains="No capture")
    story.expect_all("unjudged", "41m", contains="No captures for 41 min")
    # It is judged again, and still silent: another incident, which does end by its evidence.
    story.expect_all("firing", "51m", contains="No capture")
    story.expect_all("resolved", "1h", contains="Captures arrive again")
    story.ends("2h")
    first, second = explain_all(story)
    assert first.count("[no_longer_judged, by ") == 2
    assert "no longer judged: monitors.yml" in first
    assert "evidence_fell_back" not in first
    assert second.count("[evidence_fell_back, by ") == 2


def test_an_attack_whose_detector_is_replaced_while_it_goes_on_is_not_back_to_usual(tell):
    story = tell(ATTACK)
    story.at("0s").captures(CLEAN)
    story.at("1m").captures(ATTACKED)
    story.at("10m").deploys(OTHER)
    story.at("11m").captures(ATTACKED)
    story.expect_all("firing", "1m", contains="Class 14 takes")
    story.expect_all("unjudged", "11m", contains="Class 14 takes")
    story.ends("1h")
    (told,) = explain_all(story)
    assert "no_longer_judged" in told
    assert not any("usual share" in one.text for one in story.ears.heard)


QUALITY = MONITORS.replace("signs: {}", 'signs: {quality: {baseline: "s3://captures/baseline"}}')


def test_what_a_job_found_ends_as_no_longer_judged_where_monitors_yml_asks_for_no_quality_any_more(tell):
    story = tell(QUALITY)
    story.at("1h").looks("signs-data-quality", violations=2)
    story.at("2h").deploys(MONITORS)
    for hour in range(3, 60):
        story.at(f"{hour}h").ticks()
    story.play_only("60h")
    mails = [one for one in story.ears.heard if one.target == "on-call/mail"]
    assert [mails[0].kind, mails[-1].kind] == ["firing", "unjudged"]
    assert mails[-1].at == START + timedelta(hours=27)
    assert "[no_longer_judged, by " in explain_all(story)[0]
    assert story.world.alerts.list_due() == []


def test_what_a_job_found_goes_on_where_somebodys_schedule_looks_all_the_same(tell):
    story = tell(MONITORS)
    for day in range(4):
        story.at(f"{24 * day + 1}h").looks("signs-data-quality", violations=2)
    for hour in range(2, 90):
        story.at(f"{hour}h").ticks()
    story.at("91h").looks("signs-data-quality", violations=0)
    story.play_only("92h")
    mails = [one.kind for one in story.ears.heard if one.target == "on-call/mail"]
    assert (mails[0], mails[-1], mails.count("unjudged")) == ("firing", "resolved", 0)
