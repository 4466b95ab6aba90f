from __future__ import annotations

import hashlib
import json

import pytest

from sagewatch.evidence.bundle import build_manifest, encode_manifest
from tests.unit.incident.story import at

FILES = {"incident.html": b"<p>", "heatmaps/01.png": b"\x89PNG", "captures/a.jsonl": b"{}\n{}\n"}


def test_manifest_lets_every_file_be_checked():
    manifest = json.loads(encode_manifest(build_manifest("i", at(0), FILES)))
    assert [one["path"] for one in manifest["files"]] == sorted(FILES)
    for one in manifest["files"]:
        assert one["sha256"] == hashlib.sha256(FILES[one["path"]]).hexdigest()
        assert one["size_bytes"] == len(FILES[one["path"]])
    assert manifest["total_bytes"] == 13
    assert manifest["made_at"] == "2026-11-21T20:34:05+00:00"


def test_order_of_files_does_not_matter():
    turned = dict(reversed(FILES.items()))
    assert build_manifest("i", at(0), FILES) == build_manifest("i", at(0), turned)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a//b", "a/../b", "manifest.json", ""])
def test_path_outside_the_bundle_is_refused(path):
    with pytest.raises(ValueError, match="not a path within"):
        build_manifest("i", at(0), {path: b""})
