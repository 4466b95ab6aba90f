"""The owner's code in the saliency job: it finds its own settings, changes none of the job's, and calls nobody."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from monitor_image.replay import replay_requests
from sagewatch.diagnose.job import JobPlan, build_explain_job
from sagewatch.errors import RejectedInputError
from tests.unit.flows.test_diagnosis_way_back import hook

SAYS = b"import os, sys\nsys.exit('|'.join(str(os.environ.get(name)) for name in ('PATH', 'OWNERS')))\n"


def test_the_containers_settings_are_given_under_the_jobs_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/the/jobs")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as packed:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(SAYS)
        packed.addfile(member, io.BytesIO(SAYS))
    requests = tmp_path / "requests.jsonl"
    requests.write_text("")
    (tmp_path / "environment.json").write_text(json.dumps({"PATH": "/theirs", "OWNERS": "kept"}))
    with pytest.raises(RejectedInputError) as refused:
        replay_requests(tmp_path, requests, tmp_path / "out")
    assert "/the/jobs|kept" in refused.value.reason


def test_a_model_that_missed_a_variable_is_told_with_the_names_that_were_withheld(tmp_path):
    needs = b"import os\nos.environ['LABELS']\n"
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as packed:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(needs)
        packed.addfile(member, io.BytesIO(needs))
    requests = tmp_path / "requests.jsonl"
    requests.write_text("")
    (tmp_path / "environment.json").write_text("{}")
    (tmp_path / "withheld.json").write_text(json.dumps(["LABELS", "PASSWORD"]))
    with pytest.raises(RejectedInputError) as refused:
        replay_requests(tmp_path, requests, tmp_path / "out")
    assert "KeyError: 'LABELS'" in refused.value.reason
    assert refused.value.reason.endswith(
        "withheld from it were the variables LABELS, PASSWORD "
        "(diagnosis.environment in monitors.yml lets it have them)"
    )


def test_the_saliency_job_has_no_network():
    plan = JobPlan(
        image_uri="i",
        role_arn="r",
        instance_type="ml.m5.large",
        bucket="b",
        max_images=1,
        max_runtime_seconds=60,
    )
    request = build_explain_job(hook().state.load_diagnosis("signs"), plan)
    assert request["NetworkConfig"] == {"EnableNetworkIsolation": True}
