"""How much of the data a verdict speaks for: too few rows, rows of another shape, records that could not be read.

AWS's analyzer knows none of these checks. Without them, an hour in which half of the requests were broken would pass
for a good one, on the strength of the other half.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sagewatch.quality.align import Alignment
from sagewatch.quality.readout import Counts
from sagewatch.quality.violations import (
    EXTRA_COLUMNS,
    MISSING_COLUMNS,
    UNREADABLE,
    Evidence,
    Violation,
    build_row_violation,
    describe_columns,
)

# More than this share of records that could not be used is told of: below lie probes, and requests that were refused.
MOST_UNREADABLE: Final = 0.1


def check_rows(alignment: Alignment, expected: int | None, fewest: float) -> Iterator[Violation]:
    """Far fewer rows than such a window usually holds; ``fewest`` is the accepted share of the expected ones."""
    rows = alignment.table.rows + sum(alignment.left_out.values())
    if expected and rows < fewest * expected:
        yield build_row_violation(rows, expected, fewest)


def check_shapes(alignment: Alignment, wanted: float) -> Iterator[Violation]:
    """Rows with more or fewer columns than those that were compared.

    Parameters
    ----------
    wanted
        Share of rows that must have the right number of columns, in [0, 1]; the baseline's ``datatype_check_threshold``.
    """
    fitting = alignment.table.rows
    rows = fitting + sum(alignment.left_out.values())
    if not alignment.left_out or not alignment.comparable or fitting >= wanted * rows:
        return
    for kind, name, widths in (
        ("missing", MISSING_COLUMNS, [width for width in alignment.left_out if width < alignment.width]),
        ("extra", EXTRA_COLUMNS, [width for width in alignment.left_out if width >= alignment.width]),
    ):
        if not widths:
            continue
        usual = max(widths, key=lambda width: alignment.left_out[width])
        share = sum(alignment.left_out[width] for width in widths) / rows
        yield Violation(
            feature_name=f"{kind.capitalize()} columns",
            constraint_check_type=name,
            description=f"{describe_columns(kind, usual, alignment.width)}. Observed in {share * 100:.4g}% of rows.",
            evidence=Evidence(statistic=share, threshold=1 - wanted, effect_size=share, sample_size=rows),
        )


def check_records(counts: Counts, most: float = MOST_UNREADABLE) -> Iterator[Violation]:
    """Records that could not be read, and answers that were errors: the verdict does not speak for them.

    Examples
    --------
    >>> [one.description for one in check_records(Counts(lines=10, rejected=2, error_responses=3))]
    ['Record requirement is not met. Observed: 50% of records (2 unreadable, 3 error responses). Expected: at most 10%.']
    """
    records = counts.lines - counts.outside_window
    unused = min(records, counts.rejected + counts.error_responses)
    if records <= 0 or unused <= most * records:
        return
    share = unused / records
    said = f"{counts.rejected} unreadable, {counts.error_responses} error responses"
    yield Violation(
        feature_name="Records",
        constraint_check_type=UNREADABLE,
        description=(
            f"Record requirement is not met. Observed: {share * 100:.4g}% of records ({said}). "
            f"Expected: at most {most * 100:g}%."
        ),
        evidence=Evidence(statistic=share, threshold=most, effect_size=share, sample_size=records),
    )
