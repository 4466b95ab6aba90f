"""Findings become incidents: one open incident a fingerprint, whatever comes in whatever order."""

from __future__ import annotations

from sagewatch.events import ActionRequested, Fact, FindingReported, IncidentChanged
from sagewatch.finding import Finding
from sagewatch.flows.act_on_request import carry_out
from sagewatch.flows.budget import hold_against_mutes
from sagewatch.flows.conflicts import retry_conflicts
from sagewatch.flows.incident_changes import build_change
from sagewatch.incident.closing import has_stayed_away, stay_away
from sagewatch.incident.decision import Change, Decision, Ignore, Note, Open, OpenResolved, Resolve
from sagewatch.incident.lifecycle import build_incident_id, decide_on_finding
from sagewatch.incident.model import Incident, State
from sagewatch.observability import get_logger
from sagewatch.world import World


def manage_incident(fact: Fact, world: World) -> None:
    """Fold a finding into its incident, or carry out what somebody asked for; say on the bus what changed."""
    if isinstance(fact, ActionRequested):
        carry_out(fact, world)
        return
    if not isinstance(fact, FindingReported):
        return
    finding = fact.finding
    decision = retry_conflicts(lambda: _decide_and_save(finding, world))
    changes = _list_changes(decision, finding, world)
    world.bus.publish(changes, world.now())
    get_logger().info(
        "finding_folded",
        decision=type(decision).__name__,
        reason=decision.reason,
        incident_id=None if isinstance(decision, Ignore | Note) else decision.incident.incident_id,
        fingerprint=finding.fingerprint,
        endpoint=finding.endpoint,
        variant=finding.variant,
    )


def _decide_and_save(finding: Finding, world: World) -> Decision:
    record = world.state.load_open(finding.fingerprint)
    open_id = record.incident_id if record else None
    incident = world.state.load_incident(open_id) if open_id else None
    now, flapping = world.now(), world.monitors.flapping
    if incident is not None and has_stayed_away(incident, flapping, min(now, finding.raised_at)):
        # The tick has not come to it yet: it was over before this one began.
        finish_clearing(incident.incident_id, world)
        return _decide_and_save(finding, world)
    decision = decide_on_finding(finding, record, incident, now, flapping)
    if isinstance(decision, Note):
        world.state.save_record(decision.record)
    elif not isinstance(decision, Ignore):
        decision = hold_against_mutes(decision, world)
        world.state.save_incident(decision.incident, decision.record, decision.entries)
    return decision


def _list_changes(decision: Decision, finding: Finding, world: World) -> list[IncidentChanged]:
    """What to publish.

    After a crash between saving and publishing the finding comes again as a duplicate: then everything
    that the incident has gone through is said once more; its hearers know how to take a repetition.
    """
    if isinstance(decision, Note):
        return []
    if isinstance(decision, Ignore):
        again = _find_told(finding, world)
        if again is None:
            return []
        names = ("opened", "resolved") if again.state is State.RESOLVED else ("opened",)
        return [build_change(again, name) for name in names]
    incident = decision.incident
    if isinstance(decision, Open):
        return [build_change(incident, "opened")]
    if isinstance(decision, OpenResolved):
        return [build_change(incident, "opened"), build_change(incident, "resolved")]
    return [build_change(incident, "resolved" if isinstance(decision, Resolve) else "updated")]


def _find_told(finding: Finding, world: World) -> Incident | None:
    """The incident that the finding opened, should it have opened one."""
    names = [
        build_incident_id(at, finding.fingerprint, suffix)
        for at in (finding.window.end, finding.raised_at)
        for suffix in (finding.finding_id, "")
    ]
    return next((one for name in names if (one := world.state.load_incident(name)) is not None), None)


def finish_clearing(incident_id: str, world: World) -> None:
    """Resolve an incident whose evidence has stayed away long enough."""

    def attempt() -> Change | Ignore:
        incident = world.state.load_incident(incident_id)
        record = world.state.load_open(incident.fingerprint) if incident else None
        if incident is None or record is None:
            return Ignore(reason="no_such_incident")
        decision = stay_away(incident, record, world.monitors.flapping, world.now())
        if not isinstance(decision, Ignore):
            decision = hold_against_mutes(decision, world)
            world.state.save_incident(decision.incident, decision.record, decision.entries)
        return decision

    decision = retry_conflicts(attempt)
    if not isinstance(decision, Ignore):
        world.bus.publish([build_change(decision.incident, "resolved")], world.now())
