"""Assemble the core layer: the package `sagewatch` and the wheels it stands on, as one reproducible zip.

Run by `make layers`. Wheels are fetched for Lambda's platform, not this machine's, so no container is needed.
The same inputs give the same bytes: names are sorted, times and modes are fixed.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
# Newest first. Lambda's python3.13 runs on Amazon Linux 2023, which has glibc 2.34.
PLATFORMS = {
    "x86_64": ["manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"],
    "arm64": ["manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64"],
}
# Rooms of the package that no function enters: people's command line, the local AWS.
LEFT_OUT = ("cli", "sandbox")
EPOCH = (1980, 1, 1, 0, 0, 0)
LIMIT_BYTES = 250 * 1024 * 1024


def list_product(root: Path) -> list[Path]:
    """The package's files that ship to Lambda, relative to ``layers/core/python``, in order."""
    base = root / "layers" / "core" / "python"
    files = (path.relative_to(base) for path in (base / "sagewatch").rglob("*") if path.is_file())
    return sorted(file for file in files if _ships(file))


def _ships(file: Path) -> bool:
    return file.parts[1] not in LEFT_OUT and "__pycache__" not in file.parts


def list_wheels(site: Path) -> list[Path]:
    """The files of the installed wheels, relative to the folder that they were installed into, in order.

    Left out are console scripts, whose first line names this machine's interpreter, and pip's own notes.
    """
    files = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    notes = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    return sorted(
        file
        for file in files
        if file.parts[0] != "bin" and "__pycache__" not in file.parts and not _is_note(file, notes)
    )


def _is_note(file: Path, notes: Iterable[str]) -> bool:
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


def install_wheels(root: Path, architecture: str, work: Path) -> Path:
    """Fetch the wheels for Lambda's platform, unless that was done for these pins before; their folder."""
    requirements = read_dependencies(root)
    pins = (root / "requirements.txt").read_bytes()
    key = hash_of([pins, *(requirement.encode() for requirement in requirements)])
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
    fresh.rename(site)
    return site


def iterate_members(root: Path, site: Path) -> Iterator[tuple[str, Path]]:
    """Name in the zip and file of every member, in the order in which they are written."""
    product = root / "layers" / "core" / "python"
    members = [(f"python/{file.as_posix()}", product / file) for file in list_product(root)]
    members += [(f"python/{file.as_posix()}", site / file) for file in list_wheels(site)]
    yield from sorted(members)


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
    """Build ``core.zip`` if its inputs changed, and print its size."""
    out.mkdir(parents=True, exist_ok=True)
    target, stamp = out / "core.zip", out / "core.inputs"
    product = root / "layers" / "core" / "python"
    inputs = [architecture.encode(), Path(__file__).read_bytes(), (root / "requirements.txt").read_bytes()]
    inputs += ["\n".join(read_dependencies(root)).encode()]
    for file in list_product(root):
        inputs += [file.as_posix().encode(), (product / file).read_bytes()]
    key = hash_of(inputs)
    if target.exists() and stamp.exists() and stamp.read_text().splitlines()[:1] == [key]:
        print(f"layers: {stamp.read_text().splitlines()[1]} (unchanged)")
        return target
    unpacked = write_zip(iterate_members(root, install_wheels(root, architecture, out)), target)
    if unpacked > LIMIT_BYTES:
        print(f"layers: core unpacks to {unpacked / 1e6:.0f} MB, more than Lambda takes", file=sys.stderr)
        raise SystemExit(1)
    zipped = target.stat().st_size
    line = f"core {architecture}: {zipped / 1e6:.1f} MB zipped, {unpacked / 1e6:.1f} MB unpacked"
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
