"""What a compiled template comes to with its parameters: which resources CloudFormation makes of it, and with which values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NOTHING = {"Ref": "AWS::NoValue"}


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


def settle(value: Any, template: Mapping[str, Any]) -> Any:
    """A value with its conditions decided and its parameters' defaults written in; what only AWS knows stays as it is.

    Examples
    --------
    >>> has = {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]}
    >>> key = {"Key": {"Fn::If": ["HasKey", {"Ref": "Key"}, {"Ref": "AWS::NoValue"}]}, "Name": {"Fn::Sub": "q-${Key}-${AWS::Region}"}}
    >>> for given in ("", "mine"):
    ...     settle(key, {"Parameters": {"Key": {"Default": given}}, "Conditions": {"HasKey": has}})
    {'Name': {'Fn::Sub': 'q--${AWS::Region}'}}
    {'Key': 'mine', 'Name': {'Fn::Sub': 'q-mine-${AWS::Region}'}}
    """
    if isinstance(value, list):
        return [one for one in (settle(part, template) for part in value) if one != _NOTHING]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name == "Fn::If" and isinstance(inner, list) and len(inner) == 3:
            holds = _holds({"Condition": inner[0]}, template)
            if holds is not None:
                return settle(inner[1 if holds else 2], template)
        if name == "Ref" and (given := _resolve(value, template)) is not None:
            return given
        if name == "Fn::Sub":
            return {name: _settle_text(inner, template)}
    each = {key: settle(one, template) for key, one in value.items()}
    return {key: one for key, one in each.items() if one != _NOTHING}


def _settle_text(inner: Any, template: Mapping[str, Any]) -> Any:
    if isinstance(inner, list):
        return [_settle_text(inner[0], template), *(settle(one, template) for one in inner[1:])]
    given = {name: one["Default"] for name, one in template.get("Parameters", {}).items() if "Default" in one}
    return re.sub(r"\$\{(\w+)\}", lambda found: str(given.get(found[1], found[0])), str(inner))


def _holds(condition: Any, template: Mapping[str, Any]) -> bool | None:
    """Whether a condition is true; None where the template does not tell."""
    if not isinstance(condition, Mapping) or len(condition) != 1:
        return None
    ((name, inner),) = condition.items()
    if name == "Condition":
        if not isinstance(inner, str):
            return None
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
    name = value.get("Ref")
    given = template.get("Parameters", {}).get(name, {}) if isinstance(name, str) else {}
    default = given.get("Default")
    return None if default is None else str(default)
