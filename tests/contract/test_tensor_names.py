"""Both sides of the recording agree: what the hook writes, what Sagewatch reads, what the notebook asks for."""

from __future__ import annotations

import re
import warnings

import pytest

from sagewatch.explain import names
from sagewatch.explain.trial import TrialReader, find_steps
from tests import endpoint_under_test

pytest.importorskip("torch", reason="torch is installed with the sandbox extra")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def endpoint():
    return endpoint_under_test.load_endpoint()


@pytest.fixture(scope="module")
def recording(tmp_path_factory, endpoint):
    folder = tmp_path_factory.mktemp("tensors")
    endpoint_under_test.record(endpoint, folder, [14, 1])
    return folder


@pytest.fixture(scope="module")
def written(recording):
    steps = find_steps(recording)
    return set(TrialReader(steps).read(steps[0]).tensors)


def test_every_name_that_is_read_is_written_and_no_other(written, endpoint):
    from torch import nn

    model = endpoint.model.ResNet(width=16)
    batch_norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(batch_norms) == 20
    read = {names.model_input("ResNet"), names.IMAGE_GRADIENT, names.output("fc")}
    read |= {names.output_gradient("fc")}
    read |= {names.LAYOUT, names.REQUEST, names.SECONDS}
    read |= {names.parameter("ResNet", "fc", kind) for kind in ("weight", "bias")}
    for module in batch_norms:
        read |= {names.output_gradient(module), names.running_mean(module), names.running_var(module)}
        read |= {
            names.epsilon(module),
            *(names.parameter("ResNet", module, kind) for kind in ("weight", "bias")),
        }
    assert written == read


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        (".*gradient.*bn.*output|.*gradient.*downsample.1.*output", 20),
        ("^(?=.*bias)(?:(?!fc).)*$", 20),
        (".*running_mean", 20),
        (".*running_var", 20),
        (".*bn.*weight|.*downsample.1.*weight", 20),
        ("ResNet_input_0$", 1),
        ("gradient/image$", 1),
        ("fc_output_0$", 1),
    ],
)
def test_the_notebooks_patterns_find_what_they_look_for(written, pattern, count):
    assert len([name for name in written if re.match(pattern, name)]) == count


def test_smdebugs_own_trial_reads_the_recording(recording):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from smdebug import modes
        from smdebug.trials import create_trial

        [worker] = recording.iterdir()
        trial = create_trial(str(worker))
        assert trial.steps(mode=modes.PREDICT) == [0, 1]
        logits = trial.tensor("fc_output_0").value(step_num=1, mode=modes.PREDICT)
        mean = trial.tensor("bn1.running_mean_output_0").value(step_num=0, mode=modes.PREDICT)
    assert logits.shape == (1, 43)
    assert mean.shape == (16,)


def test_constants_that_both_sides_need_are_equal(endpoint):
    from sagewatch.explain import layers
    from sagewatch.sandbox import attack, signfaces

    assert endpoint.model.MEAN == layers.IMAGENET_MEAN == attack._MEAN
    assert endpoint.model.STD == layers.IMAGENET_STD == attack._STD
    assert endpoint.model.INPUT_SIDE == attack.INPUT_SIDE
    assert endpoint.model.CLASS_COUNT == signfaces.CLASS_COUNT
