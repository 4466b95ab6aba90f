"""The account around the stack: what the diagnosis is allowed there, and how much there is of it.

Both go wrong only at night, in the middle of a swap; so they are asked beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.endpoints import find_endpoint

if TYPE_CHECKING:
    from sagewatch.monitors import Monitors

MOST_ENDPOINTS = 300
"""Looked at for the instances that are in use; an account that has more is told so."""

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
    """There is room for a second fleet while an update is under way, beside all that runs, and for the saliency job."""
    swapped = _list_swapped(patient)
    # Blue and green stand side by side until the new fleet takes all traffic.
    green = sum((_count_instances(patient, endpoint) for endpoint in swapped), Counter[str]())
    if not green:
        return
    used, unseen = _count_used(patient, swapped)
    wanted = {
        f"{kind} for endpoint usage": (
            used[kind] + count,
            f"{used[kind]} in use, {count} more while it is swapped",
        )
        for kind, count in green.items()
    }
    instance = patient.outputs.get("MonitorInstanceType", "")
    if instance:
        wanted[f"{instance} for processing job usage"] = (1, "1 for the saliency job")
    allowed = _list_quotas(patient, wanted)
    for name, (count, why) in sorted(wanted.items()):
        fix = f"Ask for a higher quota (Service Quotas, Amazon SageMaker, {name!r})."
        found = f"{allowed[name]:.0f} allowed; {why}" if name in allowed else "not listed"
        yield Line(allowed[name] >= count if name in allowed else None, f"quota {name}", found, fix)
    if unseen:
        fix = "Count their instances by hand, or delete what is no longer needed."
        yield Line(None, "quotas", f"{unseen} endpoints not counted as in use", fix)


def _count_used(patient: Patient, known: Sequence[Mapping[str, Any]]) -> tuple[Counter[str], int]:
    """Instances of all endpoints of the region by type, and of how many endpoints they could not be told."""
    described = {endpoint["EndpointName"]: endpoint for endpoint in known}
    pages = patient.client(_SAGEMAKER).get_paginator("list_endpoints").paginate()
    names = [row["EndpointName"] for page in pages for row in page["Endpoints"]]
    looked_at = dict.fromkeys([*described, *names[:MOST_ENDPOINTS]])
    used, unseen = Counter[str](), len(set(names) - set(looked_at))
    for name in looked_at:
        endpoint = described.get(name) or find_endpoint(patient, name)
        if endpoint is None:
            continue  # deleted since it was listed
        try:
            used += _count_instances(patient, endpoint)
        except patient.client(_SAGEMAKER).exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            unseen += 1  # its configuration is gone, and with it the word for what its instances are
    return used, unseen


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


def _count_instances(patient: Patient, endpoint: Mapping[str, Any]) -> Counter[str]:
    """Instances by type; serverless variants have none, and neither has an endpoint that was never made."""
    if endpoint["EndpointStatus"] == "Failed":
        return Counter()
    now = {
        row["VariantName"]: row.get("CurrentInstanceCount", 1)
        for row in endpoint.get("ProductionVariants", [])
    }
    config = patient.client(_SAGEMAKER).describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    counts = Counter[str]()
    for row in config["ProductionVariants"]:
        kind = row.get("InstanceType")
        if kind:
            counts[kind] += now.get(row["VariantName"], 1)
    return counts


def _list_quotas(patient: Patient, wanted: Collection[str]) -> dict[str, float]:
    """What is allowed, by the quota's name; AWS's own default where the account has none applied."""
    client = patient.client("service-quotas")
    found: dict[str, float] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        if found.keys() >= set(wanted):
            break
        for page in client.get_paginator(operation).paginate(ServiceCode=_SAGEMAKER):
            for row in page["Quotas"]:
                if row["QuotaName"] in wanted:
                    found.setdefault(row["QuotaName"], float(row["Value"]))
    return found


def _simulate(patient: Patient, role_arn: str, action: str, resource: str, fix: str) -> Line:
    context = [_PASSED_TO] if action == "iam:PassRole" else []
    answer = patient.client("iam").simulate_principal_policy(
        PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[resource], ContextEntries=context
    )
    (result,) = answer["EvaluationResults"]
    decision = result["EvalDecision"]
    return Line(decision == "allowed", f"{action} on {resource.rpartition(':')[2]}", decision, fix)
