"""`make image`: built, signed in for and pushed, with a password that no command line shows."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import image
from deploy.image import NO_DOCKER, build_steps, has_docker, push_image
from tests.aws_in_process import empty_aws
from tests.contract.stacks import Osls

ROOT = Path(__file__).resolve().parents[2]


def test_an_image_is_built_signed_in_for_and_pushed_with_the_password_on_standard_input(aws):
    registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    docker = Osls()
    push_image(aws, docker, build_steps(registry, "latest", platform="linux/amd64", replay=True))
    verbs = [command[0] for command, _ in docker.commands]
    assert verbs == ["buildx", "login", "push"]
    words = " ".join(docker.commands[0][0])  # or SageMaker says "Unsupported manifest media type"
    assert words.startswith(
        "buildx build --platform linux/amd64 --provenance=false --sbom=false --output type=docker,oci-mediatypes=false "
    )
    ((password,),) = [[told for _, told in docker.commands if told]]
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert password == base64.b64decode(token).decode().partition(":")[2]
    assert not [command for command, _ in docker.commands if password in " ".join(command)]
    assert docker.commands[0][0].count("REPLAY=1") == 1
    push_image(aws, docker, [])  # the repository is there by now
    with pytest.raises(SystemExit, match="build"):
        push_image(aws, Osls(answer=1), build_steps(registry, "t", platform="linux/amd64", replay=False))


@pytest.mark.parametrize(("without", "found"), [("", True), ("info", False), ("buildx version", False)])
def test_a_docker_that_cannot_build_is_no_docker(without, found, tmp_path, monkeypatch):
    """An engine that is not there, or a docker of a distribution without its buildx package."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$*" != "{without}" ]\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert has_docker() is found


def test_in_china_the_image_goes_to_the_registry_of_chinas_domain(monkeypatch, capsys):
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(sys, "argv", ["image", "--region", "cn-north-1", "--dry-run"])
    with empty_aws("cn-north-1"):
        image.main()
    told = capsys.readouterr().out
    assert told.count("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn") == told.count(".amazonaws.com") == 3


def test_without_docker_a_sentence_says_what_to_do(tmp_path):
    program = (
        "import sys; sys.path.insert(0, '.'); import deploy.image as i; i.shutil.which = lambda name: None\n"
        "i.boto3.session.Session.client = lambda self, name: type('S', (), {'get_caller_identity': lambda s: {'Account': '1'}})()\n"
        "sys.argv = ['image', '--region', 'eu-west-1']; i.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == NO_DOCKER
