"""The end of a diagnosis: what it cost, what it links, its page; told, and only then written down as told."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.model import Diagnosis, Phase
from sagewatch.flows.diagnosis_cost import note_cost
from sagewatch.flows.diagnosis_notes import BY, build_progress, note_stage, tell_change
from sagewatch.flows.incident_page import write_page
from sagewatch.flows.recorded_requests import link_requests
from sagewatch.flows.saliency_files import digest_report, load_report
from sagewatch.observability import get_logger
from sagewatch.world import World

ENDINGS = 8
"""How often cost, links and page are tried before an end is told without them: the alert writes its page again.

What the saliency job reported is read before and after all the same, for it is told as it stood: while the bucket does not give
it, the end waits, and the log has the reason; the endpoint waits for none of it."""


def finish(diagnosis: Diagnosis, world: World) -> Diagnosis:
    """Tell the end: progress, page, bus; and only then write down that it was told."""
    at = diagnosis.finished_at or world.now()
    report = load_report(diagnosis.incident_id, world)
    stage = build_progress(diagnosis, diagnosis.outcome, at, len(report.get("images", [])))
    tries = diagnosis.endings < ENDINGS
    if tries:
        diagnosis = _count_ending(diagnosis, world)
        note_cost(diagnosis, BY, world)
        link_requests(diagnosis, report, world)
    else:
        # Each was begun and cut short, by a kill or an error; or done, and crossed before it was told.
        get_logger().warning("diagnosis_told_as_it_is", incident_id=diagnosis.incident_id, count=ENDINGS)
    note_stage(diagnosis.incident_id, stage, world)
    if tries:
        write_page(diagnosis.incident_id, world)
    tell_change(diagnosis, "abandoned" if diagnosis.phase is Phase.ABANDONED else "finished", world)
    digest = diagnosis.report_digest
    if digest is None:
        digest = digest_report(diagnosis.incident_id, world)
    return world.state.save_diagnosis(msgspec.structs.replace(diagnosis, told=True, report_digest=digest), [])


def _count_ending(diagnosis: Diagnosis, world: World) -> Diagnosis:
    """Claimed before it is tried: what kills the function (its memory, its time) must not keep the lease for ever."""
    return world.state.save_diagnosis(msgspec.structs.replace(diagnosis, endings=diagnosis.endings + 1), [])
