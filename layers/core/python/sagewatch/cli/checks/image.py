"""The image of the jobs: whether it is in its registry, before a job is wanted at night."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from sagewatch.cli.checks import Line, Patient
from sagewatch.place import name_registry

_ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.(?:com|com\.cn|eu)/(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_REFUSED: Final = re.compile(r"vnd\.oci\.image\.(?:index|(?P<single>manifest))\.|manifest\.list\.")
_ABSENT: Final = frozenset({"RepositoryNotFoundException", "ImageNotFoundException"})


def check_image(patient: Patient) -> Iterator[Line]:
    """The image that saliency and monitoring jobs run."""
    uri = patient.outputs.get("MonitorImageUri", "")
    if uri:
        yield find_image(patient.client, uri)


def name_default_image(account: str, region: str) -> str:
    """Where the stack looks for the image when no other is named; `make image` pushes it there."""
    return f"{name_registry(account, region)}/sagewatch-monitor:latest"


def find_image(client: Callable[..., Any], uri: str) -> Line:
    """Whether an image is in ECR; another registry cannot be asked.

    Raises
    ------
    ClientError
        AWS refuses to tell.
    """
    from botocore.exceptions import ClientError

    what = f"image {uri}"
    found = _ECR.fullmatch(uri)
    if found is None:
        return Line(
            None, what, "is not in ECR, and was not looked for", "SageMaker takes images of ECR only."
        )
    image = {
        key: found[group]
        for key, group in (("imageTag", "tag"), ("imageDigest", "digest"))
        if found[group] is not None
    }
    ecr = client("ecr", region_name=found["region"])
    try:
        (row,) = ecr.describe_images(
            registryId=found["account"],
            repositoryName=found["repository"],
            imageIds=[image or {"imageTag": "latest"}],
        )["imageDetails"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _ABSENT:
            raise
        fix = "No saliency or monitoring job can start. Push it with `make image`, or name another by the parameter explainImage."
        return Line(False, what, "is not there", fix)
    kind = row.get("imageManifestMediaType", "")
    refused = _REFUSED.search(kind)
    # An index (or list) is refused by whatever starts it; of a single OCI manifest that is known of models alone.
    well = None if refused and refused["single"] else not refused
    fix = (
        f"SageMaker says `Unsupported manifest media type {kind}`: push it with `make image`, or build it with "
        "`docker buildx build --provenance=false --sbom=false --output type=docker,oci-mediatypes=false`."
    )
    told = f", as {kind}" if refused else ""
    return Line(well, what, f"pushed {row['imagePushedAt']:%Y-%m-%d}{told}", fix if refused else "")
