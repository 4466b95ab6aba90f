"""The SageMaker SDK v3 (`sagemaker-core`) works against the local SageMaker, unchanged, in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sagewatch.sandbox.processes import GUARD_DIRECTORY, inherited_environment

if TYPE_CHECKING:
    from sagewatch.sandbox.local_aws import LocalAws

STORY = """
import json, sys
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import (CaptureContentTypeHeader, CaptureOption, ContainerDefinition, DataCaptureConfig,
    ProductionVariant)
url, role = sys.argv[1:]
for name in ("sdk-plain", "sdk-hooked"):
    Model.create(model_name=name, primary_container=ContainerDefinition(image="i", model_data_url=url,
        environment={"NAME": name}), execution_role_arn=role)
    EndpointConfig.create(endpoint_config_name=name, production_variants=[ProductionVariant(variant_name="AllTraffic",
        model_name=name, initial_instance_count=1, instance_type="ml.m5.large", initial_variant_weight=1.0)],
        data_capture_config=DataCaptureConfig(enable_capture=True, initial_sampling_percentage=100,
            destination_s3_uri="s3://captures/capture", capture_options=[CaptureOption(capture_mode="Input"),
            CaptureOption(capture_mode="Output")],
            capture_content_type_header=CaptureContentTypeHeader(json_content_types=["application/json"])))
endpoint = Endpoint.create(endpoint_name="sdk", endpoint_config_name="sdk-plain")
endpoint.wait_for_status("InService", poll=1)
found = Endpoint.get("sdk")
answers = [json.loads(found.invoke(body=b"x", content_type="application/x-npy", accept="application/json").body.read())]
found.endpoint_config_name = "sdk-hooked"
found.update(retain_all_variant_properties=True)
found.wait_for_status("InService", poll=1)
answers.append(json.loads(found.invoke(body=b"x", content_type="application/x-npy").body.read()))
print(json.dumps({"answers": answers, "config": Endpoint.get("sdk").endpoint_config_name,
    "models": sorted(m.model_name for m in Model.get_all(name_contains="sdk-"))}))
"""


def test_create_get_invoke_and_update_work_and_nothing_is_sent_elsewhere(
    aws: LocalAws, endpoints: Any
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", STORY, endpoints.url, "arn:aws:iam::123456789012:role/sagemaker-test"],
        env={
            **inherited_environment(),
            **aws.environment,
            "PYTHONPATH": str(GUARD_DIRECTORY),
            "SANDBOX_OUTBOUND_LOG": str(aws.directory / "sdk-outbound.log"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    story = json.loads(run.stdout.strip().splitlines()[-1])
    assert [answer[0][2] for answer in story["answers"]] == ["sdk-plain", "sdk-hooked"]
    assert story["config"] == "sdk-hooked"
    assert story["models"] == ["sdk-hooked", "sdk-plain"]
    assert not (aws.directory / "sdk-outbound.log").exists()
