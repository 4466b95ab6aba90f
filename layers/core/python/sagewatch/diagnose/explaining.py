"""What to do while the saliency job runs: the endpoint is its owner's again, only the job is ours."""

from __future__ import annotations

from datetime import datetime, timedelta

from sagewatch.diagnose.commands import StartJob, Step, StopJob
from sagewatch.diagnose.leaving import leave_explained
from sagewatch.diagnose.model import Diagnosis, Policy, Seen

STOPS_WITHIN = timedelta(minutes=10)


def decide_explaining(d: Diagnosis, seen: Seen, policy: Policy, now: datetime) -> Step:
    """Wait for the job, start it where it is missing, stop it where it takes too long."""
    late = now >= d.due
    if seen.job_status == "Completed":
        outcome = "explained" if seen.explained else "job_left_nothing"
        return leave_explained(d, outcome, policy, now)
    if seen.job_status == "Failed" or (seen.job_status == "Stopped" and not late):
        return leave_explained(d, "job_failed", policy, now)
    if seen.job_status is None:
        if late:
            return leave_explained(d, "job_never_started", policy, now)
        return Step(d, (StartJob(),), "job_was_missing" if d.job_started else "job_begun")
    if not late:
        return Step(d, (), "waiting_for_job")
    if seen.job_status == "InProgress":
        return Step(d, (StopJob(),), "job_overdue")
    if seen.job_status == "Stopping" and now < d.due + STOPS_WITHIN:
        return Step(d, (), "waiting_for_job")
    return leave_explained(d, "job_overdue", policy, now)
