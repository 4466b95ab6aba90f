"""Wherever the hook fails, the answer is the plain one: every call that it makes is made to fail in turn."""

from __future__ import annotations

import ast
import queue
import threading

import pytest
import torch

from tests.endpoint_under_test import ENDPOINT_CODE, encode_npy, start

NPY = "application/x-npy"
# Where each failure strikes: the owner (a module of the endpoint, or a class), and what of it raises.
POINTS = [
    # While the model loads.
    ("debugger_hook", "has_bias"),
    ("debugger_hook.TensorRecorder", "__init__"),
    ("debugger_hook.Limits", "__init__"),
    # While a request is answered.
    ("debugger_hook.TensorRecorder", "_wants_another"),
    ("debugger_hook.TensorRecorder", "_forward_and_backward"),
    ("debugger_hook.TensorRecorder", "_has_room"),
    ("debugger_hook.TensorRecorder", "_hand_over"),
    ("debugger_hook.TensorRecorder", "_reserve"),
    ("debugger_hook.TensorRecorder", "_measure_parameters"),
    ("debugger_hook", "_measure"),
    ("debugger_hook._GradientKeeper", "__init__"),
    ("debugger_hook._GradientKeeper", "__call__"),
    ("debugger_hook._GradientKeeper", "_keep"),
    ("debugger_hook.hashlib", "sha256"),
    ("debugger_hook.torch", "frombuffer"),
    ("debugger_hook.torch", "enable_grad"),
    ("debugger_hook.time", "perf_counter"),
    ("debugger_hook.atexit", "register"),
    (torch.Tensor, "backward"),
    (torch.Tensor, "requires_grad_"),
    (torch.Tensor, "register_hook"),
    (torch.nn.Module, "register_forward_hook"),
    (threading.Thread, "start"),
    (queue.Queue, "put_nowait"),
    # Behind the answer, in the thread that writes.
    ("debugger_hook", "open_store"),
    ("debugger_hook", "new_worker_name"),
    ("debugger_hook", "_to_array"),
    ("debugger_hook", "describe_layout"),
    ("debugger_hook", "is_batch_norm"),
    ("debugger_hook.TensorRecorder", "_parameters"),
    ("tensor_store.StepStore", "write_step"),
    ("tensor_store.DirectoryPublisher", "publish"),
    ("tensor_store", "encode_step"),
    ("tensor_store", "collections_file"),
    ("tensor_store", "event_key"),
    ("tensor_store", "index_key"),
]


def find(endpoint, owner):
    if not isinstance(owner, str):
        return owner
    module, *path = owner.split(".")
    found = getattr(endpoint, module)
    for name in path:
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError("no room")], ids=["broken", "memory"])
@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[f"{owner}.{name}" for owner, name in POINTS])
def test_no_failure_of_the_hook_reaches_an_answer(
    endpoint, plain, tmp_path, monkeypatch, sign, owner, name, error
):
    body = encode_npy(sign)
    wanted = endpoint.inference.transform_fn(plain, body, NPY, "")
    struck = []

    def fail(*_args, **_kwargs):
        struck.append(name)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(find(endpoint, owner), name, fail)
        served = start(endpoint, str(tmp_path))
        answers = [endpoint.inference.transform_fn(served, body, NPY, "") for _ in range(2)]
        if served.recorder is not None and served.recorder._thread is not None and name != "start":
            served.recorder.drain(timeout_seconds=20)
    assert struck, "the failure was met"
    assert answers == [wanted, wanted]
    assert not list(tmp_path.rglob("*.partial"))


def test_every_function_of_the_hook_stands_in_the_list_or_is_under_one_that_does():
    tree = ast.parse((ENDPOINT_CODE / "debugger_hook.py").read_text())
    named = {
        f"{node.name}.{inner.name}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.FunctionDef)
    }
    met = {
        f"{owner.split('.')[1]}.{name}" for owner, name in POINTS if isinstance(owner, str) and "." in owner
    }
    # `predict` and `_write_forever` are what catches; `drain` is called by nobody while requests are answered.
    catching = {"TensorRecorder.predict", "TensorRecorder._write_forever", "TensorRecorder.drain"}
    assert named - met <= catching
