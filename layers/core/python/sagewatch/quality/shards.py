"""What several instances, each with data of its own, leave for one another, and how one of them makes it whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.quality.readout import Readout


class MissingShardsError(RejectedInputError):
    """Instances whose partial profile never came: a report of the others would pass for one of all data."""


class Shard(msgspec.Struct, frozen=True):
    """One instance's part.

    Attributes
    ----------
    host, hosts
        Which instance this is, and all that share the data.
    readout
        What it read, encoded.
    job
        The processing job that it belongs to: of all jobs the instances are called alike. Empty in older files.
    window, mode, format
        How that job read its data.
    """

    host: str
    hosts: tuple[str, ...]
    readout: bytes
    job: str = ""
    window: str = ""
    mode: str = ""
    format: str = ""

    @property
    def origin(self) -> tuple[frozenset[str], str, str, str, str]:
        """What all parts of one whole share."""
        return frozenset(self.hosts), self.job, self.window, self.mode, self.format


def encode_shard(shard: Shard) -> bytes:
    """The partial profile's file."""
    return msgspec.msgpack.encode(shard)


def merge_shards(paths: Sequence[Path]) -> Readout:
    """Everything that the instances read, whatever the order of their files; a file that came twice counts once.

    Raises
    ------
    MissingShardsError
        When an instance that shares the data left nothing.
    RejectedInputError
        When a file is no partial profile, or belongs to another job.
    """
    shards: dict[str, tuple[Shard, Path]] = {}
    for path in paths:
        try:
            shard = msgspec.msgpack.decode(path.read_bytes(), type=Shard)
        except ValueError as error:
            raise RejectedInputError(f"no partial profile ({error})", where=str(path)) from error
        known, _ = shards.setdefault(shard.host, (shard, path))
        if known.origin == shard.origin and known.readout != shard.readout:
            raise RejectedInputError(
                f"two different partial profiles of {shard.host} lie here", where=str(path)
            )
        _refuse_strangers(next(iter(shards.values()))[0], shard, path)
    missing = sorted({host for shard, _ in shards.values() for host in shard.hosts} - shards.keys())
    if missing:
        reason = f"no partial profile of {', '.join(missing)} ({len(shards)} of {len(shards) + len(missing)} are here)"
        raise MissingShardsError(reason, where=str(paths[0].parent))
    whole = Readout()
    # By name, so that the same files give the same bits.
    for host in sorted(shards, key=lambda name: (len(name), name)):
        shard, path = shards[host]
        whole.merge(Readout.decode(shard.readout, str(path)))
    return whole


def _refuse_strangers(first: Shard, shard: Shard, path: Path) -> None:
    """Parts of two data sets make no whole."""
    if first.origin == shard.origin:
        return
    names = " and ".join(sorted({each.job for each in (first, shard) if each.job}))
    told = f" ({names})" if first.job != shard.job and names else ""
    reason = f"partial profiles of different jobs lie here{told}: merge those of one job at a time"
    raise RejectedInputError(reason, where=str(path))
