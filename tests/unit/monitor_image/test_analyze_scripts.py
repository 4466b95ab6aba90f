"""A monitoring job with scripts of its owner's: what they do wrong is named by place and quotes nothing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from sagewatch.container import describe_end
from tests.unit.monitor_image.container import DATA, put_script, run_program, start_program
from tests.unit.quality.records import capture_line

QUOTES = (
    "raise ValueError(r.endpoint_input.data)",
    "{}[r.endpoint_input.data]",
    "exit(r.endpoint_input.data)",
)


@pytest.mark.parametrize("does", QUOTES)
def test_a_scripts_error_is_located_and_nothing_of_what_was_captured_is_in_the_message(
    container, capfd, does
):
    container.captures([capture_line("4711,hidden", event_id="e-7")])
    script = put_script(container, f"def preprocess_handler(r):\n    {does}\n")
    assert container.run(record_preprocessor_script=script) == 1
    assert container.message.startswith("s.py: line ")
    assert container.message.endswith("line 1 (record e-7)")
    said = capfd.readouterr()
    assert "4711" not in container.message + said.out + said.err


def test_a_postprocessors_error_tells_nothing_of_what_it_read(container):
    container.captures([capture_line("4711,hidden")])
    data = container.root / DATA
    body = f"import pathlib\ndef postprocess_handler():\n    raise ValueError([p.read_text() for p in pathlib.Path({str(data)!r}).rglob('*.jsonl')])\n"
    assert container.run(post_analytics_processor_script=put_script(container, body)) == 1
    assert container.message == "s.py: line 3: ValueError"


@pytest.mark.parametrize("body", ["import not_there\n", "def preprocess_handler(r):\n    import not_there\n"])
def test_a_module_that_is_not_in_the_image_is_named(container, body):
    container.captures([capture_line()])
    assert container.run(record_preprocessor_script=put_script(container, body)) == 1
    assert "ModuleNotFoundError" in container.message
    assert "not_there" in container.message


@pytest.mark.parametrize("code", ["0", "3", ""])
@pytest.mark.parametrize("kind", ["preprocess", "postprocess"])
def test_a_script_that_ends_the_program_fails_the_job_and_is_named(container, kind, code):
    container.captures([capture_line()])
    record = "r" if kind == "preprocess" else ""
    script = put_script(container, f"import sys\ndef {kind}_handler({record}):\n    sys.exit({code})\n")
    variable = "record_preprocessor_script" if kind == "preprocess" else "post_analytics_processor_script"
    assert container.run(**{variable: script}) == 1
    assert container.message.startswith("s.py: line 3: it ended the program")


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("os._exit(0)", 1, "a script of its job ended it (exit code 0)"),
        ("os._exit(7)", 7, "a script of its job ended it (exit code 7)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed, for want of memory most likely (SIGKILL)"),
        (
            "os.kill(os.getppid(), signal.SIGTERM), os.read(os.pipe()[0], 1)",
            143,
            "somebody stopped it, or its time was up (SIGTERM)",
        ),
    ],
)
def test_a_program_that_is_ended_has_failed_and_left_a_message(container, end, code, said):
    container.captures([capture_line()])
    script = put_script(container, f"import os, signal\ndef preprocess_handler(r):\n    {end}\n")
    done = run_program(container, record_preprocessor_script=script)
    assert (done.returncode, container.message) == (
        code,
        f"The program was ended before it was done: {said}.",
    )


def test_a_postprocessor_that_ends_the_program_as_if_all_was_well_fails_the_job(container):
    container.captures([capture_line()])
    script = put_script(container, "import os\ndef postprocess_handler():\n    os._exit(0)\n")
    done = run_program(container, post_analytics_processor_script=script)
    assert (done.returncode, container.message) == (1, describe_end(0))


def test_a_job_that_is_stopped_stops_and_leaves_no_process_behind(container):
    container.captures([capture_line()])
    body = "import os, pathlib, time\ndef preprocess_handler(r):\n    pathlib.Path({!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    place = container.root / "pid"
    script = put_script(container, body.format(str(place)))
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        with start_program(container, record_preprocessor_script=script) as program:
            wait_until(lambda: place.exists() and place.read_text())
            program.send_signal(number)
            assert program.wait(10) == code
        wait_until(lambda: is_gone(int(place.read_text())))
        place.unlink()


def is_gone(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_record_of_too_many_values_is_refused_at_once(container):
    container.captures([capture_line()])
    body = "def preprocess_handler(r):\n    return {str(i): i for i in range(10_001)}\n"
    assert container.run(record_preprocessor_script=put_script(container, body)) == 1
    assert "s.py: returned a record of 10001 values; at most 10000 are read" in container.message


def test_the_postprocessor_runs_after_the_reports_are_there(container):
    script = container.root / "opt/post.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import pathlib\n"
        f"OUT = pathlib.Path({str(container.root)!r}) / 'opt/ml/processing/output'\n"
        "def postprocess_handler():\n    (OUT / 'seen').write_text(str((OUT / 'statistics.json').exists()))\n"
    )
    container.captures([capture_line()])
    assert container.run(post_analytics_processor_script="/opt/post.py") == 0
    assert container.output("seen") == b"True"


@pytest.mark.parametrize("records", [3, 30_000], ids=["one process", "several"])
def test_a_thread_that_a_script_left_does_not_keep_the_job(container, records):
    container.captures([capture_line()] * records)
    script = container.root / "threads.py"
    script.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
        "def preprocess_handler(record):\n    return {'a': 1}\n"
    )
    done = run_program(container, record_preprocessor_script="/threads.py")
    assert (done.returncode, container.message) == (
        0,
        "Completed: Job completed successfully with no violations.",
    )
