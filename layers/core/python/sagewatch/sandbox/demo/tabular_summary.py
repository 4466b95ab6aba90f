"""What the second story came to: ``summary.json``, reports, pictures and the page, and a table for the eye."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from sagewatch.aws.dynamodb import DynamoItems
from sagewatch.sandbox.demo.commands import run_command
from sagewatch.sandbox.demo.stage import Stage
from sagewatch.sandbox.demo.summary import Alert, count_dead_letters, fetch_evidence, list_alerts
from sagewatch.sandbox.demo.tabular_data import BROKEN, DRIFTED
from sagewatch.sandbox.demo.tabular_story import Act, Told
from sagewatch.state import State

MOST_SECONDS = 180
SICK = {"drifted": DRIFTED, "broken": BROKEN}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of one run, as ``summary.json`` has them."""

    incident_id: str
    findings_on_clean_traffic: int
    acts: list[Act]
    report_to_alert_seconds: float
    alerts: list[Alert]
    page: str
    violations_page: str
    distributions_page: str
    story_seconds: float
    outbound_connections: int
    dead_letters: int


def summarise(stage: Stage, told: Told) -> Summary:
    """Collect the evidence into the output folder and work out the figures."""
    state = State(DynamoItems(stage.outputs["StateTable"], stage.aws.client("dynamodb")))
    violations_page, distributions_page = draw_pages(stage)
    return Summary(
        incident_id=told.incident_id,
        findings_on_clean_traffic=told.findings_on_clean_traffic,
        acts=told.acts,
        report_to_alert_seconds=told.alert_seconds,
        alerts=list_alerts(stage, state.load_entries(told.incident_id)),
        page=str(fetch_evidence(stage, told.incident_id)),
        violations_page=str(violations_page),
        distributions_page=str(distributions_page),
        story_seconds=round(told.seconds, 1),
        outbound_connections=len(stage.aws.outbound_attempts()),
        dead_letters=count_dead_letters(stage),
    )


def draw_pages(stage: Stage) -> tuple[Path, Path]:
    """The notebook's two pictures of the broken traffic, by our own commands."""
    report, baseline = str(stage.out / "reports" / "broken"), str(stage.out / "baseline")
    violations, distributions = stage.out / "violations.html", stage.out / "distributions.html"
    run_command(stage, "violations", report, "--html", str(violations))
    run_command(stage, "distributions", report, "--baseline", baseline, "--html", str(distributions))
    return violations, distributions


def find_wrong(summary: Summary) -> list[str]:
    """What is not as it must be; empty when all is well."""
    told = sorted((alert.receiver, alert.state) for alert in summary.alerts if alert.state != "updated")
    receivers = sorted({alert.receiver for alert in summary.alerts})
    wanted = sorted((receiver, state) for receiver in receivers for state in ("firing", "resolved"))
    checks = {
        f"{summary.findings_on_clean_traffic} findings on clean traffic": not summary.findings_on_clean_traffic,
        f"receivers were told {told}": bool(receivers) and told == wanted,
        f"it took {summary.story_seconds:.0f} s": summary.story_seconds < MOST_SECONDS,
        f"{summary.outbound_connections} connections to elsewhere": not summary.outbound_connections,
        f"{summary.dead_letters} dead letters": not summary.dead_letters,
    }
    wrong = [words for words, right in checks.items() if not right]
    for act in summary.acts:
        named = {feature for feature, _ in act.violations}
        missed = [feature for feature in SICK.get(act.name, ()) if feature not in named]
        wrong += [f"{act.name} traffic: nothing was said of {feature}" for feature in missed]
        if act.name not in SICK and act.violations:
            wrong.append(f"{act.name} traffic: violations of {sorted(named)}")
    return wrong


def build_table(summary: Summary, figures: Path, name: Callable[[str], str]) -> Table:
    """The figures for the eye.

    Parameters
    ----------
    figures
        Where they were written.
    name
        What a path is called.
    """
    table = Table(title="What happened", show_header=False, title_justify="left")
    for act in summary.acts:
        named = ", ".join(dict.fromkeys(feature for feature, _ in act.violations)) or "none"
        table.add_row(f"{act.name.capitalize()} traffic", f"{len(act.violations)} violations: {named}")
    sent = ", ".join(f"{a.receiver} {a.state}" for a in summary.alerts if a.state != "updated")
    table.add_row("Alerts", sent)
    table.add_row("From report to alert", f"{summary.report_to_alert_seconds:.1f} s")
    table.add_row("The monitor's job", f"{max(act.run_seconds for act in summary.acts):.1f} s at most")
    table.add_row("The story took", f"{summary.story_seconds:.0f} s")
    table.add_row("Incident page", name(summary.page))
    table.add_row("Violations", name(summary.violations_page))
    table.add_row("Distributions", name(summary.distributions_page))
    table.add_row("Figures", name(str(figures)))
    return table
