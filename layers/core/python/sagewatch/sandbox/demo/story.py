"""The story, act by act. What each act waits for is an event of the system, never a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.sandbox.demo.attacked import STOP
from sagewatch.sandbox.demo.commands import run_command
from sagewatch.sandbox.demo.driver import Driver, encode_png
from sagewatch.sandbox.demo.narrator import Narrator
from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.errors import ChildFailedError, SandboxError
from sagewatch.sandbox.processes import Child
from sagewatch.sandbox.traffic import Photographs, Traffic
from sagewatch.state import State

ENDPOINT = "traffic-signs"
ATTACKED = "attacked"
PATIENCE_SECONDS = 300.0
ATTACK_GIVES_UP_AT = 400


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes
    ----------
    baseline, clean
        Predictions from which normal is learned, and clean ones after them that must raise nothing.
    attacked_images
        Distinct attacked pictures, sent in turn.
    attacked_share
        Share of attacked pictures in the attacked traffic.
    """

    baseline: int = 400
    clean: int = 520
    attacked_images: int = 24
    attacked_share: float = 0.8
    seed: int = 14


@dataclass(frozen=True, kw_only=True)
class Told:
    """What happened, for the summary.

    Attributes
    ----------
    sent_clean, sent_attacked
        Requests before the attack and since it began.
    attack_began
        Wall-clock time at which the first attacked picture was sent.
    """

    raised: dict[str, Any]
    incident_id: str
    sent_clean: int
    attack_began: float
    findings_before_attack: int
    seconds: float


class StoryError(SandboxError):
    """The story did not go on."""

    def __init__(self, waited_for: str, logs: Path) -> None:
        super().__init__(f"Waited in vain for {waited_for}. The parts' logs are in {logs}.")
        self.waited_for = waited_for


def play(stage: Stage, traffic: Traffic, plan: Plan, narrator: Narrator) -> Told:
    """Play the whole story and say what happened.

    Raises
    ------
    StoryError
        Something that must happen did not; names it and where the logs are.
    """
    began = time.monotonic()
    rng = np.random.default_rng(plan.seed)
    narrator.follow(stage.recorder)
    attack = start_attack(stage, traffic, plan)
    try:
        deploy_endpoint(stage, narrator)
        driver = Driver(stage.aws, ENDPOINT)
        _send_clean(driver, traffic, plan.baseline, rng, narrator, "learning what is normal")
        _send_clean(driver, traffic, plan.clean, rng, narrator, "clean traffic")
        findings_before = len(stage.recorder.heard("Finding Raised"))
        sent_clean = len(driver.answered)
        narrator.say(f"{sent_clean} clean predictions, {findings_before} findings")
        pictures = _wait_for_pictures(stage, attack, narrator, plan)
    finally:
        attack.stop()
    attack_began = time.time()  # noqa: TID251 (an edge)
    raised, opened = _attack(stage, driver, traffic, pictures, plan, rng, narrator)
    _recover(stage, driver, traffic, opened["detail"]["incident_id"], rng, narrator)
    return Told(
        raised=raised["detail"],
        incident_id=opened["detail"]["incident_id"],
        sent_clean=sent_clean,
        attack_began=attack_began,
        findings_before_attack=findings_before,
        seconds=time.monotonic() - began,
    )


def deploy_endpoint(stage: Stage, narrator: Narrator) -> None:
    """Deploy the endpoint by our own command, as its user would."""
    narrator.act("sagewatch deploy-endpoint traffic-signs")
    said = run_command(
        stage,
        "deploy-endpoint", ENDPOINT,
        "--bucket", stage.outputs["CaptureBucket"],
        "--capture-prefix", stage.outputs["CapturePrefix"],
        "--role", stage.outputs["SageMakerRoleArn"],
        "--poll", "1",
    )  # fmt: skip
    narrator.say(said)


def start_attack(stage: Stage, traffic: Traffic, plan: Plan) -> Child:
    """Begin to make attacked pictures; they are needed only when the clean traffic is over."""
    (stage.aws.directory / ATTACKED).mkdir()
    chosen = ["--images", str(traffic.folder)] if isinstance(traffic, Photographs) else []
    return Child(
        "the attack",
        [
            "-m", "sagewatch.sandbox.demo.attacked", "--root", str(stage.root), "--count", str(plan.attacked_images),
            "--seed", str(plan.seed + 1), "--out", str(stage.aws.directory / ATTACKED), *chosen,
        ],
        environment={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        log=stage.aws.logs / "attack.log",
        outbound_log=stage.aws.outbound_log,
    )  # fmt: skip


def _wait_for_pictures(stage: Stage, attack: Child, narrator: Narrator, plan: Plan) -> list[bytes]:
    folder, made = stage.aws.directory / ATTACKED, 0
    with narrator.progress("attacking pictures (targeted DeepFool)", plan.attacked_images) as bar:
        while attack.running:
            there = len(list(folder.glob("*.png")))
            bar.advance(there - made)
            made = there
            time.sleep(0.1)
    if attack.process.returncode:
        raise ChildFailedError("the attack", "could not make its pictures", attack.log)
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def _send_clean(
    driver: Driver, traffic: Traffic, count: int, rng: np.random.Generator, narrator: Narrator, label: str
) -> None:
    narrator.act(f"{label}: {count} predictions")
    with narrator.progress(label, count) as bar:
        driver.send_all((encode_png(one.image) for one in traffic.sample(count, rng)), bar)


def _attack(
    stage: Stage,
    driver: Driver,
    traffic: Traffic,
    pictures: list[bytes],
    plan: Plan,
    rng: np.random.Generator,
    narrator: Narrator,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attack until the diagnosis has seen enough; the finding and the incident that came of it."""
    narrator.act(f"attack: {plan.attacked_share:.0%} of the traffic is pushed to class {STOP} (Stop)")
    supply = cycle(pictures)
    clean = cycle([encode_png(one.image) for one in traffic.sample(40, rng)])
    stop = threading.Event()

    def send_on() -> None:
        while not stop.is_set():
            driver.send(next(supply) if rng.random() < plan.attacked_share else next(clean))
            time.sleep(0.05 if stage.recorder.heard("Incident Opened") else 0.0)

    sender = threading.Thread(target=send_on, name="attacker", daemon=True)
    sender.start()
    try:
        raised = wait_for_event(
            stage,
            lambda e: e["detail-type"] == "Finding Raised" and not e["detail"].get("staged"),
            "a finding",
        )
        fingerprint = raised["detail"]["fingerprint"]
        opened = wait_for_event(
            stage,
            lambda e: e["detail-type"] == "Incident Opened" and e["detail"]["fingerprint"] == fingerprint,
            "an incident",
        )
        wait_for_event(
            stage,
            lambda e: e["detail-type"] in {"Diagnosis Finished", "Diagnosis Abandoned"},
            "the diagnosis",
        )
    finally:
        stop.set()
        sender.join(30)
    return raised, opened


def _recover(
    stage: Stage,
    driver: Driver,
    traffic: Traffic,
    incident_id: str,
    rng: np.random.Generator,
    narrator: Narrator,
) -> None:
    narrator.act("clean traffic returns")

    def over(event: dict[str, Any]) -> bool:
        return bool(
            event["detail-type"] == "Incident Resolved" and event["detail"]["incident_id"] == incident_id
        )

    with narrator.progress("clean traffic", None) as bar:
        for _ in range(ATTACK_GIVES_UP_AT // 20):
            driver.send_all((encode_png(one.image) for one in traffic.sample(20, rng)), bar)
            if stage.recorder.wait_for(over, 0.2):
                break
    wait_for_event(stage, over, "the resolution")
    wait_for_messages(stage, incident_id)


def wait_for_messages(stage: Stage, incident_id: str) -> None:
    """Until every receiver that was told of the incident has been told of its end, and the mails are there."""
    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        debts = state.load_debts(incident_id)
        mails_sent = 2 * sum(debt.receiver.endswith("/mail") for debt in debts)
        told = all(debt.told == "resolved" for debt in debts)
        if debts and told and len(stage.inbox.mails()) >= mails_sent:
            # The page that lists these messages is written after them, by the same call.
            stage.aws.worker.wait_until_idle()
            return
        time.sleep(0.2)
    raise StoryError("every receiver to hear of the end", stage.aws.logs)


def wait_for_event(stage: Stage, wanted: Any, what: str) -> dict[str, Any]:
    """The first event for which ``wanted`` holds; ``StoryError`` names what never came."""
    event = stage.recorder.wait_for(wanted, PATIENCE_SECONDS)
    if event is None:
        raise StoryError(what, stage.aws.logs)
    return event
