"""What the demo leaves in its folder can be checked against the manifest that lies there too."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import boto3

from sagewatch.evidence.bundle import (
    MANIFEST,
    build_manifest,
    encode_manifest,
    find_wrong_files,
    list_bundled,
)
from sagewatch.sandbox.demo.summary import fetch_evidence
from tests.aws_in_process import empty_aws

FILES = {"index.html": b"<p>", "findings.json": b"[]", "explain/heatmaps/1.png": b"png"}


def test_every_file_that_the_manifest_names_lies_where_it_says(tmp_path):
    manifest = encode_manifest(build_manifest("i", datetime(2026, 11, 21, tzinfo=UTC), FILES))
    with empty_aws():
        s3 = boto3.client("s3", "us-east-1")
        s3.create_bucket(Bucket="evidence")
        for name, body in {**FILES, MANIFEST: manifest}.items():
            s3.put_object(Bucket="evidence", Key=f"incidents/i/{name}", Body=body)
        stage = SimpleNamespace(
            aws=SimpleNamespace(client=lambda _: s3), outputs={"EvidenceBucket": "evidence"}, out=tmp_path
        )
        page = fetch_evidence(stage, "i")
    there = {
        name: (tmp_path / name).read_bytes() for name in list_bundled(manifest) if (tmp_path / name).is_file()
    }
    assert find_wrong_files({**there, MANIFEST: manifest}) == []
    assert page.read_bytes() == FILES["index.html"]
    assert (tmp_path / "heatmaps" / "1.png").read_bytes() == b"png"
