"""``statistics.json``: the file as AWS writes it, field by field, in its order (CONTRACTS §2.2)."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sagewatch.errors import RejectedInputError
from sagewatch.quality.documents import decode_document, encode_document

UNKNOWN: Final = "Unknown"
STRING: Final = "String"
INTEGRAL: Final = "Integral"
FRACTIONAL: Final = "Fractional"
# An item of the last level stands for 2 ** 47 values.
_MOST_LEVELS: Final = 48
_MOST_ITEMS: Final = 1 << 24
_SKETCH: Final = "numerical_statistics.distribution.kll.sketch"
NUMERIC: Final = frozenset({INTEGRAL, FRACTIONAL})


class Common(msgspec.Struct, frozen=True):
    """How many values of a feature are there and how many are missing."""

    num_present: int
    num_missing: int = 0


class Bucket(msgspec.Struct, frozen=True):
    """One bar of a number's histogram; the upper bound belongs to the next bar, the last one's to itself."""

    lower_bound: float
    upper_bound: float
    count: float


class SketchParameters(msgspec.Struct, frozen=True):
    """How fast a sketch's levels shrink, and how many items its first level holds."""

    c: float = 0.64
    k: float = 2048.0


class SketchData(msgspec.Struct, frozen=True):
    """A KLL sketch: the items of level i stand for ``2 ** i`` values each."""

    parameters: SketchParameters = SketchParameters()
    data: list[list[float]] = []


class Kll(msgspec.Struct, frozen=True):
    """A number's histogram and the sketch it was made of."""

    buckets: list[Bucket] = []
    sketch: SketchData | UnsetType = UNSET


class CategoryCount(msgspec.Struct, frozen=True):
    """How often a string occurs."""

    value: str
    count: int


class Categorical(msgspec.Struct, frozen=True):
    """A string's histogram."""

    buckets: list[CategoryCount] = []


class NumericalDistribution(msgspec.Struct, frozen=True):
    """Where the numbers lie."""

    kll: Kll | UnsetType = UNSET


class StringDistribution(msgspec.Struct, frozen=True):
    """Which strings there are."""

    categorical: Categorical | UnsetType = UNSET


class NumericalStatistics(msgspec.Struct, frozen=True):
    """A numerical feature. ``std_dev`` is the population's; files from before 2026 lack the last two numbers."""

    common: Common
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    approximate_num_distinct_values: float | UnsetType = UNSET
    completeness: float | UnsetType = UNSET
    distribution: NumericalDistribution | UnsetType = UNSET


class StringStatistics(msgspec.Struct, frozen=True):
    """A feature of strings; one with many distinct values has no distribution."""

    common: Common
    distinct_count: float | UnsetType = UNSET
    completeness: float | UnsetType = UNSET
    distribution: StringDistribution | UnsetType = UNSET


class FeatureStatistics(msgspec.Struct, frozen=True):
    """One feature; of type ``Unknown`` (all missing) neither kind of statistics is there."""

    name: str
    inferred_type: str = UNKNOWN
    numerical_statistics: NumericalStatistics | UnsetType = UNSET
    string_statistics: StringStatistics | UnsetType = UNSET

    @property
    def common(self) -> Common | None:
        """Present and missing values, where the file says."""
        if self.numerical_statistics is not UNSET:
            return self.numerical_statistics.common
        return None if self.string_statistics is UNSET else self.string_statistics.common

    @property
    def completeness(self) -> float | None:
        """Share of values that are there, in [0, 1]; None where no values were counted."""
        common = self.common
        if common is None or not common.num_present + common.num_missing:
            return None
        return common.num_present / (common.num_present + common.num_missing)

    @property
    def sketch(self) -> SketchData | None:
        """The sketch of a numerical feature."""
        numbers = self.numerical_statistics
        if numbers is UNSET or numbers.distribution is UNSET or numbers.distribution.kll is UNSET:
            return None
        return None if numbers.distribution.kll.sketch is UNSET else numbers.distribution.kll.sketch

    @property
    def buckets(self) -> list[Bucket]:
        """The histogram of a numerical feature; empty where there is none."""
        numbers = self.numerical_statistics
        if numbers is UNSET or numbers.distribution is UNSET or numbers.distribution.kll is UNSET:
            return []
        return numbers.distribution.kll.buckets

    @property
    def categories(self) -> dict[str, int] | None:
        """Counts of a string feature's values; None where there are too many to tell."""
        strings = self.string_statistics
        if strings is UNSET or strings.distribution is UNSET or strings.distribution.categorical is UNSET:
            return None
        return {bucket.value: bucket.count for bucket in strings.distribution.categorical.buckets}


class DatasetStatistics(msgspec.Struct, frozen=True):
    """How many rows were seen."""

    item_count: int = 0


class Statistics(msgspec.Struct, frozen=True):
    """A whole ``statistics.json`` of data quality."""

    version: float = 0.0
    dataset: DatasetStatistics = DatasetStatistics()
    features: list[FeatureStatistics] = []

    def feature(self, name: str) -> FeatureStatistics | None:
        """The feature of that name."""
        return next((feature for feature in self.features if feature.name == name), None)


_decoder = msgspec.json.Decoder(Statistics, strict=False)


def parse_statistics(content: bytes, where: str = "statistics.json") -> Statistics:
    """Read ``statistics.json``, AWS's of any year or ours; keys that are not known are passed over.

    Raises
    ------
    RejectedInputError
        When it is no such file, or a sketch in it is none.
    """
    statistics = decode_document(_decoder, content, "statistics", where)
    for number, feature in enumerate(statistics.features):
        if feature.sketch is not None:
            _check_sketch(feature.sketch, where, f"features[{number}].{_SKETCH}")
    return statistics


def _check_sketch(sketch: SketchData, where: str, key: str) -> None:
    """Refuse what no analyzer writes: levels grow by powers of c and weigh powers of 2."""
    c, k = sketch.parameters.c, sketch.parameters.k
    for name, value, least, most in (
        ("parameters.c", c, 0, 1),
        ("parameters.k", k, 1, _MOST_ITEMS),
        ("data", len(sketch.data), 0, _MOST_LEVELS),
    ):
        if not least <= value <= most:
            reason = f"no statistics (it is {value:g}, not {least} to {most})"
            raise RejectedInputError(reason, where=where, key=f"{key}.{name}")


def render_statistics(statistics: Statistics) -> bytes:
    """The file's content, UTF-8."""
    return encode_document(statistics)
