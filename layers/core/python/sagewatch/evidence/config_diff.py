"""The endpoint's configurations side by side: what the diagnosis changed, and that it was changed back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagewatch.evidence.model import EndpointConfigs

_NAME = "EndpointConfigName"
_OF_THE_ANSWER = frozenset({"ResponseMetadata", "CreationTime", "EndpointConfigArn", "ModelArn"})
"""What differs between any two configurations or models and says nothing: DescribeModel tells it of models."""
_MODEL = "Model"


class ConfigRow(msgspec.Struct, frozen=True):
    """One setting in the three configurations; None where it is absent.

    Attributes
    ----------
    changed
        The diagnosis changed it.
    restored
        The endpoint's present value is the original one.
    """

    path: str
    original: str | None
    hooked: str | None
    final: str | None
    changed: bool
    restored: bool


def compare_configs(configs: EndpointConfigs) -> list[ConfigRow]:
    """A row a setting, in the order of the original, those first that only another has coming last."""
    final = configs.final
    if configs.original and final and final.get(_NAME) == configs.original.get(_NAME):
        # Endpoint configurations cannot be changed: the same name is the same configuration.
        final = configs.original
    flat = [dict(_flatten(config or {})) for config in (configs.original, configs.hooked, final)]
    paths = dict.fromkeys(path for settings in flat for path in settings)
    return [_build_row(path, *(settings.get(path) for settings in flat), configs=configs) for path in paths]


def _build_row(
    path: str, original: str | None, hooked: str | None, final: str | None, *, configs: EndpointConfigs
) -> ConfigRow:
    return ConfigRow(
        path=path,
        original=original,
        hooked=hooked,
        final=final,
        changed=configs.hooked is not None and original != hooked,
        restored=configs.final is None or final == original,
    )


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        yield from _flatten_mapping(value, path)
    elif isinstance(value, list | tuple) and value:
        for number, inside in enumerate(value):
            yield from _flatten(inside, f"{path}[{number}]")
    elif path:
        yield path, value if isinstance(value, str) else json.dumps(value, default=str)


def _flatten_mapping(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, inside in value.items():
        if path not in {"", _MODEL} or key not in _OF_THE_ANSWER:
            yield from _flatten(inside, f"{path}.{key}" if path else str(key))
