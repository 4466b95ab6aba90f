"""``sagewatch render``: a finding as its receivers would read it, sent to nobody."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from sagewatch.cli.terminal import say, say_lines
from sagewatch.errors import RejectedInputError
from sagewatch.finding import Finding
from sagewatch.incident.model import Entry, Incident, OpenRecord

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="Example: sagewatch render demo-out/findings.json --as mail")
@click.argument("finding", type=_FILE)
@click.option("--as", "form", type=click.Choice(["mail", "slack", "page"]), default="mail", show_default=True)
@click.option("--monitors", type=_FILE, help="Take the names of the classes from this file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file instead.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable output.")
def render(finding: Path, form: str, monitors: Path | None, out: Path | None, *, as_json: bool) -> None:
    """A finding as a mail, a Slack message or an incident page.

    FINDING is a JSON file: one finding, or the findings.json of an evidence bundle. The names of its classes are those
    of --monitors, or of classes.json beside it.
    """
    incident, entries = build_incident(read_findings(finding))
    text = _render(incident, entries, form, read_names(finding, incident.endpoint, monitors))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        say(json.dumps({"file": str(out)}) if as_json else f"written to {out}")
    elif as_json:
        click.echo(json.dumps({"form": form, "text": text}))
    else:
        say_lines(text)


def read_findings(path: Path) -> list[Finding]:
    """The findings of a file, in their order.

    Raises
    ------
    RejectedInputError
        The file holds none; says what is wrong with it.
    """
    try:
        decoded = msgspec.json.decode(path.read_bytes(), type=list[Finding] | Finding)
    except msgspec.MsgspecError as error:
        raise RejectedInputError(f"holds no finding: {error}", where=str(path)) from None
    found = decoded if isinstance(decoded, list) else [decoded]
    if not found:
        raise RejectedInputError("holds no finding", where=str(path))
    return found


def read_names(finding: Path, endpoint: str, monitors: Path | None) -> dict[str, str]:
    """The names of the endpoint's classes; empty where nobody tells them."""
    from sagewatch.flows.evidence import CLASSES, read_class_names
    from sagewatch.monitors import read_monitors

    if monitors is not None:
        watched = read_monitors(monitors).endpoints.get(endpoint)
        return dict(watched.capture.classes) if watched else {}
    beside = finding.parent / CLASSES
    return read_class_names(beside.read_bytes()) if beside.is_file() else {}


def build_incident(findings: list[Finding]) -> tuple[Incident, tuple[Entry, ...]]:
    """The incident that these findings make, with its trail."""
    from sagewatch.incident.decision import Open, OpenResolved, Resolve, Update
    from sagewatch.incident.lifecycle import decide_on_finding

    if len({finding.fingerprint for finding in findings}) > 1:
        raise RejectedInputError(
            "are of several incidents; one has the findings of one", where="these findings"
        )
    incident: Incident | None = None
    record: OpenRecord | None = None
    entries: tuple[Entry, ...] = ()
    for finding in findings:
        plain = msgspec.structs.replace(finding, staged=False)
        first = msgspec.structs.replace(plain, cleared_at=None)
        for one in (first, plain) if plain.cleared_at else (plain,):
            now = one.cleared_at or one.raised_at
            is_open = record is not None and record.incident_id is not None
            decision = decide_on_finding(one, record, incident if is_open else None, now)
            if isinstance(decision, Open | OpenResolved | Resolve | Update):
                incident, record = decision.incident, decision.record
                entries = (*entries, *decision.entries)
    if incident is None:
        raise RejectedInputError("make no incident", where="these findings")
    return incident, entries


def _render(incident: Incident, entries: tuple[Entry, ...], form: str, names: dict[str, str]) -> str:
    from sagewatch.alert.content import Announcement
    from sagewatch.alert.mail import render_mail
    from sagewatch.alert.outbox import Kind
    from sagewatch.alert.slack import render_slack
    from sagewatch.evidence.model import Dossier
    from sagewatch.evidence.page import build_page

    if form == "page":
        dossier = Dossier(incident=incident, made_at=incident.updated_at, entries=entries, class_names=names)
        return build_page(dossier).decode()
    kind = Kind.RESOLVED if incident.resolved_at else Kind.FIRING
    announcement = Announcement(kind=kind, incident=incident, class_names=names)
    if form == "slack":
        return json.dumps(render_slack(announcement), indent=2, ensure_ascii=False) + "\n"
    mail = render_mail(announcement)
    return f"Subject: {mail.subject}\n\n{mail.body}"
