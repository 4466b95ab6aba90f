"""Memory does not grow with the data: measured on processes of their own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_document_twice_as_large_takes_no_more_memory(tmp_path, kind):
    peaks = []
    for rows in (500_000, 1_000_000):
        path = tmp_path / f"{rows}.{kind}"
        if kind == "json":
            with path.open("w") as file:
                file.write(
                    "[" + ",\n".join(f'{{"id":{at},"text":"record number {at}"}}' for at in range(100))
                )
                for at in range(rows):
                    file.write(f',\n{{"id":{at},"text":"record number {at}"}}')
                file.write("]")
        else:
            values = np.random.default_rng(1).normal(size=rows)
            pq.write_table(pa.table({"a": values, "b": values * 2}), path, row_group_size=100_000)
        # Not getrusage: after an exec it still tells the peak of the process that this one was forked from.
        program = (
            "import sys, pathlib; from sagewatch.quality.workers import read_dataset;"
            "from sagewatch.quality.reading import ReadSettings; from sagewatch.quality.dataset_format import *;"
            "read_dataset([pathlib.Path(sys.argv[1])], ReadSettings(DatasetFormat(FileKind(sys.argv[2]))));"
            "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, path, kind], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) // 1024)
        path.unlink()
    assert peaks[1] < 1.25 * peaks[0] + 20, peaks
