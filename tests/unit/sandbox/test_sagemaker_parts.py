"""Paths, configs, pages and guards of the local SageMaker, without any process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagewatch.sandbox.guard.sitecustomize import forbidden_host
from sagewatch.sandbox.sagemaker import protocol
from sagewatch.sandbox.sagemaker.endpoints import initial_variants, retained_variants
from sagewatch.sandbox.sagemaker.job_files import build_job_config, inside, relative_key
from sagewatch.sandbox.sagemaker.listing import build_page
from sagewatch.sandbox.sagemaker.processing import program_arguments

REQUEST: dict[str, Any] = {
    "ProcessingJobName": "j",
    "RoleArn": "r",
    "AppSpecification": {"ImageUri": "i"},
    "ProcessingResources": {"ClusterConfig": {}},
}


@pytest.mark.parametrize("name", ["x" * 64, "under_score", "-first", "last-", "dot.ted"])
def test_a_name_that_sagemaker_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(protocol.ApiError, match=r"at 'modelName' failed to satisfy constraint"):
        protocol.check_request("CreateModel", {"ModelName": name})
    config = {"EndpointName": "e", "EndpointConfigName": name}
    with pytest.raises(protocol.ApiError, match=r"at 'endpointConfigName' failed to satisfy"):
        protocol.check_request("CreateEndpoint", config)
    protocol.check_request("CreateModel", {"ModelName": "a--b-" + "x" * 58})


def test_a_containers_path_lies_below_the_jobs_root(tmp_path: Path) -> None:
    assert inside(tmp_path, "/opt/ml/x") == tmp_path / "opt/ml/x"
    with pytest.raises(ValueError, match="leaves the container"):
        inside(tmp_path, "/opt/../../../etc/passwd")


@pytest.mark.parametrize(
    ("key", "prefix", "relative"),
    [("a/b/c", "a/", "b/c"), ("a/b/c", "a", "b/c"), ("a/b", "a/b", "b"), ("a", "", "a")],
)
def test_an_object_keeps_its_path_below_the_prefix(key: str, prefix: str, relative: str) -> None:
    assert relative_key(key, prefix) == relative


def test_what_a_job_does_not_say_is_null_in_its_config() -> None:
    config = build_job_config(REQUEST, "arn")
    assert config["NetworkConfig"] is None
    assert config["AppSpecification"] == {
        "ImageUri": "i",
        "ContainerEntrypoint": None,
        "ContainerArguments": None,
    }


def test_a_program_of_the_image_is_the_repositorys() -> None:
    application = {
        "ContainerEntrypoint": ["/usr/bin/python3", "/opt/program/explain.py"],
        "ContainerArguments": ["-v"],
    }
    assert program_arguments(application, Path("/repo")) == ["/repo/explain.py", "-v"]
    assert program_arguments({}, Path("/repo")) == ["/repo/analyze.py"]
    with pytest.raises(protocol.ApiError, match="Python programs only"):
        program_arguments({"ContainerEntrypoint": ["/bin/sh"]}, Path("/repo"))


def test_retained_properties_are_matched_by_variant_name() -> None:
    old = initial_variants(
        {"ProductionVariants": [{"VariantName": "A", "ModelName": "m", "InitialInstanceCount": 1}]}
    )
    old[0].instances, old[0].weight = 7, 0.5
    new = {"ProductionVariants": [{"VariantName": name, "ModelName": "n"} for name in ("A", "B")]}
    kept, fresh = retained_variants(new, old)
    assert (kept.instances, kept.weight, kept.model_name) == (7, 0.5, "n")
    assert (fresh.instances, fresh.weight) == (None, 1.0)


def test_pages_follow_each_other_without_gap() -> None:
    items = [{"Name": f"n{number}", "CreationTime": number, "Status": "A"} for number in range(5)]
    seen, request = [], {"MaxResults": 2, "SortOrder": "Ascending"}
    while True:
        page = build_page(request, items, answer_key="Items", name_key="Name", status_key="Status")
        seen += [item["Name"] for item in page["Items"]]
        if "NextToken" not in page:
            break
        request = {**request, "NextToken": page["NextToken"]}
    assert seen == ["n0", "n1", "n2", "n3", "n4"]
    found = build_page(
        {"NameContains": "N3", "StatusEquals": "A"},
        items,
        answer_key="I",
        name_key="Name",
        status_key="Status",
    )
    assert [item["Name"] for item in found["I"]] == ["n3"]


def test_a_request_without_a_required_field_is_refused_as_by_aws() -> None:
    with pytest.raises(protocol.ApiError, match="EndpointConfigName") as caught:
        protocol.check_request("CreateEndpoint", {"EndpointName": "e"})
    assert caught.value.code == "ValidationException"
    with pytest.raises(protocol.ApiError, match="no operation"):
        protocol.check_request("MakeCoffee", {})


@pytest.mark.parametrize(
    ("event", "arguments", "host"),
    [
        ("socket.connect", (None, ("127.0.0.1", 80)), None),
        ("socket.connect", (None, ("127.9.9.9", 80)), None),
        ("socket.connect", (None, ("::1", 80, 0, 0)), None),
        ("socket.connect", (None, ("localhost", 80)), None),
        ("socket.connect", (None, "/run/socket"), None),
        ("socket.connect", (None, ("10.0.0.1", 80)), "10.0.0.1"),
        ("socket.connect", (None, ("example.com", 80)), "example.com"),
        ("socket.connect", (None, ("169.254.169.254", 80)), "169.254.169.254"),
        ("socket.bind", (None, ("", 80)), ""),
        ("socket.bind", (None, ("0.0.0.0", 80)), "0.0.0.0"),
        ("socket.getaddrinfo", ("example.com", 80, 0, 0, 0), "example.com"),
        ("socket.getaddrinfo", (None, 80, 0, 0, 0), None),
        ("socket.getaddrinfo", (b"127.0.0.1", 80, 0, 0, 0), None),
        ("open", ("/etc/hosts", "r", 0), None),
    ],
)
def test_the_guard_lets_loopback_pass_and_nothing_else(
    event: str, arguments: tuple[object, ...], host: str | None
) -> None:
    assert forbidden_host(event, arguments) == host
