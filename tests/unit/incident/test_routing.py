from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.incident.matching import build_labels, parse_matcher
from sagewatch.incident.routing import ALONE, Escalation, Route, Routed, Timers, build_group, decide_receivers
from tests.unit.incident.story import build_incident

CRITICAL = {"severity": "critical", "endpoint": "signs"}
WARNING = {"severity": "warning", "endpoint": "signs"}


def name_receivers(root, labels):
    return [routed.receiver for routed in decide_receivers(root, labels)]


def test_root_hears_of_everything_that_no_child_takes():
    root = Route("on-call", routes=(Route("pager", match=("severity=critical",)),))
    assert decide_receivers(root, WARNING) == (Routed("on-call", "default"),)


def test_child_that_matches_takes_it_from_its_parent():
    root = Route("on-call", routes=(Route("pager", match=("severity=critical",)),))
    assert decide_receivers(root, CRITICAL) == (Routed("pager", "default > severity=critical"),)


def test_continue_asks_the_next_sibling_too():
    root = Route(
        "on-call", routes=(Route("pager", match=("severity=critical",), continue_=True), Route("team"))
    )
    assert name_receivers(root, CRITICAL) == ["pager", "team"]
    assert name_receivers(root, WARNING) == ["team"]


def test_first_sibling_without_continue_ends_the_search():
    root = Route("on-call", routes=(Route("first"), Route("second")))
    assert name_receivers(root, CRITICAL) == ["first"]


def test_child_without_receiver_takes_its_parents():
    root = Route(
        "on-call", routes=(Route(match=("endpoint=signs",), routes=(Route("x", match=("severity=info",)),)),)
    )
    assert name_receivers(root, CRITICAL) == ["on-call"]


def test_receiver_that_is_reached_twice_hears_once():
    root = Route("on-call", routes=(Route("a", continue_=True), Route("a")))
    assert name_receivers(root, CRITICAL) == ["a"]


def test_tree_without_any_receiver_tells_nobody():
    assert decide_receivers(Route(), CRITICAL) == ()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("severity=critical", True),
        ("severity = critical", True),
        ('severity="critical"', True),
        ("severity!=critical", False),
        ("severity!=warning", True),
        ("variant=", True),
        ("variant!=", False),
        ('severity="', False),
        ("severity=~crit.*|info", True),
        ("severity=~crit", False),
        ("endpoint!~prod-.*", True),
        ("variant=~", True),
    ],
)
def test_matcher_holds(text, holds):
    assert parse_matcher(text).holds(CRITICAL) is holds


@pytest.mark.parametrize("text", ["severity", "colour=red", "severity=~(", ""])
def test_matcher_that_cannot_be_meant_names_itself(text):
    with pytest.raises(ConfigurationError) as refused:
        parse_matcher(text)
    assert refused.value.key == text


def test_route_reads_the_files_own_words():
    route = msgspec.convert({"receiver": "a", "match": ["severity=info"], "continue": True}, Route)
    assert route == Route("a", ("severity=info",), continue_=True)
    with pytest.raises(msgspec.ValidationError, match="recever"):
        msgspec.convert({"recever": "a"}, Route)


def test_every_label_of_an_incident_can_be_matched():
    for label, value in build_labels(build_incident()).items():
        assert parse_matcher(f"{label}={value}").holds(build_labels(build_incident()))


def test_timers_are_inherited_and_overridden_one_by_one():
    root = Route(
        "on-call",
        group_wait=timedelta(seconds=30),
        group_by=("endpoint",),
        routes=(Route(match=("severity=critical",), group_wait=timedelta(0)),),
    )
    (critical,) = decide_receivers(root, CRITICAL)
    (warning,) = decide_receivers(root, WARNING)
    assert critical.timers == Timers(group_by=("endpoint",), wait=timedelta(0))
    assert warning.timers == Timers(group_by=("endpoint",), wait=timedelta(seconds=30))


def test_escalation_names_who_hears_later_and_is_inherited():
    later = Escalation(after=timedelta(minutes=15), receiver="boss", match=("severity=critical",))
    root = Route("on-call", escalate=(later,), routes=(Route("team", match=("endpoint=signs",)),))
    assert [(one.receiver, one.after) for one in decide_receivers(root, CRITICAL)] == [
        ("team", timedelta(0)),
        ("boss", timedelta(minutes=15)),
    ]
    assert name_receivers(root, WARNING) == ["team"]


def test_who_hears_at_once_does_not_hear_again_by_escalation():
    later = Escalation(after=timedelta(minutes=15), receiver="on-call")
    assert decide_receivers(Route("on-call", escalate=(later,)), CRITICAL) == (Routed("on-call", "default"),)


def test_group_is_what_agrees_in_its_labels_on_one_route():
    shared = Routed("a", "default", Timers(group_by=("endpoint",)))
    alone = Routed("a", "default", Timers(group_by=(ALONE,)))
    assert build_group(shared, CRITICAL, "1") == build_group(shared, WARNING, "2")
    assert build_group(shared, CRITICAL, "1") != build_group(shared, {"endpoint": "churn"}, "1")
    assert build_group(alone, CRITICAL, "1") != build_group(alone, CRITICAL, "2")
    other_way = Routed("a", "default > x", Timers(group_by=("endpoint",)))
    assert build_group(shared, CRITICAL, "1") != build_group(other_way, CRITICAL, "1")


def test_what_flaps_has_one_group_whatever_differs_between_its_openings():
    """Neither an incident's name, nor its severity, nor the way that this leads."""
    labels = {"endpoint": "signs", "variant": "v", "kind": "k", "subject": "stop"}
    for group_by in ((ALONE,), ("endpoint", "severity")):
        timers = Timers(group_by=group_by)
        mild = build_group(
            Routed("a", "default", timers), {**labels, "severity": "warning"}, "1", flapping=True
        )
        bad = build_group(
            Routed("a", "default > x", timers), {**labels, "severity": "critical"}, "2", flapping=True
        )
        assert mild == bad
        assert mild != build_group(Routed("a", "default", timers), labels, "1")
    alone = Routed("a", "default", Timers(group_by=(ALONE,)))
    other = {**labels, "subject": "yield"}
    assert build_group(alone, labels, "1", flapping=True) != build_group(alone, other, "1", flapping=True)
