"""What monitoring jobs find, in words: the kinds that come from reports rather than from predictions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagewatch.incident.amounts import clean_text, format_number
from sagewatch.incident.description import Description

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagewatch.finding import Breach, Finding

_NAME_LIMIT = 60
_WORDS_APART = re.compile(r"_|(?<=[a-z])(?=[A-Z])")
_FEATURES_NAMED = 3
_BREACHES_TOLD = 3
_WHAT_IS_MONITORED = {
    "data-quality": ("Data quality", "features", ("Compare the named features with their baseline: a change "
                     "upstream (a unit, an encoding, a missing column) is the usual cause.")),
    "model-quality": ("Model quality", "metrics", ("Compare predictions with their ground truth for the window: "
                      "if inputs drifted as well, the model needs new data; if not, look at the labels.")),
    "bias": ("Bias", "facets", ("Compare the facet's share among inputs and among favourable predictions with "
             "the baseline analysis.")),
    "attribution": ("Feature attribution", "rankings", ("Compare the ranking of features with the baseline's: "
                    "a lower number is a larger change.")),
}  # fmt: skip
CAUSES = {
    "no_data": ("it had no data", "See whether the endpoint had traffic and whether its capture is on."),
    "no_ground_truth": ("it found no ground truth", "Upload labels for the window, or let the schedule wait longer."),
    "permission": ("its role lacks a right", "Give the job's role the right that the job's message names."),
    "preprocess_script": ("its preprocessing script failed", "Run the script on a capture line by hand."),
    "encoding": ("input and output have different encodings", "Use our analyzer, which takes each side on its own."),
    "memory": ("it ran out of memory", "Give it a larger instance or sample less."),
    "timeout": ("it ran out of time", "Raise MaxRuntimeInSeconds or use a larger instance."),
    "parse": ("a file of it cannot be read", "Compare a capture line with dataset_format, and the report with its schema."),
    "error_responses": ("every answer was an error", "See the model's own log: it refuses what it is asked."),
    "shards_missing": ("an instance left no partial profile", "See that instance's log, and run the job again."),
    "configuration": ("a setting of it is wrong", "Mend the variable that the job's message names."),
    "disk": ("its disk is full", "Give it a larger volume, or a shorter window."),
    "capacity": ("there was no instance for it", "Choose another instance type, or ask for a higher quota."),
    "image": ("its image cannot be pulled", "See whether the image is in ECR and whether the role may pull it."),
    "defect": ("Sagewatch's analyzer has a defect", "Report the job's message and the traceback in its log."),
    "aws": ("SageMaker itself failed", "Wait for the next run; if it fails again, ask AWS's support."),
    "no_report": ("its report cannot be had", "See whether it lies where the job's output says, and whether ingest_report may read it there."),
    "stopped": ("somebody stopped it", "Ask who did, or wait for the next run."),
    "schedule_stopped": ("its schedule does not run", "`sagewatch monitor list`, then `sagewatch monitor create ENDPOINT`."),
    "no_baseline": ("it has no baseline", "Make one with `sagewatch baseline`, and put it where monitors.yml says."),
    "no_endpoint": ("its endpoint is gone", "Deploy it again; or take the endpoint out of monitors.yml and resolve this incident by hand: nothing else ends it then."),
}  # fmt: skip


def describe_violations(finding: Finding, _: Mapping[str, str]) -> Description:
    """Violations that a monitoring job reported."""
    name, things, next_step = _WHAT_IS_MONITORED[finding.kind]
    number = round(finding.evidence.observed)
    subjects = [clean_text(subject, _NAME_LIMIT) for subject in list(finding.counts)[:_FEATURES_NAMED]]
    more = len(finding.counts) - len(subjects)
    named = ", ".join(subjects) + (f" and {more} more" if more > 0 else "")
    schedule = clean_text(finding.subject, _NAME_LIMIT)
    constraints = "1 constraint" if number == 1 else f"{number:,} constraints"
    count = len(finding.counts)
    concerned = f"1 {things.removesuffix('s')}" if count == 1 else f"{count:,} {things}"
    return Description(
        headline=f"{name}: {constraints} broken",
        what=f"{constraints} of the schedule {schedule} {'is' if number == 1 else 'are'} broken: {named}.",
        what_was=f"{constraints} of the schedule {schedule} {'was' if number == 1 else 'were'} broken: {named}.",
        how_bad=f"{_tell_breaches(finding, number)}{concerned} concerned; the report names all.",
        over=f"{name} is within its constraints again",
        next_step=next_step,
    )


def _tell_breaches(finding: Finding, number: int) -> str:
    """The first few with what was seen and allowed; nothing where an older version found them."""
    shown = finding.breaches[:_BREACHES_TOLD]
    if not shown:
        return ""
    more = number - len(shown)
    return "; ".join(map(_tell_breach, shown)) + (f"; and {more:,} more" if more > 0 else "") + ". "


def _tell_breach(breach: Breach) -> str:
    """A constraint as a person reads it.

    Examples
    --------
    >>> from sagewatch.finding import Breach
    >>> _tell_breach(Breach("age", "baseline_drift_check", 0.31416, 0.1))
    'age: baseline drift check, observed 0.3142, limit 0.1'
    """
    said = [_WORDS_APART.sub(" ", clean_text(breach.constraint, _NAME_LIMIT)).lower()]
    if breach.observed is not None:
        said.append(f"observed {format_number(breach.observed)}")
    if breach.limit is not None:
        said.append(f"limit {format_number(breach.limit)}")
    return f"{clean_text(breach.subject, _NAME_LIMIT)}: {', '.join(said)}"


def describe_failure(finding: Finding, _: Mapping[str, str]) -> Description:
    """A monitoring job that failed, with its cause."""
    code = next(iter(finding.counts), "unknown")
    unknown = ("for a reason that its log tells", "Read its log in /aws/sagemaker/ProcessingJobs.")
    cause, next_step = CAUSES.get(code, unknown)
    schedule = clean_text(finding.subject, _NAME_LIMIT)
    return Description(
        headline=f"Monitoring job failed: {cause}",
        what=f"The last run of {schedule} failed: {cause}.",
        what_was=f"A run of {schedule} failed: {cause}.",
        how_bad="While it fails, what it watches goes unwatched.",
        over="The monitoring job runs again",
        next_step=next_step,
    )


REPORT_KINDS = {
    **dict.fromkeys(_WHAT_IS_MONITORED, describe_violations),
    "job-failed": describe_failure,
}
