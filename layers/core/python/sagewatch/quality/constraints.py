"""``constraints.json``: what a baseline expects of each feature (CONTRACTS §2.5), AWS's spellings all read."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sagewatch.errors import RejectedInputError
from sagewatch.quality.documents import decode_document, encode_document

ENABLED: Final = "Enabled"
# AWS's analyzer takes up to so many values as a string's domain.
MOST_CATEGORIES: Final = 120
NULL_CATEGORY: Final = "NullValue"


class DistributionConstraints(msgspec.Struct, frozen=True, omit_defaults=False):
    """How two distributions are compared. Keys that a file leaves out take AWS's documented values."""

    perform_comparison: str = ENABLED
    comparison_threshold: float = 0.1
    comparison_method: str = "Robust"
    categorical_comparison_threshold: float | UnsetType = UNSET
    categorical_drift_method: str | UnsetType = UNSET

    @property
    def categorical_threshold(self) -> float:
        """The bound for strings: that for numbers where none is set."""
        own = self.categorical_comparison_threshold
        return self.comparison_threshold if own is UNSET else own


class MonitoringConfig(msgspec.Struct, frozen=True):
    """The file's switches and thresholds."""

    evaluate_constraints: str = ENABLED
    emit_metrics: str = ENABLED
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class Overrides(msgspec.Struct, frozen=True):
    """One feature's own switches; what is unset is the file's."""

    evaluate_constraints: str | UnsetType = UNSET
    emit_metrics: str | UnsetType = UNSET
    datatype_check_threshold: float | UnsetType = UNSET
    domain_content_threshold: float | UnsetType = UNSET
    distribution_constraints: dict[str, msgspec.Raw] | UnsetType = UNSET


class NumericConstraints(msgspec.Struct, frozen=True):
    """What a number must be."""

    is_non_negative: bool = False


class StringConstraints(msgspec.Struct, frozen=True):
    """Which strings there may be. The overrides stood here in 2019."""

    domains: list[str] | UnsetType = UNSET
    monitoring_config_overrides: Overrides | UnsetType = UNSET


class FeatureConstraints(msgspec.Struct, frozen=True):
    """What is expected of one feature."""

    name: str
    inferred_type: str
    completeness: float = 0.0
    num_constraints: NumericConstraints | UnsetType = UNSET
    string_constraints: StringConstraints | UnsetType = UNSET
    # What the SDK's set_monitoring writes, and what the developer guide spells.
    monitoring_config_overrides: Overrides | UnsetType = UNSET
    documented_overrides: Overrides | UnsetType = msgspec.field(
        default=UNSET, name="monitoringConfigOverrides"
    )

    @property
    def domains(self) -> list[str] | None:
        """The allowed values of a string; None where any value goes."""
        if self.string_constraints is UNSET or self.string_constraints.domains is UNSET:
            return None
        return self.string_constraints.domains

    @property
    def overrides(self) -> tuple[Overrides, ...]:
        """The overrides in all three spellings; a later one wins."""
        nested = (
            UNSET if self.string_constraints is UNSET else self.string_constraints.monitoring_config_overrides
        )
        given = (nested, self.documented_overrides, self.monitoring_config_overrides)
        return tuple(each for each in given if each is not UNSET)


class Constraints(msgspec.Struct, frozen=True):
    """A whole ``constraints.json`` of data quality."""

    version: float = 0.0
    features: list[FeatureConstraints] = []
    monitoring_config: MonitoringConfig = MonitoringConfig()

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the columns."""
        return tuple(feature.name for feature in self.features)

    def config_of(self, feature: FeatureConstraints) -> MonitoringConfig:
        """The switches that hold for a feature: its overrides, else the file's."""
        config = self.monitoring_config
        for overrides in feature.overrides:
            config = _override(config, overrides)
        return config


_decoder = msgspec.json.Decoder(Constraints, strict=False)


def parse_constraints(content: bytes, where: str = "constraints.json") -> Constraints:
    """Read ``constraints.json``, AWS's of any year or ours; keys that are not known are passed over.

    Raises
    ------
    RejectedInputError
        When it is no such file.
    """
    found = decode_document(_decoder, content, "constraints", where)
    try:
        # An override of nonsense is refused here, where its file is known, and not in the middle of a check.
        for feature in found.features:
            found.config_of(feature)
    except (ValueError, TypeError, RecursionError) as error:
        raise RejectedInputError(f"no constraints ({error})", where=where) from error
    return found


def render_constraints(constraints: Constraints) -> bytes:
    """The file's content, UTF-8."""
    return encode_document(constraints)


def _override(config: MonitoringConfig, overrides: Overrides) -> MonitoringConfig:
    given = msgspec.structs.asdict(overrides)
    changes = {key: value for key, value in given.items() if value is not UNSET}
    distribution = changes.pop("distribution_constraints", None)
    if distribution:
        own = msgspec.json.decode(
            msgspec.json.encode(distribution), type=DistributionConstraints, strict=False
        )
        kept = {key: getattr(own, key) for key in own.__struct_fields__ if key in distribution}
        changes["distribution_constraints"] = msgspec.structs.replace(config.distribution_constraints, **kept)
    return msgspec.structs.replace(config, **changes)
