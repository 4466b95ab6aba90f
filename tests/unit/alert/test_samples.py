"""What a message says of the samples is what the page and the bundle hold."""

from __future__ import annotations

import msgspec
import pytest

from sagewatch.alert.content import SAMPLES_SHOWN, Announcement, build_content
from sagewatch.alert.outbox import Kind
from sagewatch.finding import SAMPLES_ON_PAGE, Sample
from tests.unit.incident.story import build_incident


def tell(count):
    incident = build_incident()
    samples = tuple(Sample("captures", "a.jsonl", line) for line in range(count))
    finding = msgspec.structs.replace(incident.latest, samples=samples)
    announcement = Announcement(
        kind=Kind.FIRING, incident=msgspec.structs.replace(incident, findings=(finding,))
    )
    return str(msgspec.to_builtins(build_content(announcement)))


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (SAMPLES_SHOWN, ""),
        (5, "; 2 more on the page"),
        (SAMPLES_ON_PAGE, "; 9 more on the page"),
        (40, "; 9 more on the page, all 40 named in findings.json"),
    ],
)
def test_as_many_are_announced_as_the_page_shows(count, told):
    assert f"line 0, 1, 2{told}'" in tell(count)
