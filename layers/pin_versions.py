"""Write requirements.txt: every version that pyproject.toml and all of its extras resolve to today.

Run by `make pins`, by hand, when a dependency is added or shall be renewed. pip's own resolver decides; nothing
but names and versions is written, so a machine takes each package from wherever it is set up to.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("explain", "quality", "cli", "sandbox", "dev")
# What the CUDA builds of torch bring along. The project runs on CPUs; the CPU build has the same version.
CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")
HEADER = """\
# Written by `make pins` from pyproject.toml with all extras; do not edit.
# torch is the CPU build: it comes first, so that it can be installed alone before anything else asks for it.
# Where your index offers only CUDA builds for Linux, point PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL at CPU wheels.
"""


def build_pins(report: dict[str, Any], project: str) -> list[str]:
    """Lines ``name==version`` from pip's installation report: torch first, then by name.

    A local label ("+cpu") is dropped: it names one build of the version, and where it comes from.
    """
    found = [(str(row["metadata"]["name"]), str(row["metadata"]["version"])) for row in report["install"]]
    named = {re.sub(r"[-_.]+", "-", name).lower(): version.split("+")[0] for name, version in found}
    kept = {name: version for name, version in named.items() if name != project and not CUDA.match(name)}
    return [f"{name}=={kept[name]}" for name in sorted(kept, key=lambda name: (name != "torch", name))]


def main() -> None:
    """Ask pip and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        target = f"{ROOT}[{','.join(EXTRAS)}]"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*command, "--report", str(report), target], check=True)
        pins = build_pins(json.loads(report.read_text()), "sagewatch")
    (ROOT / "requirements.txt").write_text(HEADER + "\n".join(pins) + "\n")
    print(f"pins: {len(pins)} packages in requirements.txt")


if __name__ == "__main__":
    main()
