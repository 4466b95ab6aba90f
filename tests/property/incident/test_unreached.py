"""What is called unreached hears of nothing, whatever is routed: held against the routing itself."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sagewatch.incident.matching import all_hold
from sagewatch.incident.possible import Known
from sagewatch.incident.routing import Escalation, Route, choose, walk
from sagewatch.incident.unreached import find_surely_unreached, find_unreached

KNOWN = Known(("signs", "churn"))
VALUES = {
    "severity": ["info", "warning", "critical"],
    "kind": ["no-data", "rejected", "acme-down"],
    "endpoint": ["signs", "churn", "test-signs"],
    "subject": ["14", "V17", "Va"],
}
MATCHERS = [
    "severity=critical", "severity!=info", "severity=~critical", "severity=~warning|critical", "severity!~c.*",
    "kind=no-data", "kind!=rejected", "kind=~acme-.*", "kind=~no-data|acme-.*", "endpoint=signs", "endpoint=~si.*",
    "endpoint!~test-.*", "endpoint!=signs", "subject=14", "subject=~V.*", "subject=~V1.*", "subject!=14",
]  # fmt: skip
RECEIVERS = st.sampled_from(["a", "b", "c"])
MATCH = st.lists(st.sampled_from(MATCHERS), max_size=2).map(tuple)
AFTER = st.integers(1, 3).map(lambda hours: timedelta(hours=hours))
ESCALATE = st.none() | st.lists(
    st.builds(Escalation, after=AFTER, receiver=RECEIVERS, match=MATCH), max_size=2
).map(tuple)
LEAF = st.builds(
    Route, receiver=st.none() | RECEIVERS, match=MATCH, continue_=st.booleans(), escalate=ESCALATE
)
INNER = st.builds(
    Route, receiver=st.none() | RECEIVERS, match=MATCH, continue_=st.booleans(), escalate=ESCALATE,
    routes=st.lists(LEAF, max_size=3).map(tuple),
)  # fmt: skip
ROOT = st.builds(Route, receiver=RECEIVERS, escalate=ESCALATE, routes=st.lists(INNER, max_size=3).map(tuple))
LABELS = st.fixed_dictionaries({label: st.sampled_from(values) for label, values in VALUES.items()})


@given(ROOT, st.lists(LABELS, min_size=20, max_size=20))
def test_nothing_that_is_called_unreached_ever_speaks(root, incidents):
    dead = list(find_unreached(root, KNOWN))
    for labels in incidents:
        led = list(walk(root, lambda matchers, labels=labels: all_hold(matchers, labels)))
        spoke = [node for one in led for node in one.through] + [one.escalation for one in choose(led)]
        assert not any(one is part for one in spoke for part in dead)


@given(ROOT, st.lists(st.sampled_from(VALUES["endpoint"]), unique=True))
def test_what_is_surely_unreached_is_unreached_whichever_endpoints_are_listed(root, endpoints):
    sure = {id(one) for one in find_surely_unreached(root)}
    assert sure <= {id(one) for one in find_unreached(root, Known(tuple(endpoints)))}
