"""How long each function imports, from the layer and its own package alone, as on a cold start.

Run: ``python benchmarks/cold_start.py [--quick]``. CPU seconds of an isolated interpreter, best of several; the bare
interpreter's own are taken off. Lambda's python3.13 is used where it is found, else this interpreter.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from layers.build_core import ROOT, build_core, find_runtime_python

FUNCTIONS = {
    "ingest_capture": 0.5,
    "manage_incident": 0.8,
    "advance_diagnosis": 0.8,
    "deliver_alert": 0.8,
    "tick": 0.8,
}
MEASURE = "import time; {}; print(time.process_time())"


def measure(python: str, code: str, turns: int) -> float:
    """CPU seconds, from the interpreter's start, after which the code has run; the best of several turns."""
    command = [python, "-I", "-B", "-c", MEASURE.format(code)]
    done = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(turns))
    return min(float(one.stdout) for one in done)


def main() -> None:
    """Unpack the layer, import each handler, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    turns = 3 if parser.parse_args().quick else 10
    python = find_runtime_python() or sys.executable
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(build_core(ROOT, "x86_64", ROOT / ".build" / "layers")) as archive:
            archive.extractall(folder)
        path = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {folder + '/python'!r}]"
        bare = measure(python, path, turns)
        print(f"{'function':20} {'CPU':>8} {'at most':>8} {'from source':>12}   ({python})")
        shipped = {
            name: measure(python, f"{path}; import functions.{name}.handler", turns) - bare
            for name in FUNCTIONS
        }
        for bytecode in Path(folder).rglob("*.pyc"):
            bytecode.unlink()
        for name, limit in FUNCTIONS.items():
            source = measure(python, f"{path}; import functions.{name}.handler", turns) - bare
            print(f"{name:20} {shipped[name]:6.3f} s {limit:6.1f} s {source:10.3f} s")


if __name__ == "__main__":
    main()
