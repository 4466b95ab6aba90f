"""Finding and reading the steps of several workers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from sagewatch.explain.selection import Suspicion, choose_steps
from sagewatch.explain.trial import TrialReader, find_steps
from sagewatch.explain.wire import BrokenTensorFileError


@pytest.fixture
def copied(recording, tmp_path):
    shutil.copytree(recording, tmp_path / "tensors")
    return tmp_path / "tensors"


def test_every_workers_steps_are_found_in_order(recording):
    steps = find_steps(recording)
    assert len({step.worker for step in steps}) == 2
    assert sorted(step.step for step in steps) == [0, 0, 1, 1, 2]
    assert steps == sorted(steps, key=lambda step: (step.worker, step.step))


def test_a_worker_directory_alone_is_a_trial_too(recording):
    worker = next(path for path in recording.iterdir() if path.is_dir())
    assert {step.worker for step in find_steps(worker)} == {"."}


def test_later_steps_have_the_parameters_that_were_written_once(recorded):
    assert all("ResNet_bn1.weight" in step.tensors for step in recorded)
    assert len({len(step.tensors) for step in recorded}) == 1


def test_a_directory_without_tensors_has_no_steps(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "notes.json").write_text("{}")
    assert find_steps(tmp_path) == []


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "another step's"])
def test_a_damaged_event_file_breaks_its_own_step_alone(copied, damage):
    steps = find_steps(copied)
    victim = next(step for step in steps if step.step == 2)
    [path] = victim.directory.glob("events/000000000002/*")
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(path.read_bytes()[:5] * 3)
    reader = TrialReader(steps)
    with pytest.raises(BrokenTensorFileError) as broken:
        reader.read(victim)
    assert broken.value.where == str(path)
    assert all(reader.read(step).tensors for step in steps if step != victim)


def test_a_worker_whose_first_step_is_gone_is_refused_for_lack_of_parameters(copied):
    from sagewatch.explain.fullgrad import explain
    from sagewatch.explain.names import MissingTensorError

    for path in copied.rglob("000000000000_worker_0.json"):
        path.unlink()
    steps = find_steps(copied)
    step = TrialReader(steps).read(steps[0])
    with pytest.raises(MissingTensorError) as missing:
        explain(step.tensors, step.file.name)
    assert missing.value.name == "*_fc.bias"


def test_the_suspect_class_comes_first_and_a_quarter_at_most_is_another(recording):
    steps = find_steps(recording)
    chosen, skipped = choose_steps(steps, TrialReader(steps), 4, Suspicion(14))
    assert skipped == []
    assert [(one.file.step, one.role) for one in chosen[:2]] == [(0, "suspicious"), (0, "suspicious")]
    assert [one.role for one in chosen[2:]] == ["other"]


def test_the_least_confident_come_first_where_they_made_the_finding(recording):
    steps = find_steps(recording)
    reader = TrialReader(steps)
    chosen, _ = choose_steps(steps, reader, 3, Suspicion(least_confident=True))

    def probability(file):
        logits = reader.read(file).tensors["fc_output_0"].ravel().astype(float)
        return 1 / np.exp(logits - logits.max()).sum()

    shown = [probability(one.file) for one in chosen]
    assert shown == sorted(map(probability, steps))[:3]
    assert {one.role for one in chosen} == {"suspicious"}


def test_of_a_share_of_the_least_confident_some_are_drawn_evenly(recording):
    """As clean ones are drawn: two rules would find differences where nothing changed."""
    steps = find_steps(recording)
    reader = TrialReader(steps)
    ranked, _ = choose_steps(steps, reader, len(steps), Suspicion(least_confident=True))
    assert len(ranked) == 5
    for share, most, places in ((0.8, 2, [0, 2]), (0.8, 9, [0, 1, 2, 3]), (0.1, 3, [0]), (1, 2, [0, 2])):
        chosen, _ = choose_steps(steps, reader, most, Suspicion(least_confident=True, share=share))
        assert chosen == [ranked[place] for place in places]


def test_without_a_suspect_the_whole_recording_is_sampled(recording):
    steps = find_steps(recording)
    chosen, _ = choose_steps(steps, TrialReader(steps), 3, Suspicion())
    assert [one.file for one in chosen] == [steps[0], steps[1], steps[3]]


def test_a_broken_step_is_skipped_with_its_reason(copied):
    steps = find_steps(copied)
    victim = next(step for step in steps if step.step == 2)
    victim.index.write_text("{}")
    _, [skipped] = choose_steps(steps, TrialReader(steps), 4, Suspicion(14))
    assert skipped.file == victim.name
    assert "no index of a step" in skipped.reason
