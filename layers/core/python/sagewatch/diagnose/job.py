"""The saliency job: the request that starts it, and where its files lie."""

from __future__ import annotations

from typing import Any

import msgspec

from sagewatch.diagnose.clone import INCIDENT_TAG
from sagewatch.diagnose.model import Diagnosis
from sagewatch.job_security import JobSecurity, secure_job


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the saliency job is to run.

    Attributes
    ----------
    classes_key
        Key prefix of the class names; empty where there are none.
    kind
        The finding's kind: it says which inputs are suspicious.
    region
        Where in a picture the model is expected to look.
    share
        For a fallen confidence: of which share of the recorded answers, the least confident, those to explain are; as
        the clean ones' are. None where there are no clean ones.
    model_data_url
        The live model's archive, where captured requests are run through it; else empty.
    """

    image_uri: str
    role_arn: str
    instance_type: str
    bucket: str
    max_images: int
    max_runtime_seconds: int
    classes_key: str = ""
    kind: str = ""
    region: tuple[float, float, float, float] = (0.1, 0.1, 0.9, 0.9)
    share: float | None = None
    model_data_url: str = ""
    security: JobSecurity = JobSecurity()


def build_explain_job(diagnosis: Diagnosis, plan: JobPlan) -> dict[str, Any]:
    """The CreateProcessingJob request of the saliency job (``monitor_image/explain.py``).

    After a swap it gets what the endpoint recorded and, to compare with, clean requests and the model; in a replay it
    gets the model and requests of both kinds, and records for itself.
    """
    base = f"s3://{plan.bucket}/"
    inputs = []
    if diagnosis.mode != "replay":
        inputs.append(_build_input("tensors", base + diagnosis.tensors_prefix))
    if plan.model_data_url:
        inputs.append(_build_input("model", plan.model_data_url))
        inputs.append(_build_input("requests", base + build_replay_prefix(diagnosis.incident_id)))
    if plan.classes_key:
        inputs.append(_build_input("classes", base + plan.classes_key))
    output = {
        "S3Uri": f"{base}{build_explain_prefix(diagnosis.incident_id)}",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    request = {
        "ProcessingJobName": diagnosis.job,
        "AppSpecification": {
            "ImageUri": plan.image_uri,
            "ContainerEntrypoint": ["python3", "/opt/program/explain.py"],
        },
        "Environment": {
            "MAX_IMAGES": str(plan.max_images),
            "SUSPECT_CLASS": diagnosis.subject,
            "SUSPECT_KIND": plan.kind,
            "REGION": ",".join(f"{side:g}" for side in plan.region),
            **({} if plan.share is None else {"SUSPECT_SHARE": f"{plan.share:.9g}"}),
        },
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "explanations", "S3Output": output}]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": plan.instance_type, "VolumeSizeInGB": 20}
        },
        # It may run the owner's inference code on captured requests: neither that nor anything it loads calls out.
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "RoleArn": plan.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": plan.max_runtime_seconds},
        "Tags": [{"Key": INCIDENT_TAG, "Value": diagnosis.incident_id}],
    }
    return secure_job(request, plan.security)


def build_explain_prefix(incident_id: str) -> str:
    """Where the saliency job's output lies in the evidence bucket."""
    return f"incidents/{incident_id}/explain/"


def build_replay_prefix(incident_id: str) -> str:
    """Where the captured requests lie that the job runs through the model.

    They are copies of inputs, whole: they go when the recorded tensors do, which can stand for an input too.
    """
    return f"tensors/{incident_id}-requests/"


def _build_input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }
