"""A data set on every core: its files are shared out by bytes, and the readouts merge in order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final

import msgspec

from sagewatch.errors import RejectedInputError, SagewatchError
from sagewatch.quality.dataset_format import FileKind
from sagewatch.quality.reading import DatasetReader, Piece, ReadSettings, has_quotes
from sagewatch.quality.readout import Readout, RejectedLine

# Starting a process costs what reading so many bytes costs.
BYTES_WORTH_A_PROCESS: Final = 32 << 20
_POLL_SECONDS: Final = 0.2
_SPLIT: Final = frozenset({FileKind.CAPTURE, FileKind.JSON_LINES, FileKind.CSV})

# Bytes read so far, by all workers; set in each worker when it starts.
_shared: Any = None


def read_dataset(
    files: Sequence[Path],
    settings: ReadSettings,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
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

    Raises
    ------
    RejectedInputError
        When a file as a whole is not of its format, or not a single line could be read.
    ScriptError
        When the preprocessor fails.
    """
    total = sum(path.stat().st_size for path in files)
    shares = plan_shares(files, settings, min(workers, max(1, total // BYTES_WORTH_A_PROCESS)))
    if len(shares) == 1:
        parts = [_read_here(shares[0], settings, total, progress)]
    else:
        try:
            parts = _read_in_processes(shares, settings, total, progress)
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


def plan_shares(files: Sequence[Path], settings: ReadSettings, workers: int) -> list[list[Piece]]:
    """Share a data set out: consecutive stretches of about equal size, cut within files where lines allow."""
    sizes = [path.stat().st_size for path in files]
    target = max(1, -(-sum(sizes) // workers))
    shares: list[list[Piece]] = [[]]
    filled = 0
    for path, size in zip(files, sizes, strict=True):
        kind = settings.format.kind
        whole = kind not in _SPLIT or (kind is FileKind.CSV and workers > 1 and has_quotes(path))
        start = 0
        while start < size or not size:
            if filled >= target and len(shares) < workers:
                shares.append([])
                filled = 0
            last = whole or len(shares) == workers
            end = size if last else min(size, start + target - filled)
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
    total: int,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[Readout, list[int]]]:
    # Not fork: Arrow's threads do not survive it.
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    encoded = msgspec.msgpack.encode(settings)
    with ProcessPoolExecutor(len(shares), context, _set_shared, (done,)) as pool:
        waiting: set[Future[_Part]] = set()
        futures = [pool.submit(_read_share, share, encoded) for share in shares]
        waiting.update(futures)
        while waiting:
            finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_EXCEPTION)
            if progress is not None:
                progress(min(done.value, total), total)
            if any(future.exception() is not None for future in finished):
                pool.shutdown(wait=False, cancel_futures=True)
                break
        parts = [future.result() for future in futures]
    for part in parts:
        if part.failure is not None:
            raise _restore(part.failure)
    return [(Readout.decode(part.content), part.lines) for part in parts]


def _set_shared(value: Any) -> None:
    global _shared  # noqa: PLW0603 - a process's own, handed over when it starts
    _shared = value


class _Part(msgspec.Struct):
    """What a process sends back: its readout and the lines of each piece, or why there is none."""

    content: bytes = b""
    lines: list[int] = []
    failure: tuple[type[SagewatchError], tuple[Any, ...], dict[str, Any]] | None = None


def _read_share(share: list[Piece], settings: bytes) -> _Part:
    def advance(count: int) -> None:
        with _shared.get_lock():
            _shared.value += count

    try:
        reader = DatasetReader(msgspec.msgpack.decode(settings, type=ReadSettings), advance)
        lines = [reader.read(piece) for piece in share]
        return _Part(reader.finish().encode(), lines)
    except SagewatchError as error:
        # Errors with fields do not survive pickling: their fields do.
        return _Part(failure=(type(error), error.args, error.__dict__))


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
