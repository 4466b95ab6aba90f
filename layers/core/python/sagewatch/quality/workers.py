"""A data set on every core: its files are shared out by bytes, and the readouts merge in order."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import multiprocessing.util
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.container import end_with_parent
from sagewatch.errors import DefectError, RejectedInputError, SagewatchError, describe_defect
from sagewatch.quality.csv_file import has_quotes
from sagewatch.quality.dataset_format import FileKind
from sagewatch.quality.files import PARTIAL_SUFFIX
from sagewatch.quality.process_start import Start, choose_start
from sagewatch.quality.reading import DatasetReader, Piece, ReadSettings
from sagewatch.quality.readout import Readout, RejectedLine
from sagewatch.quality.shards import merge_shards

_POLL_SECONDS: Final = 0.2
_STOPPED: Final = -1 << 60
_SPLIT: Final = frozenset({FileKind.CAPTURE, FileKind.JSON_LINES, FileKind.CSV, FileKind.PARQUET})

# Bytes read so far, by all workers; set in each worker when it starts.
_shared: Any = None


def read_dataset(
    files: Sequence[Path],
    settings: ReadSettings,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    *,
    alone: bool = False,
) -> Readout:
    """Read a whole data set, in memory that does not grow with it.

    Parameters
    ----------
    files
        The files, in order.
    settings
        Format, window, mode and script.
    workers
        Processes to use at most; small data sets are read in this one.
    progress
        Called with bytes read and bytes in all.
    alone
        True where the program knows of every thread in its process, and none is at work: then it is copied.

    Raises
    ------
    RejectedInputError
        When a file as a whole is not of its format, or not a single line could be read.
    ScriptError
        When the preprocessor fails.
    """
    if settings.format.kind is FileKind.PARTIAL:
        readout = merge_shards([path for path in files if path.name.endswith(PARTIAL_SUFFIX)])
        for path in files:
            if not path.name.endswith(PARTIAL_SUFFIX):
                readout.reject(str(path), 1, "no_partial_profile")
                readout.counts.lines += 1
        return readout
    if alone:
        # What the program has imported is not looked through for garbage again, here and in its copies.
        gc.freeze()
    total = sum(path.stat().st_size for path in files)
    start = choose_start(alone=alone)
    shares = plan_shares(files, settings, min(workers, max(1, total // start.worth)), start.head_start)
    if len(shares) == 1:
        parts = [_read_here(shares[0], settings, total, progress)]
    else:
        try:
            parts = _read_in_processes(shares, settings, start, total, progress)
        except BrokenProcessPool:
            # A process was killed, for want of memory most likely, or none can be started here: slower, but done.
            shares = plan_shares(files, settings, 1)
            parts = [_read_here(shares[0], settings, total, progress)]
    readout = _join(shares, parts)
    if not readout.tables.rows and readout.counts.rejected:
        first = readout.rejected[0]
        reasons = ", ".join(f"{count} {reason}" for reason, count in readout.reasons.most_common(3))
        raise RejectedInputError(
            f"not one line could be read ({reasons})", where=first.where, line=first.line
        )
    return readout


def plan_shares(
    files: Sequence[Path], settings: ReadSettings, workers: int, head_start: int = 0
) -> list[list[Piece]]:
    """Share a data set out: consecutive stretches of about equal size, cut within files where lines allow.

    The first is larger by the head start: whoever asks reads it himself, while the other processes are still starting.
    """
    sizes = [path.stat().st_size for path in files]
    kind = settings.format.kind
    start_cost = head_start if workers > 1 and sum(sizes) > head_start else 0
    target = max(1, -(-(sum(sizes) - start_cost) // workers))
    targets = [target + start_cost, *[target] * (workers - 1)]
    shares: list[list[Piece]] = [[]]
    filled = 0
    for path, size in zip(files, sizes, strict=True):
        whole = kind not in _SPLIT or (kind is FileKind.CSV and workers > 1 and has_quotes(path))
        start = 0
        while start < size or not size:
            if filled >= targets[len(shares) - 1] and len(shares) < workers:
                shares.append([])
                filled = 0
            last = whole or len(shares) == workers
            end = size if last else min(size, start + targets[len(shares) - 1] - filled)
            shares[-1].append(Piece(str(path), start, end))
            filled += end - start
            start = end
            if not size:
                break
    return shares


def _read_here(
    share: list[Piece], settings: ReadSettings, total: int, progress: Callable[[int, int], None] | None
) -> tuple[Readout, list[int]]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    reader = DatasetReader(settings, advance)
    lines = [reader.read(piece) for piece in share]
    return reader.finish(), lines


def _read_in_processes(
    shares: list[list[Piece]],
    settings: ReadSettings,
    start: Start,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[Readout, list[int]]]:
    context: Any = multiprocessing.get_context(start.method)
    done = context.Value("q", 0)
    encoded = msgspec.msgpack.encode(settings)
    reported = _Progress(done, total, progress)
    with ProcessPoolExecutor(len(shares) - 1, context, _set_shared, (done,)) as pool, _stop_others(done):
        futures = [pool.submit(_read_share, share, encoded) for share in shares[1:]]
        reader = DatasetReader(settings, reported.advance)
        lines = [reader.read(piece) for piece in shares[0]]
        here = (reader.finish(), lines)
        waiting: set[Future[_Part]] = set(futures)
        while waiting:
            finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_EXCEPTION)
            reported.show()
            if any(future.exception() is not None for future in finished):
                pool.shutdown(wait=False, cancel_futures=True)
                break
        parts = [future.result() for future in futures]
    for part in parts:
        if part.failure is not None:
            raise _restore(part.failure)
    return [here, *((Readout.decode(part.content), part.lines) for part in parts)]


@contextlib.contextmanager
def _stop_others(done: Any) -> Iterator[None]:
    """Where this process fails, or is told to end, the others read no further than their next block."""
    try:
        yield
    except BaseException:
        with done.get_lock():
            done.value = _STOPPED
        raise


class _StoppedError(SagewatchError):
    """Another process failed: what this one reads nobody asks for. Never leaves the module."""


class _Progress:
    """Bytes read by this process and all others, told at most every ``_POLL_SECONDS``."""

    def __init__(self, done: Any, total: int, tell: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._tell = done, total, tell
        self._told = 0.0

    def advance(self, count: int) -> None:
        with self._done.get_lock():
            self._done.value += count
        if time.monotonic() - self._told > _POLL_SECONDS:
            self.show()

    def show(self) -> None:
        self._told = time.monotonic()
        if self._tell is not None:
            self._tell(min(self._done.value, self._total), self._total)


def _set_shared(value: Any) -> None:
    global _shared  # noqa: PLW0603 - a process's own, handed over when it starts
    end_with_parent()
    # A copy of the program has its handlers too; but it only reads, and ends without a word.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The last that it does: a thread that a script left running would keep it, and with it the job.
    multiprocessing.util.Finalize(None, os._exit, args=(0,), exitpriority=-100)
    _shared = value


class _Part(msgspec.Struct):
    """What a process sends back: its readout and the lines of each piece, or why there is none."""

    content: bytes = b""
    lines: list[int] = []
    failure: tuple[type[SagewatchError], tuple[Any, ...], dict[str, Any]] | None = None


def _read_share(share: list[Piece], settings: bytes) -> _Part:
    def advance(count: int) -> None:
        with _shared.get_lock():
            if _shared.value < 0:
                raise _StoppedError
            _shared.value += count

    try:
        reader = DatasetReader(msgspec.msgpack.decode(settings, type=ReadSettings), advance)
        lines = [reader.read(piece) for piece in share]
        return _Part(reader.finish().encode(), lines)
    except SagewatchError as error:
        # Errors with fields do not survive pickling: their fields do.
        return _Part(failure=(type(error), error.args, error.__dict__))
    except (OSError, MemoryError):
        raise  # the machine's, told as in a process alone: with its file, and what to do
    except Exception as error:  # noqa: BLE001  the process's edge: beyond it the place is lost
        traceback.print_tb(error.__traceback__)
        return _Part(failure=(DefectError, (describe_defect(error),), {}))


def _restore(failure: tuple[type[SagewatchError], tuple[Any, ...], dict[str, Any]]) -> SagewatchError:
    kind, words, fields = failure
    error = kind.__new__(kind)
    error.args = words
    error.__dict__.update(fields)
    return error


def _join(shares: list[list[Piece]], parts: list[tuple[Readout, list[int]]]) -> Readout:
    """Merge in order; a line's number counts from the beginning of its file, wherever that was cut."""
    whole = Readout()
    before: dict[str, int] = {}
    for share, (part, lines) in zip(shares, parts, strict=True):
        starts = {piece.path: before.get(piece.path, 0) for piece in share}
        part.rejected = [
            RejectedLine(each.where, each.line + starts.get(each.where, 0), each.reason)
            for each in part.rejected
        ]
        whole.merge(part)
        for piece, count in zip(share, lines, strict=True):
            before[piece.path] = before.get(piece.path, 0) + count
    return whole
