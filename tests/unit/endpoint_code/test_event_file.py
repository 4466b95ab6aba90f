"""Our encoding of smdebug's files is smdebug's own, byte for byte, and its readers read it."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("smdebug", reason="smdebug is installed with the sandbox extra")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
WALL_TIME = 1_795_300_000.25


def draw_tensors():
    rng = np.random.default_rng(3)
    drawn = {
        "gradient/layer1.0.bn1_output": rng.normal(size=(1, 16, 32, 32)).astype(np.float32),
        "ResNet_input_0": rng.normal(size=(1, 3, 128, 128)).astype(np.float32).transpose(0, 1, 3, 2),
        "bn1.eps_output_0": np.array([1e-5]),
        "a_scalar": np.array(3, dtype=np.float32),
        "empty": np.zeros((0, 4), dtype=np.float32),
    }
    kinds = ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "u2", "u4", "u8", "?")
    return drawn | {f"kind_{kind}": np.ones((2, 300), dtype=kind) for kind in kinds}


def write_by_smdebug(folder, step, tensors, monkeypatch):
    from smdebug.core.modes import ModeKeys
    from smdebug.core.tfevent import event_file_writer
    from smdebug.core.writer import FileWriter

    monkeypatch.setattr(event_file_writer.time, "time", lambda: WALL_TIME)
    writer = FileWriter(trial_dir=str(folder), step=step, worker="worker_0")
    for name, value in tensors.items():
        writer.write_tensor(value, name, mode=ModeKeys.PREDICT, mode_step=step)
    writer.close()
    monkeypatch.undo()


@pytest.mark.parametrize("step", [0, 7, 1234])
def test_events_and_index_are_smdebugs_byte_for_byte(endpoint, tmp_path, monkeypatch, step):
    tensors = draw_tensors()
    write_by_smdebug(tmp_path, step, tensors, monkeypatch)
    events, index = endpoint.event_file.encode_step(step, tensors, WALL_TIME)
    assert (tmp_path / endpoint.event_file.event_key(step)).read_bytes() == events
    assert (tmp_path / endpoint.event_file.index_key(step)).read_bytes() == index
    json.loads(index)


def test_smdebugs_trial_reads_every_tensor_of_ours(endpoint, tmp_path):
    from smdebug import modes
    from smdebug.trials import create_trial

    tensors = draw_tensors()
    for name in ("empty", "kind_i1", "kind_u2", "kind_u4", "kind_u8"):
        del tensors[name]  # its writer writes them, its reader refuses them or takes them for something else
    store = endpoint.tensor_store.open_store(str(tmp_path), "w")
    for step in range(3):
        assert store.write_step(step, tensors) > 200_000
    trial = create_trial(str(tmp_path / "w"))
    assert trial.steps(mode=modes.PREDICT) == [0, 1, 2]
    assert set(trial.tensor_names()) == set(tensors)
    for name, value in tensors.items():
        np.testing.assert_array_equal(trial.tensor(name).value(2, mode=modes.PREDICT), value)


def test_our_reader_gives_back_what_was_written(endpoint):
    from sagewatch.explain.tensorfile import parse_event_file

    tensors = draw_tensors()
    events, _ = endpoint.event_file.encode_step(5, tensors, WALL_TIME)
    read = parse_event_file(events, "x")
    assert read.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(read[name], value)


def test_a_kind_that_the_format_has_not_is_refused(endpoint):
    with pytest.raises(KeyError):
        endpoint.event_file.encode_step(0, {"text": np.array(["no"])}, WALL_TIME)
