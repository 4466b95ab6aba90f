"""The core layer: the same bytes from the same inputs, nothing that a function does not need, and it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from layers.build_core import LEFT_OUT, LIMIT_BYTES, build_core, find_runtime_python, list_product, write_zip
from layers.pin_versions import build_pins

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = sorted(file.parent.name for file in (ROOT / "functions").glob("*/handler.py"))


@pytest.fixture(scope="module")
def layer(packaged):
    """The zip that the packaged stack names."""
    del packaged
    return ROOT / ".build" / "layers" / "core-x86_64.zip"


@pytest.fixture(scope="module")
def unpacked(layer, tmp_path_factory):
    """The layer as Lambda mounts it."""
    folder = tmp_path_factory.mktemp("opt")
    with zipfile.ZipFile(layer) as archive:
        archive.extractall(folder)
    return folder / "python"


def test_times_and_modes_of_the_files_leave_no_trace_in_the_zip(tmp_path):
    files = {}
    for n, folder in enumerate(("first", "second")):
        file = tmp_path / folder / "a.py"
        file.parent.mkdir()
        file.write_text("x = 1\n")
        os.utime(file, (n * 1e8, n * 1e8))
        file.chmod(0o600 + n * 0o44)
        write_zip([("python/a.py", file)], tmp_path / f"{folder}.zip")
        files[folder] = (tmp_path / f"{folder}.zip").read_bytes()
    assert files["first"] == files["second"]


def test_the_layer_built_elsewhere_is_the_same_byte_for_byte(layer, tmp_path):
    built = []
    for place in ("one", "two"):
        root = tmp_path / place
        shutil.copytree(
            ROOT / "layers" / "core", root / "layers" / "core", ignore=shutil.ignore_patterns("*.pyc")
        )
        for name in ("pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, root / name)
        # The wheels were fetched by the first build; a second fetch would test the registry, not us.
        for site in layer.parent.glob("wheels-x86_64-*"):
            shutil.copytree(site, root / "out" / site.name)
        built.append(build_core(root, "x86_64", root / "out").read_bytes())
    assert built[0] == built[1]


def test_people_and_test_rooms_stay_out_of_the_layer(layer):
    with zipfile.ZipFile(layer) as archive:
        names = archive.namelist()
    tops = {name.split("/")[1] for name in names}
    assert {"sagewatch", "botocore", "msgspec", "aws_lambda_powertools"} <= tops
    # boto3 and what only it needs are for people's commands: no function imports them.
    assert not {"numpy", "scipy", "pandas", "torch", "moto", "bin", "boto3", "s3transfer"} & tops
    assert not [n for n in names if n.startswith(tuple(f"python/sagewatch/{room}/" for room in LEFT_OUT))]


def test_bytecode_ships_for_every_module_of_ours_and_says_where_lambda_has_it(layer):
    if find_runtime_python() is None:
        pytest.skip("no python3.13 here, which is what Lambda runs")
    with zipfile.ZipFile(layer) as archive:
        names = set(archive.namelist())
        modules = [Path(n) for n in names if n.startswith("python/sagewatch/") and n.endswith(".py")]
        compiled = {n: n.parent / "__pycache__" / f"{n.stem}.cpython-313.pyc" for n in modules}
        assert {str(path) for path in compiled.values()} <= names
        body = archive.read("python/sagewatch/__pycache__/errors.cpython-313.pyc")
    assert b"/opt/python/sagewatch/errors.py" in body
    assert int.from_bytes(body[4:8], "little") == 1, "bytecode is checked against times that Lambda sets"


def test_the_layer_is_far_below_what_lambda_unpacks(layer):
    with zipfile.ZipFile(layer) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) < LIMIT_BYTES / 4


def test_compiled_wheels_are_for_the_functions_runtime(layer):
    with zipfile.ZipFile(layer) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
    assert libraries
    assert all("cpython-313-x86_64-linux-gnu" in n or ".abi3." in n for n in libraries), libraries


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_starts_from_the_layer_and_its_own_package_alone(name, unpacked, packaged, tmp_path):
    python = find_runtime_python()
    if python is None:
        pytest.skip("no python3.13 here, which is what Lambda runs")
    with zipfile.ZipFile(packaged / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    program = (
        f"import json, sys; sys.path[:0] = [{str(tmp_path)!r}, {str(unpacked)!r}]\n"
        f"from functions.{name} import handler\n"
        "print(json.dumps([callable(handler.handler), *sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    # -I: neither the environment nor this machine's packages are seen.
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    callable_, *modules = json.loads(done.stdout)
    assert callable_
    # Each would be a tenth of a second and more of every cold start; slack_sdk waits for the first message.
    assert not {"numpy", "scipy", "pandas", "pydantic", "asyncio", "boto3", "slack_sdk"} & set(modules)


def test_everything_that_ships_is_listed_in_order_and_once():
    files = list_product(ROOT)
    assert files == sorted(set(files))
    assert Path("sagewatch/errors.py") in files


def test_pins_name_torch_first_and_no_cuda_package_and_no_build():
    report = {
        "install": [
            {"metadata": {"name": name, "version": version}}
            for name, version in [
                ("Zope_Thing", "1"), ("torch", "2.13.0+cpu"), ("nvidia-cublas", "13"), ("triton", "3"), ("sagewatch", "0"),
            ]
        ]
    }  # fmt: skip
    assert build_pins(report, "sagewatch") == ["torch==2.13.0", "zope-thing==1"]


def test_requirements_pin_everything_and_name_no_place():
    lines = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert lines[0].startswith("torch==")
    assert all(line.count("==") == 1 and "/" not in line and "+" not in line for line in lines)
