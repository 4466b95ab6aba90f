"""Stacks: cfn-lint's warnings are no errors, updates refresh the outputs, failures name their resource."""

from __future__ import annotations

from typing import Any

import moto.cloudformation.models as stacks
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError


class ResourceFailedError(ValidationError):  # type: ignore[misc]
    """A resource could not be created: which one, of which type, and why."""

    def __init__(self, logical_id: str, resource_type: str, reason: str) -> None:
        super().__init__(message=f"{logical_id} ({resource_type}): {reason}")


def apply_change_set(change_set: Any) -> None:
    """Apply a change set and refresh what `describe_stacks` shows of it (osls updates by change sets)."""
    stack = change_set.stack
    stack.resource_map.update(change_set.template_dict, change_set.parameters)
    stack.template, stack.template_dict = change_set.template, change_set.template_dict
    stack.output_map = stack._create_output_map()  # noqa: SLF001


def accept_lint_warnings(_template: str) -> list[Any]:
    """cfn-lint runs in `make lint`; moto would treat its warnings as fatal."""
    return []


def fill() -> None:
    """Replace the three functions."""
    create = parsing.parse_and_create_resource

    def create_or_name(logical_id: str, resource_json: dict[str, Any], *more: Any, **named: Any) -> Any:
        try:
            return create(logical_id, resource_json, *more, **named)
        except ResourceFailedError:
            raise  # a dependency that has been named already
        except Exception as error:  # any model's any error: only the name is added
            reason = f"{type(error).__name__}: {getattr(error, 'message', error)}"
            raise ResourceFailedError(logical_id, str(resource_json.get("Type")), reason) from error

    parsing.parse_and_create_resource = create_or_name
    stacks.validate_template_cfn_lint = accept_lint_warnings
    stacks.ChangeSet.apply = apply_change_set
