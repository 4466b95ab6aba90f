"""An incident that lasts: page, repeat and bundle say how bad it is now, and nobody is told more often for it."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from itertools import pairwise

import pytest

from sagewatch.entry import handle
from sagewatch.events import Ticked
from sagewatch.finding import Stream
from sagewatch.flows.evidence import build_page_key
from sagewatch.flows.ingest_capture import ingest_capture
from sagewatch.flows.tick import tick
from sagewatch.incident.model import State
from tests.unit.flows.captures import draw_attacked, draw_clean, put_file, put_files
from tests.unit.flows.worlds import MONITORS, NOW, Pump, build_world

OFF = re.sub(r"diagnosis: .*", "diagnosis: {mode: off}", MONITORS)
STREAM = Stream("signs", "AllTraffic")


class Night:
    """An attack that goes on for hours, a file a minute, with a tick a quarter of an hour; diagnosis is off."""

    def __init__(self) -> None:
        self.world = build_world(OFF)
        self.pump = Pump(self.world)
        self.rng = random.Random(7)
        for event in put_files(self.world, draw_clean(300, self.rng), NOW):
            handle(ingest_capture, event, self.world)

    def go_on(self, minutes: range, draw=draw_attacked) -> None:
        for minute in minutes:
            at = NOW + timedelta(minutes=minute)
            self.world.now.now = at + timedelta(seconds=5)
            event = put_file(self.world, draw(6, self.rng), at, number=1000 + minute)
            handle(ingest_capture, event, self.world)
            self.pump.run()
            if not minute % 15:
                tick(Ticked(at), self.world)
                self.pump.run()

    @property
    def incident(self):
        (listed,) = self.world.state.list_incidents()
        return self.world.state.load_incident(listed.incident_id)

    @property
    def page(self) -> str:
        body = self.world.objects.bodies["evidence", build_page_key(self.incident.incident_id)]
        return body.decode()

    def raised(self) -> list[dict]:
        return [e["detail"] for e in self.world.bus.events if e["detail-type"] == "Finding Raised"]


@pytest.fixture(scope="module")
def night():
    """Five hours of it."""
    night = Night()
    night.go_on(range(1, 301))
    return night


def test_the_incident_holds_the_evidence_of_the_last_half_hour(night):
    latest = night.incident.latest
    assert latest.window.end >= NOW + timedelta(minutes=300 - 30)
    assert latest.window.predictions > 1500
    assert len(latest.counts) > 1
    first = night.raised()[0]
    assert latest.evidence.log10_excess > first["evidence"]["log10_excess"] + 10
    assert latest.raised_at.isoformat().replace("+00:00", "Z") == first["raised_at"]


def test_it_is_told_on_at_a_sane_pace_under_one_name(night):
    raised = night.raised()
    assert len({one["finding_id"] for one in raised}) == 1
    # 1, 2, 5, 10, 20, 30, 45, 60 minutes, then each half hour, beside the raising and a rise of severity.
    assert 8 + 6 <= len(raised) <= 8 + 8 + 2
    ends = [one["window"]["end"] for one in raised]
    assert ends == sorted(ends)
    assert all(one["severity"] == later["severity"] for one, later in pairwise(raised[2:]))


def test_the_page_says_how_long_and_over_how_many_predictions(night):
    open_for = re.search(r"Open for</dt><dd>(.*?)<small>", night.page)
    assert open_for
    hours, minutes = map(int, re.findall(r"\d+", open_for[1]))
    assert 5 * 60 - 40 <= 60 * hours + minutes <= 5 * 60, open_for[1]
    assert f"{night.incident.latest.window.predictions:,}" in night.page


def test_nobody_is_told_more_often_and_the_repeat_says_what_is_true_now(night):
    world = night.world
    assert [subject.split("]")[0].strip("[") for subject, _ in world.mail.mails] == ["FIRING", "STILL FIRING"]
    assert len(world.chat.posted) == 1
    seen = re.search(r"([\d,]+) predictions since it began", world.mail.mails[-1][1])
    assert seen
    assert int(seen[1].replace(",", "")) > 1200


def test_what_lasts_fills_no_trail(night):
    entries = night.world.state.load_entries(night.incident.incident_id)
    assert sum(entry.what == "finding_raised" for entry in entries) <= 2


def test_told_on_again_after_a_crash_it_is_the_same_and_changes_nothing():
    night = Night()
    night.go_on(range(1, 8))
    before, mails = night.incident, list(night.world.mail.mails)
    told = [key for key in night.world.state._items.rows if str(key[1]).startswith("told#")]
    assert len(told) >= 3
    for key in told:
        del night.world.state._items.rows[key]  # published, and killed before that was written down
    night.go_on(range(8, 9))
    assert night.incident.findings[0].finding_id == before.findings[0].finding_id
    assert night.world.mail.mails == mails


def test_after_hours_the_end_is_the_end_of_the_same_finding():
    night = Night()
    night.go_on(range(1, 130))
    night.go_on(range(130, 200), draw_clean)
    assert night.incident.state is State.RESOLVED
    cleared = [e["detail"] for e in night.world.bus.events if e["detail-type"] == "Finding Cleared"]
    assert {one["finding_id"] for one in cleared} == {one["finding_id"] for one in night.raised()}
    assert [subject.split("]")[0].strip("[") for subject, _ in night.world.mail.mails] == [
        "FIRING",
        "RESOLVED",
    ]
