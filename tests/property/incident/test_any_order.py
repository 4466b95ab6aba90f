"""Whatever the order in which findings come, and however often: every episode is told from begin to end."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sagewatch.alert.outbox import Policy
from sagewatch.incident.decision import Ignore
from sagewatch.incident.model import State
from sagewatch.incident.routing import Timers
from tests.unit.alert.test_outbox import Receiver
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


@given(
    shuffled_stories(), st.lists(st.booleans(), min_size=24, max_size=24), st.booleans(), st.integers(0, 40)
)
def test_each_receiver_hears_one_firing_and_then_one_resolved_of_each_incident(story, asked, in_place, wait):
    """The receiver is told after some of the changes only, as when deliveries lag."""
    world, receiver = World(), Receiver(Policy(in_place=in_place), Timers(wait=timedelta(seconds=wait)))
    told = {}

    def tell_all(now):
        receiver.tell(*world.incidents.values(), now=now)
        for name, member in receiver.members.items():
            states = told.setdefault(name, [])
            if member.told is not None and member.told not in states:
                states.append(member.told)

    for step, (finding, now) in enumerate(zip(story, asked, strict=False)):
        world.hear(finding)
        if now:
            tell_all(100 + step)
    for finding in story:
        world.hear(finding)
    tell_all(10_000)
    tell_all(20_000)
    assert set(told) == set(world.incidents)
    assert {states[-1] for states in told.values()} == {"resolved"}
    assert receiver.heard.count("resolved") <= receiver.heard.count("firing")
    assert receiver.ledger.told == "resolved"
