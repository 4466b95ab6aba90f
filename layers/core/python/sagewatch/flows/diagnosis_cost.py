"""What a diagnosis cost: how long the endpoint was hooked, what that added to its answers, how long the job ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sagewatch.diagnose.model import Diagnosis
from sagewatch.flows.evidence import load_report
from sagewatch.incident.model import Entry
from sagewatch.world import World

Cost = dict[str, str | int | float | bool | None]


def note_cost(diagnosis: Diagnosis, by: str, world: World) -> None:
    """Write what an ended diagnosis found and cost into the incident's trail; once, however often it is asked for."""
    report, at = load_report(diagnosis.incident_id, world), diagnosis.finished_at or world.now()
    entries = []
    comparison = report.get("comparison")
    if comparison:
        said: Cost = {"said": str(comparison["sentence"])}
        entries.append(Entry(at=at, what="diagnosis_compared", reason="measured", by=by, data=said))
    job = world.jobs.describe_processing_job(diagnosis.job) if diagnosis.explains else None
    cost = build_cost(diagnosis, report, job or {})
    if cost:
        entries.append(Entry(at=at, what="diagnosis_cost", reason="measured", by=by, data=cost))
    world.state.add_entries(diagnosis.incident_id, entries)


def build_cost(diagnosis: Diagnosis, report: Mapping[str, Any], job: Mapping[str, Any]) -> Cost:
    """The figures that are known.

    Parameters
    ----------
    report
        The saliency job's ``explanations.json``.
    job
        The job as AWS describes it; its instance is paid for from its start to its end.
    """
    cost: Cost = {}
    if diagnosis.hooked_at is not None:
        until = diagnosis.restored_at or diagnosis.finished_at
        if until is not None:
            cost["hooked_seconds"] = round((until - diagnosis.hooked_at).total_seconds(), 1)
    added = report.get("added_milliseconds")
    if added is not None:
        cost["added_milliseconds_a_request"] = round(float(added), 1)
    start, end = job.get("ProcessingStartTime"), job.get("ProcessingEndTime")
    if isinstance(start, datetime) and isinstance(end, datetime):
        cost["job_seconds"] = round((end - start).total_seconds(), 1)
        cost["job_instance"] = job["ProcessingResources"]["ClusterConfig"]["InstanceType"]
    return cost
