"""The account around the stack: what the diagnosis is allowed there, and how much there is of it.

Both go wrong only at night, in the middle of a swap; so they are asked beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.endpoints import find_endpoint

if TYPE_CHECKING:
    from sagewatch.monitors import Monitors

_SAGEMAKER = "sagemaker"
_PASSED_TO = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyValues": ["sagemaker.amazonaws.com"],
    "ContextKeyType": "string",
}


def check_rights(patient: Patient) -> Iterator[Line]:
    """The diagnosis may update each endpoint that it is to swap, and hand on the role of its model."""
    endpoints = _list_swapped(patient)
    role = patient.list_resources("AWS::IAM::Role").get("AdvanceDiagnosisRole") if endpoints else None
    if role is None:
        return
    role_arn = patient.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    for endpoint in endpoints:
        name = endpoint["EndpointName"]
        fix = f"Set {name} to `mode: swap` in the monitors.yml that the stack is deployed with."
        yield _simulate(patient, role_arn, "sagemaker:UpdateEndpoint", endpoint["EndpointArn"], fix)
        for model_role in _list_model_roles(patient, endpoint):
            fix = f"Add {model_role} to the stack's parameter modelRoleArns."
            yield _simulate(patient, role_arn, "iam:PassRole", model_role, fix)


def check_quotas(patient: Patient) -> Iterator[Line]:
    """There is room for a second fleet while an update is under way, and for the saliency job."""
    wanted: dict[str, float] = {}
    for endpoint in _list_swapped(patient):
        for kind, instances in _count_instances(patient, endpoint).items():
            name = f"{kind} for endpoint usage"
            # Blue and green stand side by side until the new fleet takes all traffic.
            wanted[name] = wanted.get(name, 0) + 2 * instances
    if not wanted:
        return
    instance = patient.outputs.get("MonitorInstanceType", "")
    if instance:
        wanted[f"{instance} for processing job usage"] = 1
    quotas = _list_quotas(patient)
    for name, count in sorted(wanted.items()):
        allowed = quotas.get(name)
        fix = f"Ask for a higher quota (Service Quotas, Amazon SageMaker, {name!r})."
        found = f"{allowed:.0f} allowed, {count:.0f} needed" if allowed is not None else "not listed"
        yield Line(None if allowed is None else allowed >= count, f"quota {name}", found, fix)


def _list_swapped(patient: Patient) -> list[dict[str, Any]]:
    monitors: Monitors | None = patient.monitors
    if monitors is None:
        return []
    swapped = [name for name, watched in monitors.endpoints.items() if watched.diagnosis.mode == "swap"]
    # One that is not there has its line among the endpoints.
    return [found for name in swapped if (found := find_endpoint(patient, name)) is not None]


def _list_model_roles(patient: Patient, endpoint: Mapping[str, Any]) -> list[str]:
    sagemaker = patient.client(_SAGEMAKER)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    models = {row["ModelName"] for row in config["ProductionVariants"] if "ModelName" in row}
    roles = {sagemaker.describe_model(ModelName=name)["ExecutionRoleArn"] for name in models}
    return sorted(roles)


def _count_instances(patient: Patient, endpoint: Mapping[str, Any]) -> dict[str, int]:
    """Instances by type; serverless variants have none."""
    now = {
        row["VariantName"]: row.get("CurrentInstanceCount", 1)
        for row in endpoint.get("ProductionVariants", [])
    }
    config = patient.client(_SAGEMAKER).describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    counts: dict[str, int] = {}
    for row in config["ProductionVariants"]:
        kind = row.get("InstanceType")
        if kind:
            counts[kind] = counts.get(kind, 0) + now.get(row["VariantName"], 1)
    return counts


def _list_quotas(patient: Patient) -> dict[str, float]:
    pages = patient.client("service-quotas").get_paginator("list_service_quotas")
    rows = [row for page in pages.paginate(ServiceCode=_SAGEMAKER) for row in page["Quotas"]]
    return {row["QuotaName"]: float(row["Value"]) for row in rows}


def _simulate(patient: Patient, role_arn: str, action: str, resource: str, fix: str) -> Line:
    context = [_PASSED_TO] if action == "iam:PassRole" else []
    answer = patient.client("iam").simulate_principal_policy(
        PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[resource], ContextEntries=context
    )
    (result,) = answer["EvaluationResults"]
    decision = result["EvalDecision"]
    return Line(decision == "allowed", f"{action} on {resource.rpartition(':')[2]}", decision, fix)
