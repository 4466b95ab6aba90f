"""When the program may be copied for another core, and when a process must begin anew."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading

import msgspec
import pytest

from sagewatch.quality import workers
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.process_start import FORK, SPAWN, choose_start
from sagewatch.quality.reading import Piece, ReadSettings

PROGRAM = """
import os, sys, pathlib
from sagewatch.quality import process_start
from sagewatch.quality.dataset_format import DatasetFormat, FileKind
from sagewatch.quality.reading import ReadSettings
from sagewatch.quality.workers import read_dataset
process_start.FORK = process_start.FORK._replace(worth=1000, head_start=0)
path = pathlib.Path(sys.argv[1])
settings = ReadSettings(DatasetFormat(FileKind(sys.argv[2]), header=True))
copies = []
os.register_at_fork(before=lambda: copies.append(1))
print(read_dataset([path], settings, 3, alone=True).tables.rows, len(copies))
"""


BROKEN = """
import os, pathlib, sys
from sagewatch.container import run_to_message
def break_reader():
    def read(*_, **__):
        raise OverflowError("ada@example.com")
    pathlib.Path.open = read
os.register_at_fork(after_in_child=break_reader)
work = sys.argv.pop(1)
sys.exit(run_to_message(pathlib.Path(sys.argv[1]).parent, lambda: exec(work, globals()) or ""))
"""


def test_only_a_program_that_says_it_is_alone_is_copied(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(sys, "platform", "linux")
    assert choose_start(alone=True) is FORK
    assert choose_start(alone=False) is SPAWN
    monkeypatch.setattr(sys, "platform", "darwin")
    assert choose_start(alone=True) is SPAWN


def test_where_a_thread_is_at_work_no_copy_is_made_of_it():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert choose_start(alone=True) is SPAWN
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_two_copies_of_a_program_read_with_it_what_it_would_read(tmp_path, kind):
    path = tmp_path / "data"
    row = "{0},{0}\n" if kind == "csv" else '{{"a": {0}}}\n'
    path.write_text(("a,b\n" if kind == "csv" else "") + "".join(map(row.format, range(5000))))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, path, kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "5000 2\n")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
def test_what_breaks_another_process_is_told_with_its_own_place_and_without_its_words(tmp_path):
    path = tmp_path / "data"
    path.write_text('{"a": 1}\n' * 5000)
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, PROGRAM, path, "jsonl"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Sagewatch itself failed: OverflowError (read, line 6 of <string>)" in done.stderr
    assert "in _read_share" in done.stderr
    assert "ada@" not in done.stderr + done.stdout


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "b.jsonl"), MemoryError()])
def test_what_the_machine_refuses_a_process_is_told_as_in_one_alone(error, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr(workers.DatasetReader, "read", refuse)
    settings = msgspec.msgpack.encode(ReadSettings(DatasetFormat(FileKind.JSON_LINES)))
    with pytest.raises(type(error)) as told:
        workers._read_share([Piece("b.jsonl", 0, 9)], settings)
    assert told.value is error


def test_where_one_process_fails_the_others_read_no_further_than_their_next_block(tmp_path, monkeypatch):
    done = multiprocessing.get_context("spawn").Value("q", 0)
    monkeypatch.setattr(workers, "_shared", done)
    path = tmp_path / "data"
    path.write_text('{"a": 1}\n' * 10)
    share = [Piece(str(path), 0, path.stat().st_size)]
    settings = msgspec.msgpack.encode(ReadSettings(DatasetFormat(FileKind.JSON_LINES)))
    assert (workers._read_share(share, settings).lines, done.value) == ([10], path.stat().st_size)
    with pytest.raises(SystemExit), workers._stop_others(done):
        sys.exit(143)
    part = workers._read_share(share, settings)
    assert part.failure is not None
    assert part.failure[0] is workers._StoppedError
