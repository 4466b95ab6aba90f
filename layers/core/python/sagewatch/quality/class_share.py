"""The first notebook's check: one class makes up more of the predictions than its owner accepts."""

from __future__ import annotations

from collections.abc import Mapping

from sagewatch.errors import RejectedInputError
from sagewatch.quality.profile import Tables
from sagewatch.quality.tally import Tally
from sagewatch.quality.violations import CLASS_SHARE, Evidence, Violation


def count_classes(tables: Tables) -> Tally:
    """Predictions a class; the class is the first value of each answer.

    Parameters
    ----------
    tables
        Captures: what the model answered makes their first columns. Rows without a value there count for no class,
        nor do those without an answer.
    """
    classes = Tally()
    for shape, table in tables.by_shape.items():
        first = next(iter(table.columns.values()), None)
        if first is not None and (shape.is_named or shape.outputs):
            classes.merge(first.tally)
    classes.counts = dict(sorted(classes.counts.items(), key=lambda item: (-item[1], item[0])))
    return classes


def find_class_violations(
    classes: Tally, threshold: float, names: Mapping[str, str] | None = None
) -> list[Violation]:
    """A violation for each class beyond its share.

    Parameters
    ----------
    classes
        Predictions a class. Where there are so many that not all are counted, a class may have had a little more,
        and is taken to have had it.
    threshold
        Largest accepted share of one class, in [0, 1].
    names
        What the classes are called.

    Raises
    ------
    RejectedInputError
        When one above the threshold may be among those that are not counted: in partial profiles of an older version.

    Examples
    --------
    >>> classes = Tally.from_state([{"14": 8, "2": 2}, 10, 0, False])
    >>> find_class_violations(classes, 0.5, {"14": "Stop sign"})[0].description
    "Class 14 ('Stop sign') predicted 80.0 % of the time which is above the threshold of 50.0 %"
    """
    total = classes.total
    if classes.missed > total * threshold:
        reason = "the predicted classes were not counted: an older version wrote them"
        raise RejectedInputError(reason, where="partial profiles")
    violations = []
    for label, count in classes.counts.items():
        share = min(1.0, (count + classes.missed) / total)
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
