"""Which column is which feature: rows of any shape against the names of a baseline (CONTRACTS §1.5)."""

from __future__ import annotations

import enum

import msgspec

from sagewatch.quality.profile import Shape, TableProfile, Tables
from sagewatch.quality.violations import (
    EXTRA_COLUMNS,
    MISSING_COLUMNS,
    Evidence,
    Violation,
    describe_columns,
)


class Mode(enum.StrEnum):
    """Whose verdicts: the right ones, or AWS's with its faults."""

    EXACT = "exact"
    COMPAT = "compat"


class _Fit(enum.IntEnum):
    """How well rows fit a baseline; smaller is better."""

    WHOLE = 0
    INPUTS_ONLY = 1
    SOME_NAMES = 2
    NOT = 3


class Alignment(msgspec.Struct, frozen=True):
    """The rows that can be compared, by the baseline's names.

    Attributes
    ----------
    table
        Profile of those rows; without rows where none fit.
    violations
        What is to be said of the number of columns.
    comparable
        False where a verdict on single features would mean nothing.
    left_out
        Rows of other shapes, a count for each number of columns.
    width
        Columns of the rows that can be compared, as they were sent.
    """

    table: TableProfile
    violations: list[Violation]
    comparable: bool
    left_out: dict[int, int]
    width: int = 0


def align_tables(tables: Tables, expected: tuple[str, ...] | None, mode: Mode) -> Alignment:
    """Choose the rows to look at and name their columns.

    Parameters
    ----------
    tables
        What was read.
    expected
        The baseline's names, in order; None where there is no baseline.
    mode
        In ``compat`` the most frequent shape speaks alone, by position, and a wrong number of columns ends the
        analysis. In ``exact`` columns are matched by name where they have names, a baseline without the model's
        outputs is compared with the inputs, and what can be compared is compared.
    """
    if not tables.by_shape:
        return Alignment(TableProfile(), [], comparable=False, left_out={})
    ranked = sorted(tables.by_shape, key=lambda shape: (-tables.by_shape[shape].rows, shape))
    if expected is None:
        return _take(tables, [ranked[0]], None, _Fit.WHOLE)
    fits = {shape: _judge(tables.by_shape[shape], shape, expected, mode) for shape in ranked}
    chosen = ranked[0] if mode is Mode.COMPAT else min(ranked, key=lambda shape: fits[shape])
    alike = [shape for shape in ranked if fits[shape] == fits[chosen] and _is_alike(shape, chosen)]
    alignment = _take(tables, alike, expected, fits[chosen])
    dominant = ranked[0]
    if fits[dominant] in {_Fit.WHOLE, _Fit.INPUTS_ONLY}:
        return alignment
    said = _compare_columns(tuple(tables.by_shape[dominant].columns), dominant, expected, mode)
    comparable = alignment.comparable and mode is Mode.EXACT
    return msgspec.structs.replace(alignment, violations=said, comparable=comparable)


def _judge(table: TableProfile, shape: Shape, expected: tuple[str, ...], mode: Mode) -> _Fit:
    if shape.is_named:
        common = len(set(table.columns) & set(expected))
        if common == len(expected) == len(table.columns):
            return _Fit.WHOLE
        if common and mode is Mode.EXACT:
            return _Fit.SOME_NAMES
        return _Fit.WHOLE if len(table.columns) == len(expected) else _Fit.NOT
    if shape.width == len(expected):
        return _Fit.WHOLE
    if mode is Mode.EXACT and shape.outputs and shape.width - shape.outputs == len(expected):
        return _Fit.INPUTS_ONLY
    return _Fit.NOT


def _is_alike(one: Shape, other: Shape) -> bool:
    """Rows without names may be put together when they fit equally well; named ones lie in one table anyway."""
    return one == other or (not one.is_named and not other.is_named and one.width == other.width)


def _take(tables: Tables, alike: list[Shape], expected: tuple[str, ...] | None, fit: _Fit) -> Alignment:
    taken = TableProfile(tables.most_categories)
    for shape in alike:
        taken.merge(_name(tables.by_shape[shape], shape, expected, fit))
    others = [shape for shape in tables.by_shape if shape not in alike]
    left_out: dict[int, int] = {}
    for shape in others:
        width = len(tables.by_shape[shape].columns)
        left_out[width] = left_out.get(width, 0) + tables.by_shape[shape].rows
    width = len(tables.by_shape[alike[0]].columns)
    return Alignment(taken, [], fit is not _Fit.NOT, left_out, width)


def _name(table: TableProfile, shape: Shape, expected: tuple[str, ...] | None, fit: _Fit) -> TableProfile:
    if expected is None or fit is _Fit.NOT:
        return table
    if fit is _Fit.INPUTS_ONLY:
        return table.pick(list(table.columns)[shape.outputs :]).rename(expected)
    if set(expected) & set(table.columns):
        return table.pick(expected)
    # AWS sorts the keys of records as text and then goes by position.
    ordered = table.pick(sorted(table.columns)) if shape.is_named else table
    return ordered.rename(expected)


def _compare_columns(
    names: tuple[str, ...], shape: Shape, expected: tuple[str, ...], mode: Mode
) -> list[Violation]:
    """AWS's sentences count columns; ours also name them where they have names."""
    if not shape.is_named or mode is Mode.COMPAT:
        if len(names) == len(expected):
            return []
        return [
            _say("missing" if len(names) < len(expected) else "extra", len(names), len(expected), [], mode)
        ]
    missing = [name for name in expected if name not in set(names)]
    extra = [name for name in names if name not in set(expected)]
    said = []
    if missing:
        said.append(_say("missing", len(names), len(expected), missing, mode))
    if extra:
        said.append(_say("extra", len(names), len(expected), extra, mode))
    return said


def _say(kind: str, current: int, expected: int, names: list[str], mode: Mode) -> Violation:
    violation = Violation(
        feature_name=f"{kind.capitalize()} columns",
        constraint_check_type=MISSING_COLUMNS if kind == "missing" else EXTRA_COLUMNS,
        description=describe_columns(kind, current, expected),
    )
    if mode is Mode.COMPAT:
        return violation
    evidence = Evidence(
        effect_size=float(len(names) or abs(current - expected)),
        effect_unit="columns",
        categories=names[:20],
    )
    return msgspec.structs.replace(violation, evidence=evidence)
