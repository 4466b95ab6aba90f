"""The hook: the same answers, the tensors there, and no harm when it fails."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import numpy as np
import pytest
import torch
from torch import nn

from tests.aws_in_process import empty_aws
from tests.endpoint_under_test import encode_npy, record, start

NPY = "application/x-npy"


def index_files(folder):
    return sorted(folder.glob("*/index/*/*.json"))


def test_the_hooked_answer_is_the_plain_one_bit_for_bit(endpoint, plain, tmp_path):
    hooked = start(endpoint, str(tmp_path))
    generator = torch.Generator().manual_seed(3)
    for _ in range(12):
        pixels = torch.randint(0, 256, (1, 3, 128, 128), generator=generator, dtype=torch.uint8)
        x = endpoint.model.normalise(pixels)
        assert torch.equal(plain.predict(x), hooked.predict(x))


def test_one_request_is_one_index_object_and_layout_is_smdebugs(endpoint, tmp_path):
    record(endpoint, tmp_path, [14, 1, 2])
    files = index_files(tmp_path)
    assert [file.name for file in files] == [f"{step:012d}_worker_0.json" for step in range(3)]
    assert {file.parent.name for file in files} == {"000000000"}
    index = json.loads(files[1].read_bytes())
    assert index["meta"]["mode"] == "PREDICT"
    assert index["meta"]["event_file_name"] == "events/000000000001/000000000001_worker_0.tfevents"
    worker = files[0].parents[2]
    assert (worker / index["meta"]["event_file_name"]).is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_parameters_are_written_once_a_worker(endpoint, tmp_path):
    record(endpoint, tmp_path, [14, 1])
    first, second = (
        {t["tensorname"] for t in json.loads(f.read_bytes())["tensor_payload"]} for f in index_files(tmp_path)
    )
    assert {"ResNet_bn1.weight", "bn1.running_var_output_0", "bn1.eps_output_0", "ResNet_fc.bias"} <= first
    assert second < first
    assert (
        len(second) == 26
    )  # gradients at 20 BatchNorms and the last layer, the image and its gradient, logits, request, seconds


def test_each_model_load_writes_below_a_prefix_of_its_own(endpoint, tmp_path):
    record(endpoint, tmp_path, [14])
    record(endpoint, tmp_path, [14])
    assert len({file.parents[2] for file in index_files(tmp_path)}) == 2


def test_requests_at_the_same_time_do_not_mix_their_tensors(endpoint, tmp_path):
    from sagewatch.explain.fullgrad import explain
    from sagewatch.explain.trial import TrialReader, find_steps
    from sagewatch.sandbox.signs import draw_sign

    hooked = start(endpoint, str(tmp_path))
    rng = np.random.default_rng(8)
    bodies = [encode_npy(draw_sign(class_id, rng)) for class_id in (14, 1, 38, 12)]
    threads = [
        threading.Thread(target=endpoint.inference.transform_fn, args=(hooked, body, NPY, ""))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hooked.recorder.drain(timeout_seconds=60)
    steps = find_steps(tmp_path)
    reader = TrialReader(steps)
    explanations = [explain(reader.read(step).tensors, step.name) for step in steps]
    assert sorted(explanation.class_id for explanation in explanations) == [1, 12, 14, 38]
    assert max(explanation.completeness_relative_error for explanation in explanations) <= 1e-5


class Slow(nn.Module):
    """A model that stands still in the middle of a request until it may go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.last = nn.Linear(12, 3)

    def forward(self, x):
        self.begun.set()
        assert self.goes_on.wait(30)
        return self.last(x.flatten(1))


def test_a_request_that_is_not_recorded_waits_for_none_that_is(endpoint, tmp_path):
    """On a server of threads the others are answered while one is recorded."""
    hook = endpoint.debugger_hook
    model, image = Slow().eval(), torch.rand(1, 3, 2, 2)
    recorder = hook.TensorRecorder(model, str(tmp_path), hook.Limits(every=100))
    with ThreadPoolExecutor(2) as pool:
        recorded = pool.submit(recorder.predict, image)
        assert model.begun.wait(30)
        plain = pool.submit(recorder.predict, image)
        try:
            assert plain.result(timeout=5) is None
        finally:
            model.goes_on.set()
        assert recorded.result(timeout=30) is not None
    assert recorder.drain(10)


@pytest.mark.parametrize("normalisation", [(np.zeros(3), np.ones(3)), (0.5, 0.5), "odd"], ids=str)
def test_a_normalisation_of_whatever_spelling_costs_no_recording(endpoint, tmp_path, normalisation):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    recorder = endpoint.debugger_hook.TensorRecorder(model, str(tmp_path), normalisation=normalisation)
    recorder.predict(torch.rand(1, 3, 2, 2))
    assert recorder.drain(10)
    assert [path for path in tmp_path.rglob("*.tfevents") if path.stat().st_size]


def test_an_output_that_cannot_be_written_fails_no_prediction(endpoint, plain, tmp_path, sign):
    (tmp_path / "file").write_text("in the way")
    hooked = start(endpoint, str(tmp_path / "file"))
    body = encode_npy(sign)
    for _ in range(2):
        assert endpoint.inference.transform_fn(hooked, body, NPY, "") == endpoint.inference.transform_fn(
            plain, body, NPY, ""
        )
    assert hooked.recorder.drain(timeout_seconds=60)


def test_a_hook_that_breaks_in_the_middle_fails_no_prediction(endpoint, plain, tmp_path, sign):
    hooked = start(endpoint, str(tmp_path))
    handle = hooked.model.layer4.register_forward_pre_hook(
        lambda *_: (_ for _ in ()).throw(MemoryError("no room"))
    )
    try:
        assert hooked.recorder.predict(torch.zeros(1, 3, 128, 128)) is None
    finally:
        handle.remove()
    body = encode_npy(sign)
    assert endpoint.inference.transform_fn(hooked, body, NPY, "") == endpoint.inference.transform_fn(
        plain, body, NPY, ""
    )


def test_without_the_hooks_module_the_endpoint_still_answers(endpoint, plain, tmp_path, sign, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "debugger_hook", None)
    hooked = start(endpoint, str(tmp_path))
    assert hooked.recorder is None
    body = encode_npy(sign)
    assert endpoint.inference.transform_fn(hooked, body, NPY, "") == endpoint.inference.transform_fn(
        plain, body, NPY, ""
    )


def test_a_slow_output_delays_no_answer_and_drops_what_does_not_fit(endpoint, tmp_path, sign, monkeypatch):
    release, opened = threading.Event(), []
    hooked = start(endpoint, str(tmp_path))
    monkeypatch.setattr(endpoint.debugger_hook, "open_store", lambda *_: opened.append(release.wait(600)))
    body = encode_npy(sign)
    for _ in range(endpoint.debugger_hook.MAX_WAITING_STEPS + 5):
        endpoint.inference.transform_fn(hooked, body, NPY, "")
    assert opened == [], "every answer was given while the output still hung"
    release.set()


def test_a_failed_first_step_leaves_its_parameters_to_the_next(endpoint, tmp_path, sign):
    blocked = tmp_path / "tensors"
    blocked.write_text("in the way")
    hooked = start(endpoint, str(blocked))
    endpoint.inference.transform_fn(hooked, encode_npy(sign), NPY, "")
    assert hooked.recorder.drain(timeout_seconds=60)
    blocked.unlink()
    endpoint.inference.transform_fn(hooked, encode_npy(sign), NPY, "")
    assert hooked.recorder.drain(timeout_seconds=60)
    [index] = index_files(blocked)
    assert "ResNet_fc.bias" in index.read_text()
    assert index.name == "000000000000_worker_0.json"


@pytest.fixture
def bucket():
    with empty_aws("eu-central-1"):
        client = boto3.client("s3")
        client.create_bucket(
            Bucket="tensors", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield client


def test_on_s3_the_index_is_put_last_and_holds_what_the_directory_would(endpoint, bucket, tmp_path):
    record(endpoint, "s3://tensors/endpoint/run/", [14, 1])
    objects = bucket.list_objects_v2(Bucket="tensors")["Contents"]
    keys = [each["Key"] for each in objects]
    assert all(key.startswith("endpoint/run/") and "//" not in key for key in keys)
    assert sum("/index/" in key for key in keys) == 2
    for step in range(2):
        of_step = {
            key.split("/")[3]: each for key, each in zip(keys, objects, strict=True) if f"{step:012d}_" in key
        }
        assert of_step["events"]["LastModified"] <= of_step["index"]["LastModified"]
    from sagewatch.explain.trial import TrialReader, find_steps

    for key in keys:
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.get_object(Bucket="tensors", Key=key)["Body"].read())
    steps = find_steps(tmp_path)
    assert len(TrialReader(steps).read(steps[1]).tensors) == 26 + 3 + 20 * 5


class _Slow(nn.Module):
    """Long enough that requests meet inside the model, between its first layers and its last."""

    def forward(self, x):
        time.sleep(0.02)
        return x


def test_on_a_server_with_threads_no_request_fails_for_another_that_is_recorded(endpoint, tmp_path):
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), _Slow(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    model = nn.Sequential(*layers).eval()
    images = [torch.rand(1, 3, 8, 8) for _ in range(24)]
    with torch.inference_mode():
        expected = [model(image) for image in images]
    hook = endpoint.debugger_hook
    recorder = hook.TensorRecorder(model, str(tmp_path), hook.Limits(every=2))

    def answer(image):
        logits = recorder.predict(image, b"")
        if logits is not None:
            return logits
        with torch.inference_mode():
            return model(image)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, images))
    assert all(torch.equal(one, other) for one, other in zip(answers, expected, strict=True))
    assert recorder.drain(10)
    assert len(index_files(tmp_path)) == 12
