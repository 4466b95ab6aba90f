"""The captured inputs in which a drifted feature is most extreme: what made a drift finding, line by line."""

from __future__ import annotations

import csv
import heapq
import json
import math
from collections.abc import Iterator, Mapping, Sequence

from sagewatch.capture import pick_lines, read_record
from sagewatch.errors import RejectedInputError
from sagewatch.evidence.model import SampleInput
from sagewatch.finding import Finding
from sagewatch.flows.moved_features import STATISTICS
from sagewatch.flows.samples import Predicted, get_sensitive, iterate_predictions, load_inputs
from sagewatch.quality.moved import Moved
from sagewatch.quality.statistics import parse_statistics
from sagewatch.world import World

SHOWN = 6
MOST_LINES = 2000


def load_extremes(
    finding: Finding, moved: Sequence[Moved], report: Mapping[str, bytes], world: World
) -> tuple[SampleInput, ...]:
    """Inputs of the finding's window with the highest values of the feature that drifted most, or the lowest if it fell.

    A feature of the model's answer, or one that cannot be found in the inputs, gives none.
    """
    feature = next((one for one in moved if one.name in finding.counts and one.mean is not None), None)
    if feature is None or feature.mean is None or feature.usual_mean is None:
        return ()
    names = [one.name for one in parse_statistics(report[STATISTICS]).features]
    rose = feature.mean >= feature.usual_mean
    found = ((value, one) for one, value in _read_values(finding, feature.name, names, world))
    pick = heapq.nlargest if rose else heapq.nsmallest
    chosen = [one for _, one in pick(SHOWN, found, key=lambda pair: pair[0])]
    return tuple(load_inputs(chosen, world, get_sensitive(finding, world)))


def read_value(text: str, name: str, names: Sequence[str]) -> float | None:
    """A feature's number in a request of one row; None where it is not there.

    Parameters
    ----------
    names
        All columns of the data set in their order: the answer's first, then the input's.

    Examples
    --------
    >>> read_value("7,30.5", "age", ["score", "plan", "age"]), read_value('{"age": 31}', "age", ["score", "age"])
    (30.5, 31.0)
    """
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else None
        if document is not None:
            value = float(document[name])
        else:
            row = next(csv.reader([text.strip()]))
            column = names.index(name) - (len(names) - len(row))
            if column < 0 or len(row) > len(names):
                return None  # a column of the answer, or a row of another shape
            value = float(row[column])
    except (ValueError, KeyError, IndexError, TypeError, StopIteration, csv.Error, RecursionError):
        return None
    return value if math.isfinite(value) else None


def _read_values(
    finding: Finding, name: str, names: Sequence[str], world: World
) -> Iterator[tuple[Predicted, float]]:
    looked = 0
    for segment in world.state.load_segments(finding.stream, finding.window.start.replace(microsecond=0)):
        if segment.first_at > finding.window.end or looked >= MOST_LINES:
            continue
        stream = world.objects.open_object(segment.bucket, segment.key)
        if stream is None:
            continue
        answers = {one.sample.line: one for one in iterate_predictions(segment)}
        looked += len(answers)
        for number, line in pick_lines(stream, answers.keys()):
            try:
                record = read_record(line, where=segment.key)
                text = record.input.content.decode() if record.input else ""
            except (RejectedInputError, UnicodeDecodeError):
                continue  # the page shows what can be read
            value = read_value(text, name, names)
            if value is not None:
                yield answers[number], value
