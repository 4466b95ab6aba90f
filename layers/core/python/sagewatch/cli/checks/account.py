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

_TOO_MANY = f"only {MOST_ENDPOINTS} are looked at"
_NO_CONFIG = "their configuration is gone"

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
    wanted = {f"{kind} for endpoint usage": used[kind] + count for kind, count in green.items()}
    why = {
        f"{kind} for endpoint usage": f"{used[kind]} in use, {count} more while it is swapped"
        for kind, count in green.items()
    }
    fleets = frozenset(wanted)
    instance = patient.outputs.get("MonitorInstanceType", "")
    if instance:
        wanted[job := f"{instance} for processing job usage"] = 1
        why[job] = "1 for the saliency job"
    allowed = _list_quotas(patient, wanted)
    for name, count in sorted(wanted.items()):
        fix = f"Ask for a higher quota (Service Quotas, Amazon SageMaker, {name!r})."
        if name not in allowed:
            yield Line(None, f"quota {name}", "not listed", fix)
        elif name in fleets and unseen and allowed[name] >= count:
            # What was counted fits, and more is in use than was counted.
            found = f"{allowed[name]:.0f} allowed; at least {why[name]}; {_tell_uncounted(unseen)}"
            yield Line(None, f"quota {name}", found, _fix_uncounted(unseen))
        else:
            at_least = "at least " if name in fleets and unseen else ""
            found = f"{allowed[name]:.0f} allowed; {at_least}{why[name]}"
            yield Line(allowed[name] >= count, f"quota {name}", found, fix)


def _tell_uncounted(unseen: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count or 'an unknown number of'} endpoints not counted: {why}" for why, count in unseen.items()
    )


def _fix_uncounted(unseen: Mapping[str, int]) -> str:
    if unseen.keys() <= {_TOO_MANY, _NO_CONFIG}:
        return "Count their instances by hand, or delete what is no longer needed."
    return "Give whoever runs the doctor the right that the message names, or count their instances by hand."


def _count_used(patient: Patient, known: Sequence[Mapping[str, Any]]) -> tuple[Counter[str], dict[str, int]]:
    """Instances of all endpoints of the region by type; and of how many they could not be told, by the reason why.

    What AWS refuses of one endpoint is no word on the others, and no zero: the count goes on, and is known to be short.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    described = {endpoint["EndpointName"]: endpoint for endpoint in known}
    unseen: dict[str, int] = {}
    names: list[str] = []
    try:
        for page in patient.client(_SAGEMAKER).get_paginator("list_endpoints").paginate():
            names += [row["EndpointName"] for row in page["Endpoints"]]
    except (ClientError, BotoCoreError) as error:
        unseen[str(error)] = 0
    looked_at = dict.fromkeys([*described, *names[:MOST_ENDPOINTS]])
    used = Counter[str]()
    if left := len(set(names) - set(looked_at)):
        unseen[_TOO_MANY] = left
    for name in looked_at:
        try:
            endpoint = described.get(name) or find_endpoint(patient, name)
            # One that was deleted since it was listed uses nothing.
            used += _count_instances(patient, endpoint) if endpoint else Counter()
        except (ClientError, BotoCoreError) as error:
            why = _read_reason(error)
            unseen[why] = unseen.get(why, 0) + 1
    return used, unseen


def _read_reason(error: Exception) -> str:
    """Why an endpoint's instances are not known, alike for all of which it is the same."""
    told = getattr(error, "response", {}).get("Error", {})
    if told.get("Code") == "ValidationException":
        return _NO_CONFIG
    operation = getattr(error, "operation_name", "")
    return f"{operation}: {told['Code']}" if operation and "Code" in told else str(error)


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
