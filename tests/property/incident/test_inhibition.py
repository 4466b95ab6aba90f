"""Who explains whom: the same answers as from asking everybody about everybody, which is what the words mean."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.incident.circles import find_components
from sagewatch.incident.inhibition import Explanations, Inhibition, Open
from sagewatch.incident.matching import all_hold

LABELS = {"endpoint": "ab", "kind": "xyz", "severity": "wc"}


def list_sources(incident_id, labels, rules, there):
    """The open incidents that explain this one, by any of the rules."""
    return [
        other
        for rule in rules
        if all_hold(rule.mutes, labels)
        for other in there
        if other.incident_id != incident_id
        and all_hold(rule.when, other.labels)
        and not (all_hold(rule.when, labels) and all_hold(rule.mutes, other.labels))
        and all(labels[label] == other.labels[label] for label in rule.equal)
    ]


def find_upstream(start, rules, there):
    """All that explain an incident, and what explains those; nothing where a root is among them, which is told."""
    found, waiting = {}, [start]
    while waiting:
        one = waiting.pop()
        sources = {
            other.incident_id: other for other in list_sources(one.incident_id, one.labels, rules, there)
        }
        if not sources:
            return {}
        waiting += [other for name, other in sources.items() if name not in found]
        found |= sources
    return found


def find_source(incident_id, labels, rules, there):
    """The first that explains it, unless it is the earliest of a circle that nothing outside explains."""
    sources = list_sources(incident_id, labels, rules, there)
    circle = find_upstream(Open(incident_id, labels), rules, there) if sources else {}
    speaks = min(circle, default="") == incident_id and all(
        incident_id in find_upstream(one, rules, there) for one in circle.values()
    )
    return None if speaks or not sources else sources[0]


labels = st.fixed_dictionaries({label: st.sampled_from(values) for label, values in LABELS.items()})
matchers = st.lists(
    st.builds(
        lambda label, negated, place: f"{label}{'!=' if negated else '='}{LABELS[label][place]}",
        st.sampled_from(sorted(LABELS)), st.booleans(), st.integers(0, 1),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
rules = st.lists(
    st.builds(
        Inhibition,
        when=matchers, mutes=matchers, equal=st.lists(st.sampled_from(sorted(LABELS)), max_size=2, unique=True).map(tuple),
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=400)
@given(rules, st.lists(labels, max_size=8), st.randoms(use_true_random=False), st.data())
def test_every_answer_is_that_of_asking_everybody_about_everybody(rules, known, random, data):
    there = [Open(f"i{number}", one) for number, one in enumerate(known)]
    random.shuffle(there)
    asked = [*there, Open("i3x", data.draw(labels))]  # who is not in the list yet
    if there:  # and who has changed since it was written
        asked.append(Open(data.draw(st.sampled_from(there)).incident_id, data.draw(labels)))
    explanations = Explanations(rules, there)
    for one in asked:
        expected = find_source(one.incident_id, one.labels, rules, there)
        assert explanations.find_source(one.incident_id, one.labels) == expected


def test_a_chain_that_is_long_is_no_reason_to_fail():
    chain = [[number + 1] for number in range(5000)] + [[4990]]
    circles = [sorted(circle) for circle in find_components(chain)]
    assert circles == [list(range(4990, 5001)), *([number] for number in range(4989, -1, -1))]
