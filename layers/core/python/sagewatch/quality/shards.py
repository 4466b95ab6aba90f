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
    """

    host: str
    hosts: tuple[str, ...]
    readout: bytes


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
        shards.setdefault(shard.host, (shard, path))
    hosts = {frozenset(shard.hosts) for shard, _ in shards.values()}
    if len(hosts) > 1:
        raise RejectedInputError("partial profiles of different jobs lie here", where=str(paths[0].parent))
    missing = sorted(set().union(*hosts) - shards.keys())
    if missing:
        reason = f"no partial profile of {', '.join(missing)} ({len(shards)} of {len(shards) + len(missing)} are here)"
        raise MissingShardsError(reason, where=str(paths[0].parent))
    whole = Readout()
    # By name, so that the same files give the same bits.
    for host in sorted(shards, key=lambda name: (len(name), name)):
        shard, path = shards[host]
        whole.merge(Readout.decode(shard.readout, str(path)))
    return whole
