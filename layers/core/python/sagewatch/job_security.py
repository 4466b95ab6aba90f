"""Where the jobs that we start stand, and with whose keys they write: a VPC, a volume key, an output key. Pure.

Source: SageMaker API, NetworkConfig, VpcConfig, ProcessingClusterConfig, ProcessingOutputConfig; a monitoring schedule's
definition has the same under other names.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class JobSecurity(msgspec.Struct, frozen=True, kw_only=True):
    """What an account asks of every job; empty where it asks nothing.

    Attributes
    ----------
    subnets, security_groups
        Ids, comma-separated: both or none. SageMaker fetches inputs and writes outputs through them.
    volume_key
        ARN of the key of the job's volumes. Instance types with a disk of their own (ml.m5d, ml.g4dn, ...) take none.
    output_key
        ARN of the key of what the job writes.
    """

    subnets: str = ""
    security_groups: str = ""
    volume_key: str = ""
    output_key: str = ""


def secure_job(
    request: dict[str, Any], security: JobSecurity, kind: Literal["Processing", "Monitoring"] = "Processing"
) -> dict[str, Any]:
    """The request with what the account asks for; as it was where that is nothing.

    Parameters
    ----------
    request
        Of CreateProcessingJob, or the job definition of a monitoring schedule.

    Examples
    --------
    >>> job = {"ProcessingResources": {"ClusterConfig": {}}, "ProcessingOutputConfig": {}, "NetworkConfig": {"EnableNetworkIsolation": True}}
    >>> secure_job(job, JobSecurity(subnets="subnet-1,subnet-2", security_groups="sg-1"))["NetworkConfig"]
    {'EnableNetworkIsolation': True, 'VpcConfig': {'Subnets': ['subnet-1', 'subnet-2'], 'SecurityGroupIds': ['sg-1']}}
    >>> secure_job(job, JobSecurity()) == job
    True
    """
    secured = dict(request)
    if security.subnets:
        secured["NetworkConfig"] = {**request.get("NetworkConfig", {}), "VpcConfig": build_vpc(security)}
    if security.volume_key:
        resources = request[f"{kind}Resources"]
        cluster = {**resources["ClusterConfig"], "VolumeKmsKeyId": security.volume_key}
        secured[f"{kind}Resources"] = {**resources, "ClusterConfig": cluster}
    if security.output_key:
        outputs = request[f"{kind}OutputConfig"]
        secured[f"{kind}OutputConfig"] = {**outputs, "KmsKeyId": security.output_key}
    return secured


def read_security(request: dict[str, Any], kind: Literal["Processing", "Monitoring"]) -> JobSecurity:
    """What a request, or AWS's description of what it made, asks for: the way back of ``secure_job``."""
    vpc = (request.get("NetworkConfig") or {}).get("VpcConfig") or {}
    return JobSecurity(
        subnets=",".join(vpc.get("Subnets", [])),
        security_groups=",".join(vpc.get("SecurityGroupIds", [])),
        volume_key=request[f"{kind}Resources"]["ClusterConfig"].get("VolumeKmsKeyId") or "",
        output_key=request[f"{kind}OutputConfig"].get("KmsKeyId") or "",
    )


def build_vpc(security: JobSecurity) -> dict[str, list[str]]:
    """SageMaker's VpcConfig."""
    return {"Subnets": security.subnets.split(","), "SecurityGroupIds": security.security_groups.split(",")}
