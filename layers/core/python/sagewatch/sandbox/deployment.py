"""What `osls package` left behind -> a stack on the local AWS and the functions' code, unpacked."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sagewatch.sandbox.errors import ArtifactMissingError, StackFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

STACK = "sagewatch"
COMPLETE = "CREATE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed.

    Parameters
    ----------
    outputs
        The stack's outputs.
    code
        Function name -> directory of its unpacked package.
    skipped
        Resources that moto does not know: logical id -> type. They are not there.
    """

    outputs: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, Path] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def function_packages(template: Mapping[str, Any]) -> dict[str, str]:
    """Logical id of each function -> file name of its package, as osls wrote it into S3Key."""
    return {
        logical_id: PurePosixPath(resource["Properties"]["Code"]["S3Key"]).name
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }


def create_stack(
    cloudformation: Any,
    compiled_template: Path,
    artifacts: Path,
    code_directory: Path,
    parameters: Mapping[str, str] | None = None,
    stack: str = STACK,
) -> Deployment:
    """Create the stack and unpack the code.

    Raises
    ------
    StackFailedError
        With resource and reason.
    ArtifactMissingError
        A package is not there.
    """
    body = compiled_template.read_text(encoding="utf-8")
    template = json.loads(body)
    packages = function_packages(template)
    for logical_id, package in packages.items():
        if not (artifacts / package).is_file():
            raise ArtifactMissingError(logical_id, artifacts / package)
    created = _create(cloudformation, stack, body, parameters or {})
    resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    # moto lists a resource of an unknown type as an entry without names, and some models have no id.
    names = {
        item["LogicalResourceId"]: item.get("PhysicalResourceId", "")
        for item in resources
        if "LogicalResourceId" in item
    }
    return Deployment(
        outputs={item["OutputKey"]: item["OutputValue"] for item in created.get("Outputs", [])},
        code={
            names[logical_id]: unpack(artifacts / package, code_directory / names[logical_id])
            for logical_id, package in packages.items()
            if logical_id in names
        },
        skipped=skipped_resources(template, set(names)),
    )


def skipped_resources(template: Mapping[str, Any], created: set[str]) -> dict[str, str]:
    """Logical id -> type of what the template asks for without condition and moto did not create."""
    return {
        logical_id: resource["Type"]
        for logical_id, resource in template["Resources"].items()
        if logical_id not in created and "Condition" not in resource
    }


def _create(cloudformation: Any, stack: str, body: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    try:
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=body,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    except ClientError as error:
        raise StackFailedError(stack, error.response["Error"].get("Message", str(error))) from error
    created: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    if created["StackStatus"] != COMPLETE:
        raise StackFailedError(stack, created["StackStatus"])
    return created


def unpack(package: Path, directory: Path) -> Path:
    """Unpack a function's zip into an empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with zipfile.ZipFile(package) as archive:
        archive.extractall(directory)  # zipfile keeps members inside the directory
    return directory
