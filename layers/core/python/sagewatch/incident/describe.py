"""What an incident is about, in words: one description a finding kind, for messages and the page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagewatch.incident.amounts import (
    clean_text,
    format_count,
    format_duration,
    format_points,
    format_share,
)
from sagewatch.incident.describe_report import REPORT_KINDS
from sagewatch.incident.description import Description

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagewatch.finding import Finding

_AS_GOOD_AS_NEVER = 1e15
NAME_LIMIT = 60
"""Characters of a class's or endpoint's name that are shown."""


def describe(finding: Finding, class_names: Mapping[str, str]) -> Description:
    """The finding in words; a kind that is unknown here still gets its numbers.

    Parameters
    ----------
    class_names
        Name of each class, by the class as the model answers it; may be empty.
    """
    return _KINDS.get(finding.kind, _describe_unknown)(finding, class_names)


def name_class(label: str, class_names: Mapping[str, str]) -> str:
    """The class as a person would name it.

    Examples
    --------
    >>> name_class("14", {"14": "Stop"}), name_class("14", {})
    ('class 14 (Stop)', 'class 14')
    """
    shown = clean_text(label, NAME_LIMIT)
    name = class_names.get(label)
    return f"class {shown} ({clean_text(name, NAME_LIMIT)})" if name else f"class {shown}"


def _describe_concentration(finding: Finding, class_names: Mapping[str, str]) -> Description:
    evidence = finding.evidence
    named = name_class(finding.subject, class_names)
    headline = f"{_upper(named)} takes {format_share(evidence.observed)} of predictions"
    return Description(
        headline=headline,
        what=f"{headline}; the baseline says {format_share(evidence.expected)}.",
        what_was=f"{_upper(named)} took {format_share(evidence.observed)} of predictions; the baseline says "
        f"{format_share(evidence.expected)}.",
        how_bad=f"{format_points(evidence.effect_size)} than usual. {_tell_odds(finding)}",
        over=f"{_upper(named)} is back to its usual share of predictions",
        next_step="Look at the inputs that were called so, and at their heat maps where there are any: if the model "
        "looks at the wrong places, suspect manipulated or broken inputs; if it looks at the right ones, the world "
        "has changed.",
    )


def _describe_fixed_share(finding: Finding, class_names: Mapping[str, str]) -> Description:
    evidence = finding.evidence
    named = name_class(finding.subject, class_names)
    headline = f"{_upper(named)} takes {format_share(evidence.observed)} of predictions"
    return Description(
        headline=headline,
        what=f"{headline}, more than the fixed limit of {format_share(evidence.threshold)}.",
        what_was=f"{_upper(named)} took {format_share(evidence.observed)} of predictions, more than the fixed "
        f"limit of {format_share(evidence.threshold)}.",
        how_bad=f"{format_points(evidence.observed - evidence.threshold)} than the limit, "
        f"in {finding.window.predictions:,} predictions.",
        over=f"{_upper(named)} is below its fixed limit again",
        next_step="Compare with the class-concentration detector, which knows the baseline: if it is "
        "silent, the limit may be too low for this traffic.",
    )


def _describe_confidence(finding: Finding, _: Mapping[str, str]) -> Description:
    evidence = finding.evidence
    what = (
        f"Mean confidence of predictions fell to {evidence.observed:.2f}; "
        f"the baseline says {evidence.expected:.2f}."
    )
    return Description(
        headline=f"Confidence fell to {evidence.observed:.2f}",
        what=what,
        what_was=what,
        how_bad=f"{abs(evidence.observed - evidence.expected):.2f} "
        f"{'less' if evidence.observed < evidence.expected else 'more'} than usual. {_tell_odds(finding)}",
        over="Confidence is back to its usual level",
        next_step="Look at recent inputs: blur, darkness, a new camera or a change of preprocessing lower "
        "confidence before classes go wrong.",
    )


def _describe_rejected(finding: Finding, _: Mapping[str, str]) -> Description:
    evidence, window = finding.evidence, finding.window
    share = f"{format_share(evidence.observed)} of captured records"
    usual = f"the baseline says {format_share(evidence.expected)}."
    return Description(
        headline=f"{share} cannot be read",
        what=f"{share} cannot be read; {usual}",
        what_was=f"{share} could not be read; {usual}",
        how_bad=f"{window.rejected:,} unreadable records beside {window.predictions:,} predictions. "
        f"{_tell_odds(finding)}",
        over="Captured records can be read again",
        next_step="Read one of the sample records: a changed answer format of the model is the usual "
        "cause; then mend the endpoint's capture expressions in monitors.yml.",
    )


def _describe_no_data(finding: Finding, _: Mapping[str, str]) -> Description:
    evidence = finding.evidence
    if finding.subject == "never-seen":
        return _describe_never_seen(finding)
    # Looking back, the silence is as long as it became, not as long as it was when it was called one.
    until_cleared = finding.cleared_at - finding.window.start if finding.cleared_at else None
    silence = format_duration(until_cleared or evidence.observed)
    usual = f"Usually one comes every {format_duration(evidence.expected)}. " if evidence.expected else ""
    allowed = f"this endpoint's rhythm allows {format_duration(evidence.threshold)}."
    return Description(
        headline=f"No captures for {silence}",
        what=f"No capture file has arrived for {silence}; {allowed}",
        what_was=f"No capture file had arrived for {silence}; {allowed}",
        how_bad=f"{usual}While nothing is captured, nothing else can be noticed.",
        over="Captures arrive again",
        next_step="Check that the endpoint is in service, that it is being called, and that its "
        "configuration still captures data.",
    )


def _describe_never_seen(finding: Finding) -> Description:
    waited = format_duration((finding.cleared_at or finding.window.end) - finding.window.start)
    return Description(
        headline="No capture has ever arrived",
        what=f"It has been watched for {waited}, and no capture file has ever arrived.",
        what_was=f"It had been watched for {waited}, and no capture file had ever arrived."
        if finding.no_longer_judged
        else f"It had been watched for {waited} before the first capture file arrived.",
        how_bad="Nothing of this endpoint is watched until captures arrive.",
        over="The first capture has arrived",
        next_step="Check that data capture is on in the endpoint's configuration, that it writes below the capture prefix of "
        "the watched bucket, and that the bucket's EventBridge notifications are on (sagewatch doctor).",
    )


def _describe_unknown(finding: Finding, class_names: Mapping[str, str]) -> Description:
    evidence = finding.evidence
    kind = clean_text(finding.kind, NAME_LIMIT)
    named = f" of {name_class(finding.subject, class_names)}" if finding.subject else ""
    what = (
        f"The detector {clean_text(finding.detector.name, NAME_LIMIT)} raised {kind}{named}: observed "
        f"{evidence.observed:.4g}, expected {evidence.expected:.4g}."
    )
    return Description(
        headline=f"Finding of kind {kind}",
        what=what,
        what_was=what,
        how_bad=f"Its statistic is {evidence.statistic:.4g}, the threshold {evidence.threshold:.4g}.",
        over=f"The finding of kind {kind} has cleared",
        next_step="Open the incident page and read the evidence.",
    )


def _tell_odds(finding: Finding) -> str:
    """The evidence as odds.

    A statistic of e-SR at level M is reached by chance once in at least M predictions on average (Shin,
    Ramdas and Rinaldo, arXiv 2203.03532), which holds for every level, not only for the threshold.
    """
    evidence = finding.evidence
    if evidence.statistic >= _AS_GOOD_AS_NEVER:
        return (
            "Chance alone practically never brings evidence this strong "
            f"(the alarm is set at one in {format_count(evidence.threshold)} predictions)."
        )
    return (
        f"Chance alone brings evidence this strong less than once in {format_count(evidence.statistic)} "
        f"predictions (the alarm is set at one in {format_count(evidence.threshold)})."
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_KINDS: dict[str, Callable[[Finding, Mapping[str, str]], Description]] = {
    "class-concentration": _describe_concentration,
    "fixed-share": _describe_fixed_share,
    "confidence": _describe_confidence,
    "rejected": _describe_rejected,
    "no-data": _describe_no_data,
    **REPORT_KINDS,
}

GATHERING = frozenset({"class-concentration", "confidence", "rejected"})
"""Kinds whose detector gathers evidence from one prediction to the next; the others compare two numbers."""

KINDS = tuple(_KINDS)
"""Finding kinds that have words of their own, and a runbook."""
