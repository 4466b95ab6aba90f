"""Which endpoints record for a stack right now, and which of them its role could not put back.

Whose a recording is, its tensors tell: they go into the evidence bucket of the stack that began it. Several stages of an
account may list one endpoint, and monitors.yml may have forgotten one that still records.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sagewatch.cli.ownership import list_recording_configs
from sagewatch.diagnose.clone import TENSORS_VARIABLE
from sagewatch.diagnose.plan import HOOKED_PREFIX

EVIDENCE = "EvidenceBucket"
"""Logical id of the bucket that tensors go to."""


def find_recordings(bucket: str, listed: Collection[str], session: Any) -> list[str]:
    """Endpoints on, or on their way to, a recording configuration of the stack that has this evidence bucket.

    Parameters
    ----------
    listed
        Names, in lower case, of the endpoints that the stack may move: theirs is a recording of which nobody can say any
        more whose it is.
    """
    sagemaker = session.client("sagemaker")
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=HOOKED_PREFIX)
    names = [row["EndpointConfigName"] for page in pages for row in page["EndpointConfigs"]]
    owners = {name: find_owner(name, sagemaker) for name in names if name.startswith(HOOKED_PREFIX)}
    # A configuration that is deleted while an endpoint stands on it is on no list.
    if not listed and bucket not in owners.values():
        return []
    found = []
    for page in sagemaker.get_paginator("list_endpoints").paginate():
        for name in (row["EndpointName"] for row in page["Endpoints"]):
            whose = {owners.get(one) for one in _read_configs(name, sagemaker)}
            if bucket in whose or (None in whose and name.lower() in listed):
                found.append(name)
    return found


def find_owner(config: str, sagemaker: Any) -> str | None:
    """The bucket that a recording configuration's tensors go to; None where it or its model is gone."""
    try:
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        hooked = [one["ModelName"] for one in variants if one.get("ModelName", "").startswith(HOOKED_PREFIX)]
        containers = [sagemaker.describe_model(ModelName=one)["PrimaryContainer"] for one in hooked]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return None
        raise
    written = [one.get("Environment", {}).get(TENSORS_VARIABLE, "") for one in containers]
    return next((uri.removeprefix("s3://").partition("/")[0] for uri in written if uri), None)


def _read_configs(endpoint: str, sagemaker: Any) -> Sequence[str]:
    try:
        return list_recording_configs(sagemaker.describe_endpoint(EndpointName=endpoint))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":  # deleted since it was listed
            return []
        raise


def find_movable(template: Mapping[str, Any]) -> set[str]:
    """Names, in lower case, of the endpoints that some role of the template may update."""
    policies = [
        policy["PolicyDocument"]
        for row in template.get("Resources", {}).values()
        if row["Type"] in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
        # Where many are listed, the rest of them stand in policies of their own.
        for policy in (*row["Properties"].get("Policies", []), row["Properties"])
        if "PolicyDocument" in policy
    ]
    # A statement may hang on a condition of the template, such as that of a given key.
    rows = [
        one["Fn::If"][1] if "Fn::If" in one else one
        for policy in policies
        for one in _listed(policy["Statement"])
    ]
    statements = [one for one in rows if one.get("Effect") == "Allow"]
    resources = [
        str(arn.get("Fn::Sub", "")) if isinstance(arn, dict) else arn
        for one in statements
        if "sagemaker:UpdateEndpoint" in _listed(one.get("Action", []))
        for arn in _listed(one.get("Resource", []))
    ]
    return {arn.partition(":endpoint/")[2].lower() for arn in resources if ":endpoint/" in arn}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def tell_recordings(recording: Collection[str], movable: Collection[str], why: str) -> str:
    """What to do about endpoints that record, as sentences; empty where none does.

    Parameters
    ----------
    movable
        Names, in lower case, that the role that stands now may put back.
    why
        What forbids to go on while they record.
    """
    can = [name for name in recording if name.lower() in movable]
    cannot = [name for name in recording if name.lower() not in movable]
    told = []
    if can:
        told.append(
            f"{', '.join(can)} is being diagnosed, and {why}. "
            'Run `sagewatch swaps off --reason "deployment"`, wait until it is back, and try again.'
        )
    if cannot:
        told.append(
            f"{', '.join(cannot)} records, and the role that stands now may not put it back, so nobody does. Set `mode: swap` "
            "for it again and deploy, or give it its own configuration by hand: aws sagemaker update-endpoint "
            "--endpoint-name NAME --endpoint-config-name ORIGINAL (`original_config` in `sagewatch explain`)."
        )
    return " ".join(told)
