"""``sagewatch deploy-endpoint``: model, configuration with data capture, endpoint; by the SageMaker SDK v3."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sagewatch.cli.aws_calls import CallLog, show_dry_run
from sagewatch.cli.endpoint_parts import (
    EndpointPlan,
    build_prefix,
    build_tags,
    check_name,
    ensure_config,
    ensure_model,
    find,
)
from sagewatch.cli.model_archive import build_model_archive, name_content
from sagewatch.cli.ownership import OWNED_TAG, NotOursError, is_made_for, open_session
from sagewatch.cli.terminal import say
from sagewatch.errors import ConfigurationError, SagewatchError
from sagewatch.job_security import JobSecurity

if TYPE_CHECKING:
    from boto3.session import Session

LONGEST_SECONDS = 1800
_BUSY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """What now stands.

    Attributes
    ----------
    change
        ``created``, ``updated`` or ``unchanged``.
    """

    endpoint: str
    config: str
    model: str
    change: str


@click.command(
    epilog="Example: sagewatch deploy-endpoint traffic-signs --bucket my-captures --role arn:aws:iam::111122223333:role/sm"
)
@click.argument("name")
@click.option("--bucket", required=True, help="Bucket for the model archive and the captures.")
@click.option("--capture-prefix", default="capture", show_default=True, help="Key prefix of the captures.")
@click.option("--sampling", default=100, show_default=True, help="Percentage of requests that are captured.")
@click.option("--role", "role_arn", required=True, help="Execution role of the model.")
@click.option(
    "--image", "image_uri", help="Inference image; default: AWS's PyTorch 2.6 CPU image of the region."
)
@click.option("--code", type=click.Path(path_type=Path), default=Path("endpoint_code"), show_default=True)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=Path("endpoint_code/weights/resnet18_quarter_128.pt"),
    show_default=True,
)
@click.option("--instance-type", default="ml.m5.xlarge", show_default=True)
@click.option("--instances", default=1, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Model server processes an instance.")
@click.option(
    "--record-to", default="", help="Deploy the hooked model: record tensors below this s3:// prefix."
)
@click.option("--subnets", default="", help="Subnets of its containers, comma-separated ids.")
@click.option("--security-groups", default="", help="Security groups of its containers, comma-separated ids.")
@click.option("--volume-key", default="", help="Key (ARN) of its instances' volumes.")
@click.option("--capture-key", default="", help="Key (ARN) of its captures.")
@click.option("--region", help="AWS region; default: that of your AWS configuration.")
@click.option("--dry-run", is_flag=True, help="Print the calls that would change something, and make none.")
@click.option("--poll", default=5, show_default=True, help="Seconds between looks at the endpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def deploy_endpoint(
    name: str,
    bucket: str,
    capture_prefix: str,
    sampling: int,
    role_arn: str,
    image_uri: str | None,
    code: Path,
    weights: Path,
    instance_type: str,
    instances: int,
    workers: int,
    record_to: str,
    subnets: str,
    security_groups: str,
    volume_key: str,
    capture_key: str,
    region: str | None,
    poll: int,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Deploy an endpoint whose inputs and outputs are captured. Doing it again changes nothing."""
    if bool(subnets) != bool(security_groups):
        raise ConfigurationError(
            "SageMaker takes subnets and security groups together or not at all",
            where="command line",
            key="--subnets" if security_groups else "--security-groups",
        )
    session = open_session(region)
    log = CallLog(session, dry=dry_run)
    plan = EndpointPlan(
        name=name,
        bucket=bucket,
        capture_uri=f"s3://{bucket}/{capture_prefix.strip('/')}",
        sampling_percentage=sampling,
        role_arn=role_arn,
        image_uri=image_uri or find_inference_image(session.region_name, instance_type),
        instance_type=instance_type,
        instance_count=instances,
        workers=workers,
        record_to=record_to,
        security=JobSecurity(
            subnets=subnets, security_groups=security_groups, volume_key=volume_key, output_key=capture_key
        ),
    )
    deployed = deploy(plan, build_model_archive(code, weights), session, poll_seconds=poll)
    if dry_run:
        show_dry_run(log, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(deployed)))
        return
    say(
        f"{deployed.endpoint}: {deployed.change}, in service on {deployed.config}; captures at {plan.capture_uri}"
    )


def find_inference_image(region: str, instance_type: str) -> str:
    """AWS's PyTorch inference image; looked up offline in the SDK's own tables."""
    from sagemaker.core import image_uris

    return str(
        image_uris.retrieve(
            "pytorch", region=region, image_scope="inference", instance_type=instance_type, version="2.6.0"
        )
    )


def deploy(plan: EndpointPlan, archive: bytes, session: Session, *, poll_seconds: int = 5) -> Deployed:
    """Bring the endpoint to this plan and wait until it is in service on it.

    Names come from contents, so what exists already is found again and left alone.

    Raises
    ------
    ConfigurationError
        No endpoint can have that name.
    NotOursError
        There is an endpoint of that name that this command did not make.
    SagewatchError
        The endpoint did not reach its configuration; SageMaker's reason is in the message.
    """
    from sagemaker.core.resources import Endpoint

    check_name(plan.name)
    model_name = name_model(plan, archive)
    url = f"s3://{plan.bucket}/models/{model_name}/model.tar.gz"
    served = find(Endpoint, session, endpoint_name=plan.name)
    if served is not None and not is_made_for(plan.name, served.endpoint_arn, session.client("sagemaker")):
        raise NotOursError(
            plan.name,
            f"it lacks the tag {OWNED_TAG}, so this command did not make it. Take another name; or, to put our model on it all the same, "
            f"tag it: aws sagemaker add-tags --resource-arn {served.endpoint_arn} --tags Key={OWNED_TAG},Value={plan.name}",
        )
    if served is None or served.endpoint_config_name != model_name:
        session.client("s3").put_object(Bucket=plan.bucket, Key=url.split("/", 3)[3], Body=archive)
    ensure_model(model_name, url, plan, session)
    ensure_config(model_name, plan, session)
    change = _ensure_endpoint(model_name, plan, session, poll_seconds)
    endpoint = _wait(Endpoint.get(endpoint_name=plan.name, session=session), poll_seconds)
    if endpoint.endpoint_config_name != model_name:
        # A failed update goes back to InService on the old configuration without an error.
        raise SagewatchError(
            f"{plan.name} went back to {endpoint.endpoint_config_name}: its new model never answered /ping. "
            f"Look at the log group /aws/sagemaker/Endpoints/{plan.name}."
        )
    return Deployed(endpoint=plan.name, config=model_name, model=model_name, change=change)


def name_model(plan: EndpointPlan, archive: bytes) -> str:
    """The name of the model and of its configuration: as long as SageMaker allows (63), and another for another endpoint.

    The eight digits stand for the plan with the endpoint's whole name, so a name that is cut is still one of its own.
    """
    return f"{build_prefix(plan.name)}{name_content(archive + msgspec.json.encode(plan))}"


def _ensure_endpoint(config: str, plan: EndpointPlan, session: Session, poll_seconds: int) -> str:
    """Create the endpoint, or move it to the configuration: ``created``, ``updated`` or ``unchanged``."""
    from sagemaker.core.resources import Endpoint

    endpoint = find(Endpoint, session, endpoint_name=plan.name)
    if endpoint is None:
        Endpoint.create(
            endpoint_name=plan.name, endpoint_config_name=config, tags=build_tags(plan), session=session
        )
        return "created"
    # An earlier run may have been interrupted in the middle of its move: SageMaker takes no other one meanwhile.
    endpoint = _wait(endpoint, poll_seconds)
    if endpoint.endpoint_config_name == config:
        return "unchanged"
    endpoint.endpoint_config_name = config
    endpoint.update(retain_all_variant_properties=False)
    return "updated"


def _wait(endpoint: Any, poll_seconds: int) -> Any:
    """The endpoint once it stands still.

    Raises
    ------
    SagewatchError
        It failed for good; a failed endpoint can only be torn down.
    """
    # Not the SDK's own waiting: it draws a panel on standard output, into what --json prints.
    for _ in range(math.ceil(LONGEST_SECONDS / max(1, poll_seconds))):
        if endpoint.endpoint_status not in _BUSY:
            break
        time.sleep(poll_seconds)
        endpoint.refresh()
    if endpoint.endpoint_status == "Failed":
        raise SagewatchError(
            f"{endpoint.endpoint_name} is Failed and takes no update: {endpoint.failure_reason}. "
            f"Remove it (`sagewatch teardown {endpoint.endpoint_name}`) and deploy again."
        )
    return endpoint
