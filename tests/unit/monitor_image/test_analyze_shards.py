"""One monitoring job on several instances, or processes: partial profiles, and the one report of them all."""

from __future__ import annotations

import json

import msgspec
import pytest

from sagewatch.quality.process_start import FORK
from sagewatch.quality.readout import Readout
from sagewatch.quality.shards import Shard, encode_shard
from sagewatch.quality.statistics import parse_statistics
from tests.unit.monitor_image.container import DATA, captured, rows, run_program
from tests.unit.quality.records import capture_line
from tests.unit.quality.tables import batch_of


def test_one_of_several_instances_with_the_same_data_writes(container):
    container.captures([capture_line()])
    container.resources("algo-2", "algo-10", "algo-2", "algo-1")
    assert container.run() == 0
    assert "algo-1, which writes the report" in container.message
    assert not (container.root / "opt/ml/processing/output").exists()
    container.resources("algo-1", "algo-10", "algo-2", "algo-1")
    assert container.run() == 0
    assert "statistics.json" in container.files()


SHARDED = {"S3Input": {"LocalPath": f"/{DATA}", "S3DataDistributionType": "ShardedByS3Key"}}
HOSTS = ("algo-1", "algo-2", "algo-3")


def run_shards(container, parts):
    """Every instance with its part of the captures, one after the other."""
    container.config(Environment={}, ProcessingInputs=[SHARDED])
    for host, part in parts.items():
        path = container.captures(captured(part))
        container.resources(host, *HOSTS)
        done = run_program(container)
        assert done.returncode == 0, container.message
        assert f"{host} wrote a partial profile of {len(part)} rows" in container.message
        path.unlink()
    container.config()
    container.resources("algo-1", "algo-1")


def test_shards_write_partial_profiles_and_one_merge_makes_the_report(container):
    table = rows(300, 4)
    run_shards(container, {"algo-3": [], "algo-2": table[200:], "algo-1": table[:200]})
    assert container.files() == [f"{host}.sagewatch-profile" for host in HOSTS]
    # One instance was started again, and its file came twice.
    twice = container.root / "opt/ml/processing/output/again"
    twice.mkdir()
    (twice / "algo-1.sagewatch-profile").write_bytes(container.output("algo-1.sagewatch-profile"))
    done = run_program(container, dataset_source="/opt/ml/processing/output", output_path="/opt/merged")
    assert done.returncode == 0, container.message
    statistics = parse_statistics(container.output("statistics.json", "opt/merged"))
    assert statistics.dataset.item_count == 300
    assert statistics.features[0].sketch.data == [[float(score) for score, _, _ in table]]


def test_a_capture_among_partial_profiles_is_told_of(container):
    run_shards(container, {host: rows(20, 4) for host in HOSTS})
    stray = container.root / "opt/ml/processing/output/late.jsonl"
    stray.write_text(capture_line() + "\n")
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 0
    assert "1 of 61 lines were rejected (1 no_partial_profile; first: " in container.message
    (line,) = container.output("rejected_records.jsonl", "opt/merged").splitlines()
    assert json.loads(line) == {"where": str(stray), "line": 1, "reason": "no_partial_profile"}


def test_a_large_job_is_shared_out_among_copies_of_the_program(container):
    """And they give the report that one process gives."""
    lines = [capture_line(f"{number % 1000},{number % 7}", f"{number % 13}") for number in range(30_000)]
    path = container.captures(lines)
    assert path.stat().st_size > 2 * FORK.worth
    done = run_program(container)
    assert (done.returncode, container.message) == (
        0,
        "Completed: Job completed successfully with no violations.",
    )
    copied = parse_statistics(container.output("statistics.json"))
    assert container.run() == 0
    alone = parse_statistics(container.output("statistics.json"))
    assert copied.dataset.item_count == alone.dataset.item_count == 30_000
    for ours, theirs in zip(copied.features, alone.features, strict=True):
        one, other = ours.numerical_statistics, theirs.numerical_statistics
        assert (one.common, one.sum, one.min, one.max) == (other.common, other.sum, other.min, other.max)


def test_a_shard_that_never_comes_is_named_and_no_report_is_made(container):
    table = rows(90, 4)
    run_shards(container, {"algo-1": table[:50], "algo-3": table[50:]})
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 1
    assert "no partial profile of algo-2 (2 of 3 are here)" in container.message
    assert not (container.root / "opt/merged").exists()


def test_shards_of_two_jobs_are_not_merged(container):
    folder = container.root / DATA
    folder.mkdir(parents=True)
    empty = Readout().encode()
    for host, hosts in (("algo-1", ("algo-1", "algo-2")), ("algo-2", HOSTS)):
        (folder / f"{host}.sagewatch-profile").write_bytes(encode_shard(Shard(host, hosts, empty)))
    assert container.run() == 1
    assert "partial profiles of different jobs" in container.message


def write_shards(container, **jobs):
    """Two instances' parts of each job, in a folder of the job's."""
    for job, rows_each in jobs.items():
        for host in ("algo-1", "algo-2"):
            readout = Readout()
            readout.add(batch_of({"a": ["1"] * rows_each}), host, 1)
            path = container.root / DATA / job / f"{host}.sagewatch-profile"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_shard(Shard(host, ("algo-1", "algo-2"), readout.encode(), f"arn:{job}")))


def test_jobs_whose_instances_are_called_alike_are_not_mixed(container):
    write_shards(container, monday=100, tuesday=200)
    assert container.run() == 1
    assert "partial profiles of different jobs lie here (arn:monday and arn:tuesday)" in container.message
    (container.root / DATA / "monday/algo-1.sagewatch-profile").unlink()
    (container.root / DATA / "tuesday/algo-2.sagewatch-profile").unlink()
    assert container.run() == 1
    assert "partial profiles of different jobs lie here" in container.message


def test_a_partial_profile_counts_once_only_where_it_is_the_same(container):
    write_shards(container, monday=100)
    folder = container.root / DATA / "monday"
    (folder / "again.sagewatch-profile").write_bytes((folder / "algo-1.sagewatch-profile").read_bytes())
    assert container.run() == 0, container.message
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 200
    other = Readout()
    other.add(batch_of({"a": ["1"] * 7}), "x", 1)
    shard = Shard("algo-1", ("algo-1", "algo-2"), other.encode(), "arn:monday")
    (folder / "again.sagewatch-profile").write_bytes(encode_shard(shard))
    assert container.run() == 1
    assert "two different partial profiles of algo-1 lie here" in container.message


def test_partial_profiles_of_an_older_version_are_read(container):
    write_shards(container, monday=100)
    for path in (container.root / DATA / "monday").iterdir():
        state = msgspec.msgpack.decode(path.read_bytes())
        old = {key: state[key] for key in ("host", "hosts", "readout")}
        path.write_bytes(msgspec.msgpack.encode(old))
    assert container.run() == 0, container.message
    assert parse_statistics(container.output("statistics.json")).dataset.item_count == 200


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_a_partial_profile_that_came_in_half_is_refused(container, cut):
    run_shards(container, {"algo-1": rows(50, 4)})
    content = container.output("algo-1.sagewatch-profile")
    (container.root / "opt/ml/processing/output/algo-1.sagewatch-profile").write_bytes(content[:cut])
    assert container.run(dataset_source="/opt/ml/processing/output", output_path="/opt/merged") == 1
    assert "no data" in container.message if not cut else "no partial profile" in container.message
