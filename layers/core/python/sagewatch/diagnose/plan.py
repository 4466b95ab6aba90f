"""What a swap would make: names, the clone of the live configuration, the way it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sagewatch.diagnose.model import MOST_ALARMS, RESTORED_PREFIX, Diagnosis, Phase, Policy
from sagewatch.errors import RejectedInputError

TENSORS_VARIABLE = "TENSORS_OUTPUT"
HOOK_VARIABLES = frozenset({TENSORS_VARIABLE, "TENSORS_EVERY", "TENSORS_MAX_REQUESTS", "TENSORS_MAX_BYTES"})
JOB_PREFIX = "sagewatch-explain-"
HOOKED_PREFIX = "sagewatch-hooked-"
INCIDENT_TAG = "sagewatch:incident"
WITHHELD = "(withheld)"
MOST_TAGS = 50
MOST_VARIABLES = 100
"""What SageMaker takes of a resource's tags and of a container's variables."""
_MEGABYTE = 1_000_000
# What the describe calls answer and the create calls do not take; a contract test holds it against botocore.
DESCRIBED_ONLY = frozenset(
    {"EndpointConfigArn", "ModelArn", "CreationTime", "DeploymentRecommendation", "ResponseMetadata"}
)
_CANARY_BAKES = timedelta(minutes=1)
_EXECUTION_SECONDS = (600, 28800)


def plan_diagnosis(
    incident_id: str,
    variant: str,
    subject: str,
    endpoint: Mapping[str, Any],
    config: Mapping[str, Any],
    model: Mapping[str, Any],
    policy: Policy,
    now: datetime,
) -> Diagnosis:
    """The diagnosis that an incident would begin on an endpoint.

    Parameters
    ----------
    variant
        The variant that raised the finding: of several, only its model is hooked.
    endpoint, config, model
        As AWS describes them now; ``model`` is the variant's.

    Raises
    ------
    RejectedInputError
        It cannot be hooked: says why in a sentence.
    """
    name = str(endpoint["EndpointName"])
    swaps = policy.mode == "swap"
    chosen = find_variant(config, variant, where=f"endpoint {name}")
    check_model(model, hooks_live=swaps)
    if swaps:
        _check_live(config, chosen, where=f"endpoint {name}")
    fleet = _count_instances(endpoint, config)
    return Diagnosis(
        incident_id=incident_id,
        endpoint=name,
        variant=variant,
        subject=subject,
        mode=policy.mode,
        phase=Phase.SWAPPING if swaps else Phase.EXPLAINING,
        explains=not swaps,
        original_config=str(config["EndpointConfigName"]),
        original_model=str(chosen["ModelName"]),
        hooked_config=HOOKED_PREFIX + incident_id,
        hooked_model=HOOKED_PREFIX + incident_id,
        tensors_prefix=f"tensors/{incident_id}/",
        job=JOB_PREFIX + incident_id,
        asked=0,
        instances=min(fleet.values()),
        fleet=fleet,
        deployment=dict(endpoint.get("LastDeploymentConfig") or {}),
        started_at=now,
        due=now + (policy.swap_within if swaps else policy.explain_within),
        used_on=now.strftime("%Y-%m-%d"),
        used_today=0,
    )


def find_variant(config: Mapping[str, Any], variant: str, where: str) -> Mapping[str, Any]:
    """The production variant of that name, which has a model.

    Raises
    ------
    RejectedInputError
        There is none, it is a shadow variant, or it hosts inference components.
    """
    for one in config["ProductionVariants"]:
        if one["VariantName"] == variant:
            if "ModelName" not in one:
                raise RejectedInputError(
                    "hosts inference components, which have no model to hook", where=where
                )
            found: Mapping[str, Any] = one
            return found
    shadows = [one["VariantName"] for one in config.get("ShadowProductionVariants", [])]
    if variant in shadows:
        raise RejectedInputError(f"has {variant} as a shadow variant, whose answers nobody gets", where=where)
    raise RejectedInputError(f"has no variant {variant}", where=where)


def check_model(model: Mapping[str, Any], *, hooks_live: bool) -> None:
    """Whether a model can record tensors.

    Parameters
    ----------
    hooks_live
        Whether it would do so on the endpoint; else inside the saliency job.

    Raises
    ------
    RejectedInputError
        It cannot: says why.
    """
    where = f"model {model.get('ModelName')}"
    if "PrimaryContainer" not in model:
        raise RejectedInputError(
            "is a pipeline of containers; which of them to hook is not ours to guess", where=where
        )
    container = model["PrimaryContainer"]
    if container.get("Mode") == "MultiModel" or "MultiModelConfig" in container:
        raise RejectedInputError(
            "is a multi-model container: the hook would record every model in it", where=where
        )
    variables = container.get("Environment", {}).keys() | HOOK_VARIABLES
    if hooks_live and len(variables) > MOST_VARIABLES:
        reason = f"has {len(container['Environment'])} environment variables: there is no room for the hook's {len(HOOK_VARIABLES)}"
        raise RejectedInputError(f"{reason}; use mode: replay", where=where)
    if hooks_live and model.get("EnableNetworkIsolation"):
        raise RejectedInputError("is isolated from the network: its hook could not write to S3", where=where)
    if not hooks_live and not str(container.get("ModelDataUrl", "")).endswith(".tar.gz"):
        raise RejectedInputError("has no model.tar.gz, which the saliency job would need", where=where)


def build_hooked_model(
    model: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis, bucket: str, policy: Policy
) -> dict[str, Any]:
    """The CreateModel request of the hooked twin: the live model and a few environment variables."""
    container = dict(model["PrimaryContainer"])
    container["Environment"] = {
        **container.get("Environment", {}),
        TENSORS_VARIABLE: f"s3://{bucket}/{diagnosis.tensors_prefix.rstrip('/')}",
        "TENSORS_EVERY": str(policy.every),
        "TENSORS_MAX_REQUESTS": str(policy.requests),
        "TENSORS_MAX_BYTES": str(policy.megabytes * _MEGABYTE),
    }
    return {
        **_without_described(model),
        "ModelName": diagnosis.hooked_model,
        "PrimaryContainer": container,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_hooked_config(
    config: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis
) -> dict[str, Any]:
    """The CreateEndpointConfig request of the clone: everything as it is live but one model's name.

    Variant names stay: RetainAllVariantProperties matches by name. Instance types stay: changing one, or
    dropping a variant, fails where autoscaling holds it. Data capture stays: a configuration without it
    would switch capture off.
    """
    variants = [
        {**v, "ModelName": diagnosis.hooked_model} if v["VariantName"] == diagnosis.variant else dict(v)
        for v in config["ProductionVariants"]
    ]
    return {
        **_without_described(config),
        "EndpointConfigName": diagnosis.hooked_config,
        "ProductionVariants": variants,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_restored_model(
    hooked: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis
) -> dict[str, Any]:
    """The CreateModel request of the owner's model as it was: our twin without the hook's variables."""
    container = dict(hooked["PrimaryContainer"])
    environment = container.get("Environment", {})
    container["Environment"] = {k: v for k, v in environment.items() if k not in HOOK_VARIABLES}
    return {
        **_without_described(hooked),
        "ModelName": RESTORED_PREFIX + diagnosis.incident_id,
        "PrimaryContainer": container,
        "Tags": _build_tags(tags, diagnosis),
    }


def build_restored_config(
    hooked: Mapping[str, Any], tags: Mapping[str, str], diagnosis: Diagnosis, model: str
) -> dict[str, Any]:
    """The CreateEndpointConfig request of the owner's configuration as it was: our clone with the owner's model."""
    variants = [
        {**v, "ModelName": model} if v.get("ModelName") == diagnosis.hooked_model else dict(v)
        for v in hooked["ProductionVariants"]
    ]
    return {
        **_without_described(hooked),
        "EndpointConfigName": RESTORED_PREFIX + diagnosis.incident_id,
        "ProductionVariants": variants,
        "Tags": _build_tags(tags, diagnosis),
    }


def withhold_environment(value: Any) -> Any:
    """The same description without the values of containers' variables, but for the hook's: people keep passwords there."""
    if isinstance(value, list):
        return [withhold_environment(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: {name: one if name in HOOK_VARIABLES else WITHHELD for name, one in inside.items()}
        if key == "Environment" and isinstance(inside, Mapping)
        else withhold_environment(inside)
        for key, inside in value.items()
    }


def build_deployment(diagnosis: Diagnosis, policy: Policy, *, carefully: bool, hooks: bool) -> dict[str, Any]:
    """UpdateEndpoint's DeploymentConfig; empty moves all traffic at once.

    The endpoint's own deployment policy where it has one. Else, on the way to the hooked configuration, one
    instance first where there are several. The way back takes no alarm of ours: it must not be rolled back.

    Parameters
    ----------
    hooks
        Whether this is the way to the hooked configuration.
    """
    if not carefully:
        return {}
    if not hooks:
        return dict(diagnosis.deployment)
    canary = policy.canary and diagnosis.instances > 1
    if not diagnosis.deployment and not canary and not policy.rollback_alarms:
        return {}
    built = dict(diagnosis.deployment) or {"BlueGreenUpdatePolicy": _build_blue_green(policy, canary=canary)}
    own = [alarm["AlarmName"] for alarm in built.get("AutoRollbackConfiguration", {}).get("Alarms", [])]
    alarms = list(dict.fromkeys([*own, *policy.rollback_alarms]))[:MOST_ALARMS]
    if alarms:
        built["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}
    return built


def _build_blue_green(policy: Policy, *, canary: bool) -> dict[str, Any]:
    least, most = _EXECUTION_SECONDS
    routing: dict[str, Any] = {
        "Type": "CANARY" if canary else "ALL_AT_ONCE",
        "WaitIntervalInSeconds": int(_CANARY_BAKES.total_seconds()),
    }
    if canary:
        # At most half of a variant may be the canary, and there are at least two instances.
        routing["CanarySize"] = {"Type": "INSTANCE_COUNT", "Value": 1}
    return {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": min(max(int(policy.swap_within.total_seconds()), least), most),
    }


def _check_live(config: Mapping[str, Any], variant: Mapping[str, Any], where: str) -> None:
    if str(config["EndpointConfigName"]).startswith(HOOKED_PREFIX):
        raise RejectedInputError("stands on a hooked configuration already", where=where)
    if "ServerlessConfig" in variant:
        reason = (
            "is serverless: its container sleeps between requests, and what the hook still writes is lost"
        )
        raise RejectedInputError(f"{reason}; use mode: replay", where=where)
    if config.get("EnableNetworkIsolation"):
        raise RejectedInputError("is isolated from the network: its hook could not write to S3", where=where)


def _count_instances(endpoint: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """Instances of each variant, as autoscaling left them: a canary is taken from each, and a second fleet has as many."""
    now = {v["VariantName"]: v.get("CurrentInstanceCount") for v in endpoint.get("ProductionVariants", [])}
    return {
        v["VariantName"]: int(now.get(v["VariantName"]) or v.get("InitialInstanceCount", 1))
        for v in config["ProductionVariants"]
    }


def _build_tags(tags: Mapping[str, str], diagnosis: Diagnosis) -> list[dict[str, str]]:
    """The owner's tags, so that costs and rights go by them, and ours. AWS's own cannot be given.

    Of as many as a resource may have the owner's last is left out: a clone without ours could not be found again.
    """
    kept = {k: v for k, v in tags.items() if not k.startswith("aws:") and k != INCIDENT_TAG}
    room = dict(list(kept.items())[: MOST_TAGS - 1])
    return [{"Key": k, "Value": v} for k, v in {**room, INCIDENT_TAG: diagnosis.incident_id}.items()]


def _without_described(described: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key not in DESCRIBED_ONLY}
