"""What a diagnosis would be: whether the endpoint can be hooked, the names of what is made, the way it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sagewatch.diagnose.clone import HOOK_VARIABLES, find_archive
from sagewatch.diagnose.model import MOST_ALARMS, Diagnosis, Phase, Policy
from sagewatch.errors import RejectedInputError

JOB_PREFIX = "sagewatch-explain-"
HOOKED_PREFIX = "sagewatch-hooked-"
MOST_VARIABLES = 100
"""What SageMaker takes of a container's variables."""
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
    if not hooks_live and not find_archive(container):
        raise RejectedInputError("has no model.tar.gz, which the saliency job would need", where=where)


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
        v["VariantName"]: int(v.get("InitialInstanceCount", 1) if count is None else count)
        for v in config["ProductionVariants"]
        for count in [now.get(v["VariantName"])]  # none at all where an idle one was scaled in to zero
    }
