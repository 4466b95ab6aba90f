"""The second story: an endpoint on tabular data, its baseline, and what the monitor says of clean and of sick traffic.

What each act waits for is an event of the system. A run is asked for by our own command, with the act's own
window; what follows (report, finding, incident, messages) the deployed functions do by themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sagewatch.quality.violations import FILE_NAMES
from sagewatch.sandbox.demo.commands import run_command
from sagewatch.sandbox.demo.narrator import Narrator
from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.demo.story import wait_for_event, wait_for_messages
from sagewatch.sandbox.demo.tabular_data import (
    Row,
    draw_broken,
    draw_clean,
    draw_customers,
    draw_drifted,
    format_baseline,
    format_rows,
)
from sagewatch.sandbox.demo.tabular_endpoint import inference
from sagewatch.sandbox.demo.tabular_model import fit_model
from sagewatch.sandbox.deployment import STACK
from sagewatch.state import State

ENDPOINT = "churn"
ROWS_A_REQUEST = 3
SENDERS = 2
MONITORS = Path(__file__).parent / "tabular_monitors.yml"
CODE = Path(inference.__file__).parent
Draw = Callable[[int, np.random.Generator], list[Row]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything, in rows."""

    trained: int = 4000
    baseline: int = 2000
    each: int = 300
    seed: int = 14


@dataclass(frozen=True, kw_only=True)
class Act:
    """One stretch of traffic, and what the monitor said of it.

    Attributes
    ----------
    violations
        (feature, check) of each broken constraint.
    run_seconds
        From asking for the run to the end of its job.
    """

    name: str
    rows: int
    job: str
    message: str
    violations: list[tuple[str, str]]
    folder: str
    run_seconds: float


@dataclass(frozen=True, kw_only=True)
class Told:
    """What happened, for the summary."""

    incident_id: str
    findings_on_clean_traffic: int
    alert_seconds: float
    seconds: float
    acts: list[Act] = field(default_factory=list)


def play(stage: Stage, plan: Plan, narrator: Narrator) -> Told:
    """Play the whole story and say what happened.

    Raises
    ------
    SandboxError
        A command failed, or something that must happen did not.
    """
    began = time.monotonic()
    narrator.follow(stage.recorder)
    model = train(stage, plan, narrator)
    deploy(stage, narrator)
    make_baseline(stage, model, plan, narrator)
    rng = np.random.default_rng(plan.seed + 2)
    acts = [play_act(stage, "clean", draw_clean, plan, rng, narrator)]
    stage.aws.worker.wait_until_idle()
    findings_before = len(stage.recorder.heard("Finding Raised"))
    acts.append(play_act(stage, "drifted", draw_drifted, plan, rng, narrator))
    asked = time.monotonic()
    opened = wait_for_event(stage, lambda e: e["detail-type"] == "Incident Opened", "an incident")
    incident_id = str(opened["detail"]["incident_id"])
    wait_for_first_messages(stage, incident_id)
    alert_seconds = round(time.monotonic() - asked, 1)
    acts.append(play_act(stage, "broken", draw_broken, plan, rng, narrator))
    acts.append(play_act(stage, "recovered", draw_clean, plan, rng, narrator))
    wait_for_event(stage, lambda e: e["detail-type"] == "Incident Resolved", "the resolution")
    wait_for_messages(stage, incident_id)
    return Told(
        incident_id=incident_id,
        findings_on_clean_traffic=findings_before,
        alert_seconds=alert_seconds,
        seconds=time.monotonic() - began,
        acts=acts,
    )


def train(stage: Stage, plan: Plan, narrator: Narrator) -> dict[str, Any]:
    """Fit the model on drawn customers and write it where `deploy-endpoint` finds it."""
    narrator.act(f"training a churn model on {plan.trained} drawn customers")
    model = fit_model(draw_customers(plan.trained, np.random.default_rng(plan.seed)))
    (stage.out / ".sandbox" / inference.MODEL_FILE).write_text(json.dumps(model), encoding="utf-8")
    return model


def deploy(stage: Stage, narrator: Narrator) -> None:
    """Deploy the endpoint by our own command."""
    narrator.act(f"sagewatch deploy-endpoint {ENDPOINT}")
    said = run_command(
        stage,
        "deploy-endpoint", ENDPOINT,
        "--code", str(CODE),
        "--weights", str(stage.out / ".sandbox" / inference.MODEL_FILE),
        "--bucket", stage.outputs["CaptureBucket"],
        "--capture-prefix", stage.outputs["CapturePrefix"],
        "--role", stage.outputs["SageMakerRoleArn"],
        "--poll", "1",
    )  # fmt: skip
    narrator.say(said)


def make_baseline(stage: Stage, model: dict[str, Any], plan: Plan, narrator: Narrator) -> None:
    """Baseline by our own command, onto S3; then the schedule that monitors.yml asks for."""
    narrator.act(f"sagewatch baseline: {plan.baseline} customers; sagewatch monitor create {ENDPOINT}")
    rows = draw_clean(plan.baseline, np.random.default_rng(plan.seed + 1))
    data = stage.out / "baseline.csv"
    data.write_text(format_baseline(rows, lambda cells: inference.score(model, cells)), encoding="utf-8")
    folder = stage.out / "baseline"
    narrator.say(run_command(stage, "baseline", str(data), "--header", "--out", str(folder)))
    s3 = stage.aws.client("s3")
    for name in ("statistics.json", "constraints.json"):
        s3.upload_file(str(folder / name), stage.outputs["CaptureBucket"], f"baseline/{ENDPOINT}/{name}")
    narrator.say(run_command(stage, "monitor", "create", ENDPOINT, *find_stack(stage)))


def play_act(
    stage: Stage, name: str, draw: Draw, plan: Plan, rng: np.random.Generator, narrator: Narrator
) -> Act:
    """Send traffic of one kind, have it looked at, and fetch the report."""
    narrator.act(f"{name} traffic: {plan.each} customers, {ROWS_A_REQUEST} a request")
    start = wait_for_fresh_second()
    send(stage, draw(plan.each, rng), narrator, name)
    stage.aws.sagemaker.captures.flush(ENDPOINT)
    end = wait_for_fresh_second()
    asked = time.monotonic()
    said = run_command(
        stage,
        "monitor", "run", ENDPOINT, "--from", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "--wait", "--poll", "0.2", "--json", *find_stack(stage),
    )  # fmt: skip
    answer = json.loads(said)
    run_seconds = round(time.monotonic() - asked, 1)
    narrator.say(f"{answer['message']} [dim]({run_seconds} s)[/dim]")
    folder = fetch_report(stage, answer["report"], name)
    return Act(
        name=name,
        rows=plan.each,
        job=answer["job"],
        message=answer["message"],
        violations=read_violations(folder),
        folder=str(folder.relative_to(stage.out)),
        run_seconds=run_seconds,
    )


def send(stage: Stage, rows: list[Row], narrator: Narrator, label: str) -> None:
    """Ask the endpoint about every row, a few rows a request."""
    runtime: Any = stage.aws.client("sagemaker-runtime")
    bodies = [format_rows(rows[at : at + ROWS_A_REQUEST]) for at in range(0, len(rows), ROWS_A_REQUEST)]
    with narrator.progress(label, len(bodies)) as bar, ThreadPoolExecutor(SENDERS) as pool:

        def ask(body: str) -> None:
            runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=body, ContentType="text/csv")["Body"].read()
            bar.advance()

        list(pool.map(ask, bodies))


def wait_for_fresh_second() -> datetime:
    """The second that begins next: captures know the time to the second, and acts must not share one."""
    now = time.time()  # noqa: TID251 (an edge)
    time.sleep(int(now) + 1 - now)
    return datetime.fromtimestamp(int(now) + 1, UTC)


def wait_for_first_messages(stage: Stage, incident_id: str) -> None:
    """Until somebody was told of the incident, and no function has anything left to do."""
    from sagewatch.aws.dynamodb import DynamoItems

    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not any(
        entry.what == "alert_sent" for entry in state.load_entries(incident_id)
    ):
        time.sleep(0.1)
    stage.aws.worker.wait_until_idle()


def fetch_report(stage: Stage, uri: str, name: str) -> Path:
    """Copy a run's report out of S3."""
    folder = stage.out / "reports" / name
    folder.mkdir(parents=True, exist_ok=True)
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    s3 = stage.aws.client("s3")
    for row in s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", []):
        s3.download_file(bucket, row["Key"], str(folder / row["Key"].rpartition("/")[2]))
    return folder


def read_violations(folder: Path) -> list[tuple[str, str]]:
    """(feature, check) of each violation of a report."""
    rows = json.loads((folder / FILE_NAMES[0]).read_text(encoding="utf-8"))["violations"]
    return [(row["feature_name"], row["constraint_check_type"]) for row in rows]


def find_stack(stage: Stage) -> list[str]:
    """The options by which `monitor` finds the stack and what it watches."""
    return ["--stack", STACK, "--monitors", str(stage.out / ".sandbox" / "monitors.yml")]
