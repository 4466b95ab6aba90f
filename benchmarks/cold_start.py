"""How long each function imports, from the layer and its own package alone, as on a cold start.

Run: ``make bench FILES=benchmarks/cold_start.py [BENCH=--quick]``. CPU seconds of an isolated interpreter, best of several; the bare
interpreter's own are taken off. Lambda's python3.13 is used where it is found, else this interpreter. Peak memory is
the whole process's after the import: what a function has left for its work is its memorySize less that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from layers.build_core import ROOT, build_core, find_runtime_python

HOT = "ingest_capture"
FUNCTIONS = {
    file.parent.name: 0.5 if file.parent.name == HOT else 0.8
    for file in sorted((ROOT / "functions").glob("*/handler.py"))
}
# Not ru_maxrss: a child begins with its parent's.
MEASURE = """
import re, time
{}
print(time.process_time(), int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def measure(python: str, code: str, turns: int) -> tuple[float, float]:
    """CPU seconds, from the interpreter's start, after which the code has run, and MB; the best of several turns."""
    command = [python, "-I", "-B", "-c", MEASURE.format(code)]
    done = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(turns))
    rows = [tuple(map(float, one.stdout.split())) for one in done]
    return min(row[0] for row in rows), min(row[1] for row in rows)


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
        bare, _ = measure(python, path, turns)
        print(f"{'function':20} {'CPU':>8} {'at most':>8} {'from source':>12} {'memory':>8}   ({python})")
        shipped = {
            name: measure(python, f"{path}; import functions.{name}.handler", turns) for name in FUNCTIONS
        }
        for bytecode in Path(folder).rglob("*.pyc"):
            bytecode.unlink()
        for name, limit in FUNCTIONS.items():
            seconds, megabytes = shipped[name]
            source, _ = measure(python, f"{path}; import functions.{name}.handler", turns)
            print(
                f"{name:20} {seconds - bare:6.3f} s {limit:6.1f} s {source - bare:10.3f} s {megabytes:5.0f} MB"
                f"{'' if seconds - bare <= limit else '   TOO SLOW'}"
            )


if __name__ == "__main__":
    main()
