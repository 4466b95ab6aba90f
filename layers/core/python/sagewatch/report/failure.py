"""Why a monitoring job failed, and what to do about it: AWS's sentences sorted into a few causes."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from sagewatch.errors import DEFECT


class Failure(msgspec.Struct, frozen=True):
    """A cause and the next step.

    Attributes
    ----------
    code
        One of ``CODES``.
    """

    code: str
    next_step: str


# Where a sentence of our analyzer begins: SageMaker puts its own word before it.
_OURS: Final = r"(?:^|AlgorithmError: )"
_CAUSES = (
    (
        "no_ground_truth",
        r"No S3 objects found under S3 URL \"[^\"]*ground[-_]truth",
        (
            "Upload ground truth for this hour under the prefix that the message names; labels that come later "
            "than the schedule need a longer offset (StartTimeOffset, EndTimeOffset)."
        ),
    ),
    (
        # Ours name the script, its line and the record.
        "preprocess_script",
        _OURS + r"\S+\.py: |script dropped \d+ records",
        (
            "Run the script on a capture line by hand: `sagewatch analyze CAPTURE --preprocessor SCRIPT` stops at the "
            "same line and record."
        ),
    ),
    (
        "preprocess_script",
        r"ended before it was done.*\(exit code \d+\)",
        "A script of the job ended the program itself: take os._exit and its like out of it.",
    ),
    (
        "stopped",
        r"ended before it was done.*\(SIG(?:TERM|INT)\)",
        "Somebody stopped it, or it ran into its time limit; the next run will tell.",
    ),
    (
        "error_responses",
        r"\d+ records are error responses",
        "The endpoint answered every request of the window with an error: see the model's log.",
    ),
    (
        "shards_missing",
        r"no partial profile of |partial profiles of different jobs",
        (
            "An instance left no partial profile: see its log, run it again, and give the merge the profiles of one "
            "job alone."
        ),
    ),
    (
        "no_baseline",
        r"No such file or directory: '[^']*baseline|: no (constraints|statistics) \(",
        (
            "The baseline is not there or cannot be read: make it with `sagewatch baseline`, and name both files in "
            "the schedule."
        ),
    ),
    (
        "configuration",
        _OURS
        + r"(?:environment, |dataset_format\b)|(processingjob|resource)config\.json|must (lie|be) (between|above)",
        "Mend the variable of the job's environment that the message names.",
    ),
    (
        "no_data",
        r"Job inputs had no data|No S3 objects found|no data\b|input/\S*: no such file or directory",
        (
            "See whether the endpoint had traffic in this window and whether its capture is on "
            "(DescribeEndpoint, DataCaptureConfig.CaptureStatus)."
        ),
    ),
    (
        "permission",
        r"AccessDenied|Access Denied|[Pp]ermission denied|not authorized|Forbidden|(?:[Ss]tatus|[Ee]rror) ?[Cc]ode[:=]? ?403\b|HTTP 403|\(403\)|KMS\.\w*AccessDenied",
        "Give the job's role the right that the message names; with an encrypted bucket also kms:Decrypt.",
    ),
    (
        "preprocess_script",
        r"(?<![/\w-])(?:record_)?(?:pre|post)process(?:or|ing|_handler)?\b(?![-/])|record_preprocessor|invoking .*script",
        (
            "Run the script on a capture line by hand: `sagewatch analyze CAPTURE --preprocessor SCRIPT` shows the "
            "line and the record at which it stops."
        ),
    ),
    (
        "encoding",
        r"[Ee]ncoding mismatch",
        "AWS's analyzer wants one encoding on both sides; ours takes each side on its own.",
    ),
    (
        "memory",
        r"OutOfMemory|Java heap|SIGKILL|exit code:? 137|Killed|killed for want of memory|MemoryError",
        "Give the job a larger instance, or fewer records with a lower sampling percentage.",
    ),
    (
        "disk",
        r"No space left on device",
        "Give the job a larger volume (VolumeSizeInGB), or a shorter window.",
    ),
    (
        "timeout",
        r"MaxRuntime|exceeded .*runtime|timed? ?out",
        "Raise MaxRuntimeInSeconds, or use a larger instance.",
    ),
    (
        "capacity",
        r"CapacityError|InsufficientCapacity|Unable to provision|ResourceLimitExceeded",
        "AWS had no such instance to give, or the account's quota is used up: choose another type, or wait.",
    ),
    (
        "image",
        r"[Cc]annot pull|CannotPull|[Ii]mage .*(not found|does not exist)|manifest unknown",
        "The image is not where the job looks for it, or its role may not pull it: see the repository in ECR.",
    ),
    (
        "aws",
        r"InternalServerError|InternalFailure|internal error|ServiceUnavailable",
        "SageMaker itself failed; the next run will tell. If it fails again, ask AWS's support.",
    ),
    (
        "defect",
        re.escape(DEFECT),
        "Report the message and the traceback in the job's log: a run of the same data fails again until it is mended.",
    ),
    (
        "parse",
        (
            r"[Pp]arse|malformed|not valid JSON|JsonParse|Unexpected character|not one line could be read|"
            r"\bno (Parquet|CSV|JSON)\b|the manifest names|are read, in UTF-8|list of records|more than \d+ columns"
        ),
        (
            "A captured record is not what `dataset_format` says: compare a capture line with the endpoint's "
            "content types."
        ),
    ),
)
# The bare word of each cause: what a message is read for, without what it may quote.
CAUSE_WORDS: Final = {
    "no_ground_truth": 'No S3 objects found under S3 URL "ground-truth',
    "preprocess_script": "preprocess",
    "error_responses": "1 records are error responses",
    "shards_missing": "partial profiles of different jobs",
    "no_baseline": ": no constraints (",
    "configuration": "resourceconfig.json",
    "no_data": "no data",
    "permission": "AccessDenied",
    "encoding": "Encoding mismatch",
    "memory": "OutOfMemory",
    "disk": "No space left on device",
    "timeout": "MaxRuntime",
    "capacity": "CapacityError",
    "image": "manifest unknown",
    "aws": "InternalServerError",
    "defect": DEFECT,
    "parse": "malformed",
}
# What no message tells: a run that somebody stopped, a report that cannot be had, and what has no name yet.
CODES: Final = (*dict.fromkeys(code for code, _, _ in _CAUSES), "stopped", "no_report", "unknown")


def classify_failure(status: str, message: str) -> Failure:
    """The cause of a run that did not complete.

    Examples
    --------
    >>> classify_failure("Failed", "Job inputs had no data").code
    'no_data'
    """
    if status == "Stopped":
        return Failure(
            "stopped", "Somebody stopped it, or it ran into its time limit; the next run will tell."
        )
    for code, pattern, next_step in _CAUSES:
        if re.search(pattern, message):
            return Failure(code, next_step)
    return Failure(
        "unknown", "Read the job's log in /aws/sagemaker/ProcessingJobs; its first error names the cause."
    )


def name_cause(status: str, message: str) -> str:
    """A message that has the same cause and quotes nothing; empty where the message tells none.

    Examples
    --------
    >>> name_cause("Failed", "Encoding mismatch: ada@example.com")
    'Encoding mismatch'
    """
    return CAUSE_WORDS.get(classify_failure(status, message).code, "")


def describe_missing_report(place: str, why: str) -> Failure:
    """A run that ended well, and whose report cannot be had: nobody knows what it found."""
    return Failure("no_report", f"The report should be at {place}: {why}.")
