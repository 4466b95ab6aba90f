"""Assemble the core layer: the package `sagewatch` and the wheels it stands on, as one reproducible zip.

Run by `make layers`. Wheels are fetched for Lambda's platform, not this machine's, so no container is needed.
The same inputs give the same bytes: names are sorted, times and modes are fixed.

Where Lambda's version of Python is installed, bytecode goes into the zip as well. A layer is mounted read-only, so
without it every cold start compiles every module again: 0.9 s of CPU instead of 0.25 s (benchmarks/cold_start.py).
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
# Newest first. Lambda's python3.13 runs on Amazon Linux 2023, which has glibc 2.34.
PLATFORMS = {
    "x86_64": ["manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"],
    "arm64": ["manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64"],
}
# Rooms of the package that no function enters: people's command line, the local AWS, replays in memory.
LEFT_OUT = ("cli", "replay", "sandbox")
EPOCH = (1980, 1, 1, 0, 0, 0)
LIMIT_BYTES = 250 * 1024 * 1024


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process builds in the folder: a demo and a test run may start at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def list_product(root: Path) -> list[Path]:
    """The package's files that ship to Lambda, relative to ``layers/core/python``, in order."""
    base = root / "layers" / "core" / "python"
    files = (path.relative_to(base) for path in (base / "sagewatch").rglob("*") if path.is_file())
    return sorted(file for file in files if _ships(file))


def _ships(file: Path) -> bool:
    return file.parts[1] not in LEFT_OUT and "__pycache__" not in file.parts


def list_installed(site: Path) -> list[Path]:
    """The files of a folder that goes into the layer, relative to it, in order.

    Left out are console scripts, whose first line names this machine's interpreter, and pip's own notes.
    """
    files = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    return sorted(file for file in files if file.parts[0] != "bin" and not _is_note(file))


def _is_note(file: Path) -> bool:
    notes = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    return file.name in notes and file.parent.name.endswith(".dist-info")


def read_dependencies(root: Path) -> list[str]:
    """What pyproject.toml says that the functions import."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return [str(requirement) for requirement in project["dependencies"]]


def hash_of(parts: Iterable[bytes]) -> str:
    """One hash over all parts, each with its length, so that no two lists of parts look alike."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def find_runtime_python() -> str | None:
    """An interpreter of Lambda's version: on the path, or one that pyenv keeps beside it; else None."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python{PYTHON}"))
    for name in (f"python{PYTHON}", *map(str, kept)):
        found = shutil.which(name)
        # pyenv's stand-in on the path is there even where no version is chosen.
        if found and not subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
            return found
    return None


def compile_bytecode(python: str | None, folder: Path) -> None:
    """Compile every module of the folder for Lambda, as if it lay in /opt/python, where it will lie.

    Unchecked: the bytecode is not compared with its source, whose times Lambda sets as it likes.
    """
    if python is None:
        return
    options = ["--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/opt/python", "-q"]
    # A module that is no Python of this version (a template, a stub for an older one) stays uncompiled.
    subprocess.run(
        [python, "-I", "-m", "compileall", *options, str(folder)], check=False, capture_output=True
    )


def stage_product(root: Path, python: str | None, work: Path) -> Path:
    """Copy what ships of the package into a folder of its own, with bytecode; the folder."""
    stage = work / "product"
    shutil.rmtree(stage, ignore_errors=True)
    for file in list_product(root):
        (stage / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / "layers" / "core" / "python" / file, stage / file)
    compile_bytecode(python, stage)
    return stage


def install_wheels(root: Path, architecture: str, python: str | None, work: Path) -> Path:
    """Fetch the wheels for Lambda's platform, unless that was done for these pins before; their folder."""
    requirements = read_dependencies(root)
    parts = [(root / "requirements.txt").read_text(), *requirements, "bytecode" if python else "source"]
    key = hash_of(part.encode() for part in parts)
    site = work / f"wheels-{architecture}-{key[:16]}"
    if site.exists():
        return site
    for old in work.glob(f"wheels-{architecture}-*"):
        shutil.rmtree(old)
    print(f"layers: fetching wheels for Lambda ({architecture}, python{PYTHON})", flush=True)
    fresh = site.with_suffix(".part")
    shutil.rmtree(fresh, ignore_errors=True)
    platforms = [word for tag in PLATFORMS[architecture] for word in ("--platform", tag)]
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--target", str(fresh), "--no-compile",
        "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON, *platforms,
        "--constraint", str(root / "requirements.txt"), *requirements,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    compile_bytecode(python, fresh)
    fresh.rename(site)
    return site


def list_members(*folders: Path) -> list[tuple[str, Path]]:
    """Name in the zip and file of everything in these folders, in the order in which it is written."""
    return sorted(
        (f"python/{file.as_posix()}", folder / file) for folder in folders for file in list_installed(folder)
    )


def write_zip(members: Iterable[tuple[str, Path]], target: Path) -> int:
    """Write the members with fixed times and modes; the number of bytes they unpack to."""
    total = 0
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, file in members:
            body = file.read_bytes()
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, body)
            total += len(body)
    part.replace(target)
    return total


def build_core(root: Path, architecture: str, out: Path) -> Path:
    """Build ``core-ARCHITECTURE.zip`` if its inputs changed, and print its size."""
    with alone_in(out):
        return _build_core(root, architecture, out)


def _build_core(root: Path, architecture: str, out: Path) -> Path:
    target, stamp = out / f"core-{architecture}.zip", out / f"core-{architecture}.inputs"
    product = root / "layers" / "core" / "python"
    python = find_runtime_python()
    inputs = [f"{architecture} {python}".encode(), Path(__file__).read_bytes()]
    inputs += [(root / "requirements.txt").read_bytes()]
    inputs += ["\n".join(read_dependencies(root)).encode()]
    for file in list_product(root):
        inputs += [file.as_posix().encode(), (product / file).read_bytes()]
    key = hash_of(inputs)
    if target.exists() and stamp.exists() and stamp.read_text().splitlines()[:1] == [key]:
        print(f"layers: {stamp.read_text().splitlines()[1]} (unchanged)")
        return target
    site = install_wheels(root, architecture, python, out)
    unpacked = write_zip(list_members(stage_product(root, python, out), site), target)
    if unpacked > LIMIT_BYTES:
        print(f"layers: core unpacks to {unpacked / 1e6:.0f} MB, more than Lambda takes", file=sys.stderr)
        raise SystemExit(1)
    zipped = target.stat().st_size
    line = f"core {architecture}: {zipped / 1e6:.1f} MB zipped, {unpacked / 1e6:.1f} MB unpacked"
    line += "" if python else f"; no python{PYTHON} here, so without bytecode: cold starts take longer"
    stamp.write_text(f"{key}\n{line}\n")
    print(f"layers: {line}")
    return target


def main() -> None:
    """Build the layer as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    parser.add_argument("--out", type=Path, default=ROOT / ".build" / "layers", metavar="DIR")
    arguments = parser.parse_args()
    build_core(ROOT, arguments.architecture, arguments.out)


if __name__ == "__main__":
    main()
