"""What a diagnosis cost: hooked time, what that added to answers, the job, and money at list prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sagewatch.diagnose.model import Diagnosis
from sagewatch.flows.evidence import load_configs
from sagewatch.flows.saliency_files import load_report
from sagewatch.incident.model import Entry
from sagewatch.prices import price_instances, tell_price_list
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
    if diagnosis.hooked_at is not None:
        moving = measure_moving(diagnosis, world.state.load_entries(diagnosis.incident_id))
        config = load_configs(diagnosis.incident_id, world).get("original") or {}
        cost |= price_second_fleet(config, moving, diagnosis.fleet)
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
        until = diagnosis.restored_at or diagnosis.let_go_at or diagnosis.finished_at
        if until is not None:
            cost["hooked_seconds"] = round((until - diagnosis.hooked_at).total_seconds(), 1)
    added = report.get("added_milliseconds")
    # In a replay the model runs inside the job: nobody waited for it.
    if added is not None and diagnosis.mode == "swap":
        cost["added_milliseconds_a_request"] = round(float(added), 1)
    start, end = job.get("ProcessingStartTime"), job.get("ProcessingEndTime")
    if isinstance(start, datetime) and isinstance(end, datetime):
        instance = job["ProcessingResources"]["ClusterConfig"]["InstanceType"]
        seconds = (end - start).total_seconds()
        cost |= {"job_seconds": round(seconds, 1), "job_instance": instance}
        cost |= _price("job_usd", price_instances(instance, seconds))
    return cost


def measure_moving(diagnosis: Diagnosis, entries: Iterable[Entry]) -> timedelta:
    """How long the endpoint was moving, there and back: then SageMaker runs, and bills, a second fleet beside the first."""
    if diagnosis.hooked_at is None:
        return timedelta()
    back = [entry.at for entry in entries if entry.what == "diagnosis_restoring"]
    until = diagnosis.restored_at
    way_back = until - min(back) if back and until is not None else timedelta()
    return (diagnosis.hooked_at - diagnosis.started_at) + max(way_back, timedelta())


def price_second_fleet(config: Mapping[str, Any], moving: timedelta, fleet: Mapping[str, int]) -> Cost:
    """At most: the second fleet is not there from the first to the last second of a move.

    Parameters
    ----------
    fleet
        Instances of each variant as autoscaling had them; of a variant that is not in it, as it was deployed.
    """
    total = 0.0
    for variant in config.get("ProductionVariants", []):
        count = fleet.get(variant.get("VariantName", ""), int(variant.get("InitialInstanceCount", 1)))
        price = price_instances(variant.get("InstanceType", ""), moving.total_seconds(), count)
        if price is None:
            return {}
        total += price
    return _price("second_fleet_usd_at_most", total) if total else {}


def _price(name: str, amount: float | None) -> Cost:
    return {} if amount is None else {name: round(amount, 4), "prices": tell_price_list()}
