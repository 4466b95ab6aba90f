"""The first notebook's check: one class makes up more of the predictions than its owner accepts."""

from __future__ import annotations

from collections.abc import Mapping

from sagewatch.quality.profile import Tables
from sagewatch.quality.violations import CLASS_SHARE, Evidence, Violation


def count_classes(tables: Tables) -> dict[str, int]:
    """Predictions a class, most frequent first; the class is the first value of each answer.

    Parameters
    ----------
    tables
        Captures: what the model answered makes their first columns. Rows without a value there count for no class,
        nor do those without an answer.
    """
    counts: dict[str, int] = {}
    for shape, table in tables.by_shape.items():
        if not shape.is_named and not shape.outputs:
            continue
        first = next(iter(table.columns.values()), None)
        for name, count in (first.categories or {}).items() if first is not None else ():
            counts[name] = counts.get(name, 0) + count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def find_class_violations(
    counts: Mapping[str, int], threshold: float, names: Mapping[str, str] | None = None
) -> list[Violation]:
    """A violation for each class beyond its share.

    Parameters
    ----------
    counts
        Predictions a class.
    threshold
        Largest accepted share of one class, in [0, 1].
    names
        What the classes are called.

    Examples
    --------
    >>> find_class_violations({"14": 8, "2": 2}, 0.5, {"14": "Stop sign"})[0].description
    "Class 14 ('Stop sign') predicted 80.0 % of the time which is above the threshold of 50.0 %"
    """
    total = sum(counts.values())
    violations = []
    for label, count in counts.items():
        share = count / total
        if share <= threshold:
            continue
        called = f" ('{names[label]}')" if names and label in names else ""
        description = (
            f"Class {label}{called} predicted {share:.1%} of the time which is above the threshold of {threshold:.1%}"
        ).replace("%", " %")
        evidence = Evidence(
            statistic=share, threshold=threshold, effect_size=share - threshold, sample_size=total
        )
        violations.append(
            Violation(
                feature_name=label,
                constraint_check_type=CLASS_SHARE,
                description=description,
                evidence=evidence,
            )
        )
    return violations
