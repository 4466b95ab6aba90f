"""Tells the story while it happens: what the functions say on the bus, in words and with the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from sagewatch.report.judge import KINDS as REPORT_KINDS
from sagewatch.sandbox.demo.recorder import Recorder

_STAGES = {
    "swapping": "the endpoint is being swapped to its hooked twin",
    "observing": "hooked configuration verified by name; recording tensors",
    "restoring": "saliency job started; the original configuration is coming back",
    "explaining": "original configuration verified; nothing of ours is left; the job computes heat maps",
}


class Narrator:
    """Prints a line an event, above whatever progress bar is running.

    Parameters
    ----------
    console
        Where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def say(self, text: str, style: str = "") -> None:
        """One line of the timeline."""
        elapsed = time.monotonic() - self._began
        console = self._progress.console if self._progress else self.console
        console.print(f"[dim]{elapsed:6.1f} s[/dim]  {text}", style=style, highlight=False, soft_wrap=True)

    def act(self, title: str) -> None:
        """A new part of the story."""
        self.say(f"[bold]{title}[/bold]")

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[_Bar]:
        """A progress bar for as long as the block lasts."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            self._progress = progress
            task = progress.add_task(label, total=total)
            try:
                yield _Bar(progress, task)
            finally:
                self._progress = None

    def follow(self, recorder: Recorder) -> None:
        """Tell every event from now on, in a thread of its own."""
        threading.Thread(
            target=lambda: self.tell_all(recorder.follow()), name="narrator", daemon=True
        ).start()

    def tell_all(self, events: Iterable[Mapping[str, Any]]) -> None:
        """A line an event; none for what was told before."""
        told: set[tuple[str, ...]] = set()
        for event in events:
            name, words = name_news(event), tell_event(event)
            if words and name not in told:
                self.say(words)
            if name is not None:
                told.add(name)


class _Bar:
    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, by: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, by)


def name_news(event: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What an event says that is said once: a finding that lasts is heard of again, and so is what a duplicate tells."""
    kind, detail = event["detail-type"], event["detail"]
    match kind:
        case "Finding Raised":
            return kind, detail["finding_id"], detail["severity"]
        case "Finding Cleared":
            return kind, detail["finding_id"]
        case "Incident Opened" | "Incident Resolved":
            return kind, detail["incident_id"]
        case _:
            return None


def tell_event(event: Mapping[str, Any]) -> str | None:
    """An event in words; None for those that only repeat."""
    kind, detail = event["detail-type"], event["detail"]
    match kind:
        case "Finding Raised" | "Finding Cleared" if detail["kind"] in REPORT_KINDS:
            return tell_report(kind, detail)
        case "Finding Raised":
            evidence, window = detail["evidence"], detail["window"]
            on_trial = " [dim](on trial: recorded, not sent)[/dim]" if detail.get("staged") else ""
            beside = "the limit is" if detail["kind"] == "fixed-share" else "usually"
            return (
                f"[red]finding[/red] {detail['kind']}: class {detail['subject']} has "
                f"{evidence['observed']:.0%} of predictions, {beside} {evidence['expected']:.1%}; "
                f"{window['predictions']} predictions{on_trial}"
            )
        case "Finding Cleared":
            return f"[green]cleared[/green] {detail['kind']}: class {detail['subject']} is back to normal"
        case "Incident Opened":
            return f"[red]incident[/red] {detail['incident_id']} opened ({detail['severity']})"
        case "Incident Resolved":
            return f"[green]incident[/green] {detail['incident_id']} resolved by the evidence"
        case "Diagnosis Started":
            return "[cyan]diagnosis[/cyan] lease taken"
        case "Diagnosis Finished" | "Diagnosis Abandoned":
            return f"[cyan]diagnosis[/cyan] {kind.split()[1].lower()}: {detail['outcome']}"
        case "SageMaker Endpoint State Change":
            return f"[dim]endpoint {detail['EndpointStatus'].lower()} on {detail['EndpointConfigName']}[/dim]"
        case "SageMaker Processing Job State Change":
            return f"[dim]job {detail['ProcessingJobName']}: {detail['ProcessingJobStatus']}[/dim]"
        case _:
            return None


def tell_report(kind: str, detail: Mapping[str, Any]) -> str:
    """A monitoring job's finding in words: what it names, or why the job failed."""
    if kind == "Finding Cleared":
        return f"[green]cleared[/green] {detail['kind']}: {detail['subject']} is within its constraints"
    named = ", ".join(detail["counts"])
    return f"[red]finding[/red] {detail['kind']}: {detail['evidence']['observed']:.0f} violations ({named})"


def tell_stage(stage: str) -> str:
    """A stage of the diagnosis in words."""
    return _STAGES.get(stage, stage)
