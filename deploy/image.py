"""``make image``: build monitor_image/ and push it to the account's registry, where there is a docker."""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy.refused import tell_aws
from layers.build_core import ROOT
from sagewatch.place import name_registry

REPOSITORY = "sagewatch-monitor"
# Processing jobs run on x86 machines, whatever the functions run on.
PLATFORM = "linux/amd64"
# SageMaker refuses manifests of OCI's media types, which BuildKit writes since 0.31 unless told otherwise, whatever the
# exporter; an attestation (provenance, SBOM) would make an index of the image. (aws/amazon-sagemaker-feedback issue
# 180, moby/buildkit pull 6824, docker/buildx issue 1533)
_FOR_SAGEMAKER = ("--provenance=false", "--sbom=false", "--output", "type=docker,oci-mediatypes=false")
NO_DOCKER = (
    "image: there is no docker with buildx here that answers (`docker info`, `docker buildx version`). Run this where there is "
    "one (Docker Desktop; or Docker's packages docker-ce and docker-buildx-plugin), or let CodeBuild do it: the steps are those that "
    "`make image DRY_RUN=1` prints."
)
Run = Callable[[Sequence[str], str | None], int]


def build_steps(registry: str, tag: str, *, platform: str, replay: bool) -> list[list[str]]:
    """The docker commands, in order; the sign-in reads its password from standard input.

    Examples
    --------
    >>> build_steps("1.dkr.ecr.eu-west-1.amazonaws.com", "latest", platform="linux/amd64", replay=False)[-1]
    ['docker', 'push', '1.dkr.ecr.eu-west-1.amazonaws.com/sagewatch-monitor:latest']
    """
    uri = f"{registry}/{REPOSITORY}:{tag}"
    with_model = ["--build-arg", "REPLAY=1"] if replay else []
    build = [
        "docker",
        "buildx",
        "build",
        "--platform",
        platform,
        *_FOR_SAGEMAKER,
        *with_model,
        "--tag",
        uri,
        "--file",
        "monitor_image/Dockerfile",
        ".",
    ]
    return [
        build,
        ["docker", "login", "--username", "AWS", "--password-stdin", registry],
        ["docker", "push", uri],
    ]


def push_image(session: Any, run: Run, steps: Sequence[Sequence[str]]) -> None:
    """Make the repository if there is none, build, sign in, push.

    Raises
    ------
    SystemExit
        A step failed; its own output says why.
    """
    ecr = session.client("ecr")
    try:
        ecr.describe_repositories(repositoryNames=[REPOSITORY])
    except ecr.exceptions.RepositoryNotFoundException:
        ecr.create_repository(
            repositoryName=REPOSITORY,
            imageScanningConfiguration={"scanOnPush": True},
            encryptionConfiguration={"encryptionType": "AES256"},
        )
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    for step in steps:
        # The password goes by standard input: never on a command line, never printed.
        if run(step, password if step[1] == "login" else None):
            sys.exit(f"image: `docker {step[1]}` failed")


def run_here(command: Sequence[str], told: str | None) -> int:
    """Run a program in the repository's root, with what it is told on standard input; its exit code."""
    return subprocess.run(list(command), cwd=ROOT, input=told, text=True, check=False).returncode


def has_docker() -> bool:
    """Whether there is a docker with buildx, and its engine answers."""
    if shutil.which("docker") is None:
        return False
    questions = (["docker", "info"], ["docker", "buildx", "version"])
    return not any(subprocess.run(one, capture_output=True, check=False).returncode for one in questions)


def main() -> None:
    """Build and push, or print the steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", default=None)
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--replay", action="store_true", help="with what `mode: replay` needs: 1 GB more")
    parser.add_argument("--dry-run", action="store_true")
    told = parser.parse_args()
    session = boto3.session.Session(region_name=told.region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        if not told.dry_run:
            sys.exit(f"image: AWS does not know who you are: {error} Sign in, or set AWS_PROFILE.")
        account = "ACCOUNT"
    registry = name_registry(account, session.region_name or "REGION")
    steps = build_steps(registry, told.tag, platform=PLATFORM, replay=told.replay)
    if told.dry_run:
        print("\n".join(" ".join(step) for step in steps))
        return
    if not has_docker():
        sys.exit(NO_DOCKER)
    try:
        push_image(session, run_here, steps)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"image: {tell_aws(error)}")


if __name__ == "__main__":
    main()
