"""The files that an analysis leaves behind, each written whole, and the sentence that tells how it went."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from sagewatch.container import write_whole
from sagewatch.quality.analysis import Analysis
from sagewatch.quality.constraints import render_constraints
from sagewatch.quality.documents import CONSTRAINTS, STATISTICS
from sagewatch.quality.readout import Readout
from sagewatch.quality.statistics import render_statistics
from sagewatch.quality.violations import Violations, render_violations

VIOLATIONS: Final = "constraint_violations.json"
REJECTED: Final = "rejected_records.jsonl"


def write_report(folder: Path, analysis: Analysis, readout: Readout, *, with_violations: bool) -> list[Path]:
    """Write the reports in AWS's order, and the rejected lines where there are any.

    Parameters
    ----------
    with_violations
        True for a monitoring job: the file is written also when there are none. A baseline has no such file.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    contents = {
        CONSTRAINTS: render_constraints(analysis.constraints),
        STATISTICS: render_statistics(analysis.statistics),
    }
    if with_violations:
        contents[VIOLATIONS] = render_violations(Violations(analysis.violations))
    if readout.rejected:
        contents[REJECTED] = b"".join(msgspec.json.encode(line) + b"\n" for line in readout.rejected)
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def describe_outcome(violations: int) -> str:
    """AWS's sentence, from which the execution's status is told.

    Examples
    --------
    >>> describe_outcome(1)
    'CompletedWithViolations: Job completed successfully with 1 violations.'
    """
    if not violations:
        return "Completed: Job completed successfully with no violations."
    return f"CompletedWithViolations: Job completed successfully with {violations} violations."


def describe_rejected(readout: Readout) -> str:
    """What could not be read, in one sentence; empty where all could."""
    counts = readout.counts
    said = []
    if counts.rejected:
        first = readout.rejected[0]
        reasons = ", ".join(f"{count} {reason}" for reason, count in readout.reasons.most_common(3))
        said.append(
            f"{counts.rejected} of {counts.lines} lines were rejected ({reasons}; first: {first.where}, line {first.line})."
        )
    if counts.error_responses:
        said.append(f"{counts.error_responses} records are error responses.")
    return " ".join(said)


def describe_nothing(readout: Readout) -> str:
    """Why there is not one row, in one sentence."""
    counts = readout.counts
    said = [describe_rejected(readout)]
    if counts.outside_window:
        said.append(f"{counts.outside_window} records lie outside the window.")
    if counts.dropped:
        said.append(f"The preprocess script dropped {counts.dropped} records.")
    return " ".join(filter(None, said)) or "There are only blank lines, a header, or records without values."
