"""Whatever the order in which findings come, and however often: every episode is told from begin to end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagewatch.alert.outbox import Hold, Kind, Policy, decide_announcement, settle
from sagewatch.incident.decision import Ignore
from sagewatch.incident.model import Debt, State
from tests.unit.incident.story import World, at, build_finding

EPISODES = 4


def tell_episode(number):
    """Raised, raised again with more evidence, cleared: later episodes begin after earlier ones end."""
    start = 1000 * number
    name, raised = str(number), at(start + 10)
    return [
        build_finding(name, end=start + 10, raised_at=raised),
        build_finding(name, end=start + 20, raised_at=raised),
        build_finding(name, end=start + 30, cleared=start + 30, raised_at=raised),
    ]


STORY = [finding for number in range(EPISODES) for finding in tell_episode(number)]


@st.composite
def shuffled_stories(draw):
    """All of the story, in any order, some of it more than once."""
    repeated = draw(st.lists(st.sampled_from(range(len(STORY))), max_size=12))
    order = draw(st.permutations([*range(len(STORY)), *repeated]))
    return [STORY[index] for index in order]


@given(shuffled_stories())
def test_every_episode_is_in_one_incident_that_ends(story):
    world = World()
    for finding in story:
        world.hear(finding)
        opened = [one for one in world.incidents.values() if one.state is not State.RESOLVED]
        assert len(opened) <= 1
        assert opened == ([world.open_incident] if world.open_incident else [])
    assert world.open_incident is None
    held = [one.finding_id for incident in world.incidents.values() for one in incident.findings]
    assert sorted(held) == sorted({finding.finding_id for finding in STORY})
    assert all(one.cleared_at for incident in world.incidents.values() for one in incident.findings)


@given(shuffled_stories())
def test_story_heard_a_second_time_changes_nothing(story):
    world = World()
    for finding in story:
        world.hear(finding)
    for finding in story:
        assert isinstance(world.hear(finding), Ignore)


@given(shuffled_stories(), st.lists(st.booleans(), min_size=24, max_size=24), st.booleans())
def test_each_receiver_hears_one_firing_and_then_one_resolved_of_each_incident(story, asked, in_place):
    """The receiver is told after some of the changes only, as when deliveries lag."""
    world, debts, heard = World(), {}, []
    policy = Policy(in_place=in_place)

    def tell_all():
        for incident_id, incident in world.incidents.items():
            debt = debts.get(incident_id, Debt(incident_id=incident_id, receiver="r"))
            while not isinstance(decision := decide_announcement(incident, debt, at(0), policy), Hold):
                heard.append((incident_id, decision.kind))
                debt = settle(debt, decision, at(0), thread="1700.1")
            debts[incident_id] = debt

    for finding, now in zip(story, asked, strict=False):
        world.hear(finding)
        if now:
            tell_all()
    for finding in story:
        world.hear(finding)
    tell_all()
    for incident_id in world.incidents:
        kinds = [kind for told, kind in heard if told == incident_id and kind is not Kind.UPDATED]
        assert kinds == [Kind.FIRING, Kind.RESOLVED]
