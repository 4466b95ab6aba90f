"""What lies in an incident's ``explain/`` counts only as far as the incident's own job can have left it there."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tracemalloc

import msgspec
import pytest

from sagewatch.flows.advance_diagnosis import advance_endpoint
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.saliency_files import (
    MOST_BYTES,
    MOST_PAIRS,
    choose_pictures,
    count_explained,
    load_pictures,
    load_report,
)
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
    shown = load_pictures(lease.incident_id, load_report(lease.incident_id, world), world).shown
    assert shown.keys() == {"explanations.json", *ROW.values()}
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
    assert pictures.shown.keys() == {"explanations.json", *ROW.values()} - {where}
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


def draw_many(count, size):
    """A told diagnosis of a job that drew in full size: an input, an overlay and a sheet for each request."""
    world, lease = explain(build_report)
    drawn, prefix = random.Random(5), f"incidents/{lease.incident_id}/explain/"
    rows, files = [], {}
    for number in range(count):
        for room in ("heatmaps", "inputs", "overlays"):
            body = drawn.randbytes(size)
            world.objects.bodies["evidence", f"{prefix}{room}/{number}.png"] = body
            files[f"{room}/{number}.png"] = hashlib.sha256(body).hexdigest()
        row = {"input": f"inputs/{number}.png", "overlay": f"overlays/{number}.png", "step": number}
        rows.append(SHOWN | row | {"role": "clean" if number >= count - 10 else "suspicious"})
    body = json.dumps(build_report(lease.incident_id, images=rows, files=files)).encode()
    world.objects.bodies["evidence", f"{prefix}explanations.json"] = body
    digest = hashlib.sha256(body).hexdigest()
    world.state.save_diagnosis(msgspec.structs.replace(lease, report_digest=digest), [])
    return world, lease.incident_id, files


def test_a_page_of_many_large_pictures_takes_a_share_of_the_functions_memory():
    """256 MB has the smaller of the two functions that write it, and takes a third of that to begin with."""
    world, incident_id, _ = draw_many(80, 700_000)
    opened = world.objects.open_object

    def open_copied(bucket, key):  # as the network does
        stream = opened(bucket, key)
        return stream and io.BytesIO(bytes(bytearray(stream.read())))

    world.objects.open_object = open_copied
    tracemalloc.start()
    write_page(incident_id, world)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64_000_000
    assert len(world.objects.bodies["evidence", f"incidents/{incident_id}/index.html"]) < 10_000_000


def test_what_a_page_has_no_room_for_is_counted_linked_and_listed_with_its_digest_and_is_not_read():
    world, incident_id, files = draw_many(40, 300_000)
    opened, read = world.objects.open_object, []
    world.objects.open_object = lambda bucket, key: read.append(key) or opened(bucket, key)
    page = read_page(world, incident_id)
    pairs = MOST_BYTES // 600_000
    assert page.count("data:image/png") == 2 * pairs
    assert len([key for key in read if key.endswith(".png")]) == 2 * pairs
    assert "40 inputs explained" in page
    assert f"{pairs} of 40 inputs are shown" in page
    assert f"The other {40 - pairs} lie in" in page
    assert "pictures are not" not in page
    manifest = json.loads(world.objects.bodies["evidence", f"incidents/{incident_id}/manifest.json"])
    listed = {one["path"]: (one["sha256"], one["size_bytes"]) for one in manifest["files"]}
    assert {path: listed[f"explain/{path}"] for path in files} == {
        path: (digest, 300_000) for path, digest in files.items()
    }


def test_of_many_pictures_each_role_has_its_share_of_the_page_and_the_means_come_first():
    rows = [
        {"input": f"i{n}", "overlay": f"o{n}", "role": "clean" if n >= 300 else "suspicious"}
        for n in range(303)
    ]
    sizes = dict.fromkeys([path for row in rows for path in (row["input"], row["overlay"])], 10) | {"m": 10}
    chosen = choose_pictures({"images": rows, "means": {"suspicious": "m"}}, sizes)
    assert chosen >= {"m", "i0", "o0", "i300", "o300", "i302", "o302"}
    assert len(chosen) == 2 * MOST_PAIRS + 1
    sizes |= {"o0": MOST_BYTES}
    assert "i0" not in choose_pictures({"images": rows}, sizes)
    assert choose_pictures({"means": {"suspicious": "m"}}, {"m": MOST_BYTES + 1}) == set()


def test_a_report_beyond_all_measure_is_none():
    _, lease = explain(lambda _: {"images": [SHOWN], "notes": ["x" * MOST_BYTES]})
    assert lease.outcome == "job_left_nothing"
