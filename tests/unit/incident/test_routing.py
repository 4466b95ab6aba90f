from __future__ import annotations

import msgspec
import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.incident.routing import Route, Routed, build_labels, decide_receivers, parse_matcher
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
    ],
)
def test_matcher_holds(text, holds):
    assert parse_matcher(text).holds(CRITICAL) is holds


@pytest.mark.parametrize("text", ["severity", "colour=red", "severity=~crit.*", ""])
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
