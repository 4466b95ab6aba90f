"""Why a monitoring job failed, and what to do about it: AWS's sentences sorted into a few causes."""

from __future__ import annotations

import re

import msgspec


class Failure(msgspec.Struct, frozen=True):
    """A cause and the next step.

    Attributes
    ----------
    code
        ``no_data``, ``no_ground_truth``, ``permission``, ``preprocess_script``, ``encoding``, ``memory``,
        ``timeout``, ``parse``, ``stopped`` or ``unknown``.
    """

    code: str
    next_step: str


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
        "no_data",
        r"Job inputs had no data|No S3 objects found|no data\b",
        (
            "See whether the endpoint had traffic in this window and whether its capture is on "
            "(DescribeEndpoint, DataCaptureConfig.CaptureStatus)."
        ),
    ),
    (
        "permission",
        r"AccessDenied|Access Denied|not authorized|Forbidden|\b403\b|KMS\.\w*AccessDenied",
        "Give the job's role the right that the message names; with an encrypted bucket also kms:Decrypt.",
    ),
    (
        "preprocess_script",
        r"preprocess|record_preprocessor|postprocess|invoking .*script",
        (
            "Run the script on a capture line by hand: `sagewatch analyze CAPTURE --preprocess SCRIPT` shows the "
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
        r"OutOfMemory|Java heap|SIGKILL|exit code 137|Killed",
        "Give the job a larger instance, or fewer records with a lower sampling percentage.",
    ),
    (
        "timeout",
        r"MaxRuntime|exceeded .*runtime|timed? ?out",
        "Raise MaxRuntimeInSeconds, or use a larger instance.",
    ),
    (
        "parse",
        r"[Pp]arse|malformed|not valid JSON|JsonParse|Unexpected character",
        (
            "A captured record is not what `dataset_format` says: compare a capture line with the endpoint's "
            "content types."
        ),
    ),
)


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
