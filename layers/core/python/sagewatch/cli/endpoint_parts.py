"""What ``deploy-endpoint`` makes by the SageMaker SDK v3: the plan, its model, its configuration, their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sagewatch.cli.ownership import OWNED_TAG
from sagewatch.diagnose.clone import TENSORS_VARIABLE
from sagewatch.errors import ConfigurationError
from sagewatch.job_security import JobSecurity, build_vpc
from sagewatch.place import is_elsewhere, is_endpoint

if TYPE_CHECKING:
    from boto3.session import Session

_LONGEST = 63  # SageMaker's limit for every name
CSV_TYPES = ["text/csv"]
JSON_TYPES = ["application/json", "application/jsonlines"]


class EndpointPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be deployed, and where its captures go.

    Attributes
    ----------
    record_to
        S3 prefix below which the model records its tensors from the first request on; empty for the plain model.
    security
        Network of its containers, key of its volumes, key of its captures.
    """

    name: str
    bucket: str
    capture_uri: str
    sampling_percentage: int
    role_arn: str
    image_uri: str
    instance_type: str
    instance_count: int
    workers: int
    record_to: str = ""
    security: JobSecurity = JobSecurity()


def check_name(name: str) -> None:
    """Refuse a name that SageMaker would refuse, before anything is made or removed.

    Raises
    ------
    ConfigurationError
        It is longer than 63, has other characters than letters, digits and hyphens, or a hyphen at an end.
    """
    if len(name) > _LONGEST or not is_endpoint(name) or is_elsewhere(name):
        raise ConfigurationError(
            f"{name!r} is no name of an endpoint: 1 to {_LONGEST} letters, digits and hyphens, none of these at an end",
            where="command line",
            key="NAME",
        )


def build_prefix(name: str) -> str:
    """How the names of all models and configurations of an endpoint begin.

    Eight digits follow, and SageMaker takes names and searches of up to 63: two long names may share it, their tags not.

    Examples
    --------
    >>> build_prefix("signs"), len(build_prefix("a" * 63))
    ('signs-', 55)
    """
    return f"{name[: _LONGEST - len('-01234567')]}-"


def build_tags(plan: EndpointPlan) -> Any:
    """By which `teardown` knows what was made for the endpoint."""
    from sagemaker.core.shapes import Tag

    return [Tag(key=OWNED_TAG, value=plan.name)]


def ensure_model(name: str, url: str, plan: EndpointPlan, session: Session) -> None:
    """The model over that archive; nothing where it is there."""
    from sagemaker.core.resources import Model
    from sagemaker.core.shapes import ContainerDefinition

    if find(Model, session, model_name=name) is not None:
        return
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(plan.workers),
    }
    if plan.record_to:
        environment[TENSORS_VARIABLE] = plan.record_to
    container = ContainerDefinition(image=plan.image_uri, model_data_url=url, environment=environment)
    Model.create(
        model_name=name,
        primary_container=container,
        execution_role_arn=plan.role_arn,
        **_build_network(plan.security),
        tags=build_tags(plan),
        session=session,
    )


def _build_network(security: JobSecurity) -> dict[str, Any]:
    from sagemaker.core.shapes import VpcConfig

    if not security.subnets:
        return {}
    vpc = build_vpc(security)
    return {"vpc_config": VpcConfig(subnets=vpc["Subnets"], security_group_ids=vpc["SecurityGroupIds"])}


def ensure_config(name: str, plan: EndpointPlan, session: Session) -> None:
    """The configuration with data capture; nothing where it is there."""
    from sagemaker.core.resources import EndpointConfig
    from sagemaker.core.shapes import (
        CaptureContentTypeHeader,
        CaptureOption,
        DataCaptureConfig,
        ProductionVariant,
    )

    if find(EndpointConfig, session, endpoint_config_name=name) is not None:
        return
    keys = {"kms_key_id": plan.security.volume_key} if plan.security.volume_key else {}
    capture_keys = {"kms_key_id": plan.security.output_key} if plan.security.output_key else {}
    EndpointConfig.create(
        endpoint_config_name=name,
        **keys,
        production_variants=[
            ProductionVariant(
                variant_name="AllTraffic",
                model_name=name,
                initial_instance_count=plan.instance_count,
                instance_type=plan.instance_type,
                initial_variant_weight=1.0,
            )
        ],
        data_capture_config=DataCaptureConfig(
            enable_capture=True,
            initial_sampling_percentage=plan.sampling_percentage,
            destination_s3_uri=plan.capture_uri,
            **capture_keys,
            capture_options=[CaptureOption(capture_mode="Input"), CaptureOption(capture_mode="Output")],
            # Without these headers everything would be captured as BASE64.
            capture_content_type_header=CaptureContentTypeHeader(
                csv_content_types=CSV_TYPES, json_content_types=JSON_TYPES
            ),
        ),
        tags=build_tags(plan),
        session=session,
    )


def find(resource: Any, session: Session, **names: str) -> Any:
    """The resource, or None where SageMaker could not find it (it says so with a ValidationException)."""
    from botocore.exceptions import ClientError

    try:
        return resource.get(session=session, **names)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return None
        raise
