"""The owner's code in the saliency job: it finds its own settings, changes none of the job's, and calls nobody."""

from __future__ import annotations

import base64
import io
import json
import tarfile

import pytest

from monitor_image.replay import replay_requests
from sagewatch.diagnose.job import JobPlan, build_explain_job
from sagewatch.errors import RejectedInputError
from tests.unit.flows.test_diagnosis_way_back import hook

SPEAKS = b"""
import logging, os, sys

class Recorder:
    def drain(self, seconds):
        pass

class Model:
    recorder = Recorder()

def model_fn(folder):
    print("weights are loaded", file=sys.stderr)
    return Model()

def transform_fn(model, body, content_type, accept):
    print(body)
    logging.warning(body)
    os.write(2, body)
    if body == b"last-c-4711":
        os._exit(3)
    if body == b"leaves-c-4711":
        sys.exit(body.decode())
    float(body)
"""
SAYS = b"import os, sys\nsys.exit('|'.join(str(os.environ.get(name)) for name in ('PATH', 'OWNERS')))\n"


def pack_code(folder, code):
    with tarfile.open(folder / "model.tar.gz", "w:gz") as packed:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(code)
        packed.addfile(member, io.BytesIO(code))


def write_bodies(path, bodies):
    rows = [
        {
            "id": f"event-{n}",
            "role": "clean",
            "content_type": "text/csv",
            "body": base64.b64encode(one).decode(),
        }
        for n, one in enumerate(bodies)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_the_owners_code_says_of_a_captured_request_reaches_neither_the_log_nor_the_reason(
    tmp_path, capfd
):
    pack_code(tmp_path, SPEAKS)
    requests = tmp_path / "requests.jsonl"
    write_bodies(requests, [b"a-c-4711", b"leaves-c-4711", b"3", b"last-c-4711"])
    with pytest.raises(RejectedInputError) as refused:
        replay_requests(tmp_path, requests, tmp_path / "out")
    heard = capfd.readouterr()
    assert "4711" not in str(refused.value) + heard.out + heard.err
    assert "weights are loaded" in heard.err
    assert "request event-0: ValueError in transform_fn (inference.py:" in heard.err
    assert "request event-1: SystemExit in transform_fn" in heard.err
    assert "event-2" not in heard.err
    assert refused.value.reason.endswith("(exit code 3)")


def test_the_containers_settings_are_given_under_the_jobs_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/the/jobs")
    pack_code(tmp_path, SAYS)
    requests = tmp_path / "requests.jsonl"
    requests.write_text("")
    (tmp_path / "environment.json").write_text(json.dumps({"PATH": "/theirs", "OWNERS": "kept"}))
    with pytest.raises(RejectedInputError) as refused:
        replay_requests(tmp_path, requests, tmp_path / "out")
    assert "/the/jobs|kept" in refused.value.reason


def test_a_model_that_missed_a_variable_is_told_with_the_names_that_were_withheld(tmp_path):
    needs = b"import os\nos.environ['LABELS']\n"
    pack_code(tmp_path, needs)
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
