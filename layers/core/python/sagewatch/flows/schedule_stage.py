"""Which stage of the account a monitoring schedule is of: what its jobs report to tells, where its name does not."""

from __future__ import annotations

import msgspec

from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.monitoring.policy import MODEL_MONITOR, find_stage, name_legacy_schedule, name_schedule
from sagewatch.report.run import Run
from sagewatch.world import World


def is_anothers(run: Run, world: World) -> bool:
    """Whether another stage of the account had it run: it judges the report, and this one may not read it."""
    bucket, own = run.report_uri.removeprefix("s3://").partition("/")[0], world.settings.evidence_bucket
    stage, here = find_stage(bucket), find_stage(own)
    if not stage or not here or stage == here:
        return False
    return bucket == own.replace(f"-{here}-evidence-", f"-{stage}-evidence-", 1)


def note_owner(schedule: str, run: Run, world: World) -> None:
    """Remember whether SageMaker's schedule by a name without a stage is another stage's: a list of schedules does not tell.

    Parameters
    ----------
    schedule
        The name that it has in SageMaker; ``run`` may know it by another.
    """
    plain = name_schedule(run.endpoint)
    # EventBridge's schedules are a stack's own: two stages have that name beside each other.
    if run.due is None or schedule not in {plain, name_legacy_schedule(run.endpoint)}:
        return
    # Where nobody watches for it yet there is nothing to remember: the watch begins with the wish.
    watched = world.monitors.endpoints.get(run.endpoint)
    if watched is None or watched.quality is None or watched.quality.scheduler != MODEL_MONITOR:
        return
    lent = is_anothers(run, world)

    def note() -> None:
        watch = world.state.load_watch(plain, world.now())
        if (schedule in watch.lent) is not lent:
            others = set(watch.lent) ^ {schedule}
            world.state.save_watch(msgspec.structs.replace(watch, lent=tuple(sorted(others))))

    retry_conflicts(note)
