"""SageMaker's json-1.1 protocol: checks requests and answers against botocore's own service model."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import OperationNotFoundError
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Mapping


class ApiError(Exception):
    """An error as AWS answers it.

    Parameters
    ----------
    code
        Such as ``ValidationException``.
    message
        For people.
    status
        HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def refused(message: str) -> ApiError:
    """The error of a request that cannot be done."""
    return ApiError("ValidationException", message)


@functools.cache
def service_model() -> Any:
    """Botocore's description of the SageMaker API; loading it takes half a second."""
    return botocore.session.get_session().get_service_model("sagemaker")


def operation_model(operation: str) -> Any:
    """Botocore's description of one operation.

    Raises
    ------
    ApiError
        SageMaker has no such operation.
    """
    try:
        return service_model().operation_model(operation)
    except OperationNotFoundError as error:
        raise ApiError("UnknownOperationException", f"no operation {operation}", 404) from error


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that SageMaker would refuse: required fields, types, minima, unknown fields, names.

    Raises
    ------
    ApiError
        ValidationException with botocore's report.
    """
    report = ParamValidator().validate(request, operation_model(operation).input_shape)
    if report.has_errors():
        raise refused(report.generate_report())
    if operation.startswith("Create"):
        _check_names(operation, request)


def _check_names(operation: str, request: Mapping[str, Any]) -> None:
    """Length and letters of names, which botocore knows and leaves to the service to check."""
    for member, shape in operation_model(operation).input_shape.members.items():
        if not member.endswith("Name") or shape.type_name != "string" or member not in request:
            continue
        name, rules = request[member], shape.metadata
        where = (
            f"Value '{name}' at '{member[0].lower()}{member[1:]}' failed to satisfy constraint: Member must"
        )
        if len(name) > rules.get("max", len(name)):
            raise refused(
                f"1 validation error detected: {where} have length less than or equal to {rules['max']}"
            )
        if not re.fullmatch(rules.get("pattern", ".*"), name):
            raise refused(
                f"1 validation error detected: {where} satisfy regular expression pattern: ^{rules['pattern']}"
            )


def check_answer(operation: str, answer: Mapping[str, Any]) -> None:
    """Refuse to send what SageMaker never would: the mistake is ours.

    Raises
    ------
    ApiError
        InternalFailure with botocore's report.
    """
    shape = operation_model(operation).output_shape
    if shape is None:
        return
    checked = dict(answer)
    if operation == "DescribeEndpoint" and "DataCaptureConfig" in answer:
        # The model calls the key required, the real service leaves it out (CONTRACTS §6.3).
        checked["DataCaptureConfig"] = {"KmsKeyId": "", **answer["DataCaptureConfig"]}
    report = ParamValidator().validate(checked, shape)
    if report.has_errors():
        raise ApiError("InternalFailure", f"{operation}: {report.generate_report()}", 500)


def only_members(operation: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the operation's answer has a place for, the absent ones left out."""
    members = operation_model(operation).output_shape.members
    return {key: value for key, value in values.items() if key in members and value is not None}
