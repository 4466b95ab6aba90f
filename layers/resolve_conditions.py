"""Which resources of a compiled template CloudFormation makes: a condition may leave one out for what a parameter says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def list_made(template: Mapping[str, Any]) -> set[str]:
    """Logical ids of the resources that stand once the template is deployed with its parameters' defaults.

    A condition that hangs on what only AWS knows (the partition, a parameter without a default) counts as true.

    Examples
    --------
    >>> rows = {"Own": {"Condition": "None"}, "Queue": {}}
    >>> none = {"Fn::Equals": [{"Ref": "Given"}, ""]}
    >>> for given in ("", "mine"):
    ...     template = {"Parameters": {"Given": {"Default": given}}, "Conditions": {"None": none}, "Resources": rows}
    ...     sorted(list_made(template))
    ['Own', 'Queue']
    ['Queue']
    """
    return {
        name
        for name, row in template.get("Resources", {}).items()
        if "Condition" not in row or _holds({"Condition": row["Condition"]}, template) is not False
    }


def _holds(condition: Any, template: Mapping[str, Any]) -> bool | None:
    """Whether a condition is true; None where the template does not tell."""
    if not isinstance(condition, Mapping) or len(condition) != 1:
        return None
    ((name, inner),) = condition.items()
    if name == "Condition":
        return _holds(template.get("Conditions", {}).get(inner), template)
    if not isinstance(inner, list):
        return None
    if name == "Fn::Equals":
        values = [_resolve(one, template) for one in inner]
        return None if None in values else len(set(values)) == 1
    each = [_holds(one, template) for one in inner]
    if name == "Fn::Not":
        return None if each[0] is None else not each[0]
    if name == "Fn::And":
        return False if False in each else None if None in each else True
    if name == "Fn::Or":
        return True if True in each else None if None in each else False
    return None


def _resolve(value: Any, template: Mapping[str, Any]) -> str | None:
    """A value as a text; None where the template does not tell."""
    if not isinstance(value, Mapping):
        return str(value).lower() if isinstance(value, bool) else str(value)
    default = template.get("Parameters", {}).get(value.get("Ref"), {}).get("Default")
    return None if default is None else str(default)
