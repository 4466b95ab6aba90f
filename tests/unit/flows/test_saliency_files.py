"""What lies in an incident's ``explain/`` counts only as far as the incident's own job can have left it there."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from sagewatch.flows.advance_diagnosis import advance_endpoint
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.saliency_files import count_explained, load_pictures, load_report
from sagewatch.flows.share_pictures import _list_pictures
from tests.unit.flows.test_diagnosis_way_back import ROW, hook, leave_report, pass_minutes, record
from tests.unit.flows.worlds import build_world

PNG = b"png"
SHOWN = {
    **ROW, "worker": "w", "step": 0, "class": "14", "probability": 0.9, "completeness_relative_error": 1e-7,
    "outside_roi_share": 0.2,
}  # fmt: skip


def explain(incident_id_to_report):
    """A world whose diagnosis was told with the report that is made of its incident's id."""
    world = hook()
    incident_id = world.state.load_diagnosis("signs").incident_id
    record(world, incident_id)
    leave_report(world, incident_id, incident_id_to_report(incident_id))
    pass_minutes(world, 8)
    lease = world.state.load_diagnosis("signs")
    assert lease.told
    return world, lease


def build_report(incident_id, **changes):
    files = {path: hashlib.sha256(PNG).hexdigest() for path in ROW.values()}
    return {"images": [SHOWN], "job": f"sagewatch-explain-{incident_id}", "files": files, **changes}


def read_page(world, incident_id):
    write_page(incident_id, world)
    return world.objects.bodies["evidence", f"incidents/{incident_id}/index.html"].decode()


def test_the_report_and_the_pictures_of_the_incidents_own_job_are_shown():
    world, lease = explain(build_report)
    assert lease.outcome == "explained"
    assert count_explained(lease.incident_id, world) == 1
    assert load_pictures(lease.incident_id, load_report(lease.incident_id, world), world).keys() == {
        "explanations.json",
        *ROW.values(),
    }
    assert len(list(_list_pictures(world.state.load_incident(lease.incident_id), world))) == 1
    assert "after the diagnosis was told" not in read_page(world, lease.incident_id)


def test_a_report_that_is_written_over_after_it_was_told_of_is_not_shown_and_the_page_says_so():
    world, lease = explain(build_report)
    leave_report(world, lease.incident_id, build_report(lease.incident_id, notes=["look elsewhere"]))
    page = read_page(world, lease.incident_id)
    assert "look elsewhere" not in page
    assert "changed after the diagnosis was told of" in page
    assert not list(_list_pictures(world.state.load_incident(lease.incident_id), world))
    manifest = world.objects.bodies["evidence", f"incidents/{lease.incident_id}/manifest.json"]
    assert b"explain/" not in manifest


def test_a_report_that_another_job_wrote_here_ends_the_diagnosis_as_one_that_left_nothing():
    world, lease = explain(lambda _: build_report("another"))
    assert lease.outcome == "job_left_nothing"
    assert "reported by another job" in read_page(world, lease.incident_id)


@pytest.mark.parametrize("where", list(ROW.values()))
def test_a_picture_that_is_not_the_one_in_the_report_is_left_out_and_the_page_says_so(where):
    world, lease = explain(build_report)
    key = f"incidents/{lease.incident_id}/explain/{where}"
    world.objects.bodies["evidence", key] = b"another"
    world.objects.bodies["evidence", f"incidents/{lease.incident_id}/explain/added.png"] = PNG
    pictures = load_pictures(lease.incident_id, load_report(lease.incident_id, world), world)
    assert pictures.keys() == {"explanations.json", *ROW.values()} - {where}
    assert "1 pictures are not" in read_page(world, lease.incident_id)
    shared = list(_list_pictures(world.state.load_incident(lease.incident_id), world))
    assert bool(shared) is (where != ROW["overlay"])


def test_a_report_for_an_incident_that_was_not_diagnosed_or_whose_job_left_none_is_not_believed():
    world = build_world()
    leave_report(world, "never", build_report("never"))
    assert load_report("never", world) == {}
    world = hook()
    pass_minutes(world, 30)  # nothing is recorded
    lease = world.state.load_diagnosis("signs")
    assert (lease.told, lease.report_digest) == (True, "")
    leave_report(world, lease.incident_id, build_report(lease.incident_id))
    assert load_report(lease.incident_id, world).get("images") is None


def test_what_was_told_before_digests_were_kept_is_still_shown():
    world, lease = explain(lambda _: {"images": [SHOWN]})
    world.state.save_diagnosis(msgspec.structs.replace(lease, report_digest=None), [])
    assert count_explained(lease.incident_id, world) == 1
    advance_endpoint("signs", world)
    assert world.state.load_diagnosis("signs").report_digest is None
