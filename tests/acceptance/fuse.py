"""Every call to the outside, watched: a function dies after one of them, or another one runs to its end between two."""

from __future__ import annotations

from collections.abc import Callable

from tests.acceptance.ears import Killed
from tests.acceptance.language import Story


def list_writes(story: Story) -> list[tuple[object, str]]:
    """The calls that change something outside: the table, the bus, the receivers, the queues that wake."""
    return [
        (story.world.state.items, "write"),
        (story.bus, "publish"),
        (story.ears, "hear"),
        (story.wakeups, "wake"),
        (story.wakeups, "give_up"),
    ]


class Fuse:
    """Kills the function after its nth write to the outside; ``deaths`` counts."""

    def __init__(self, story: Story, limit: int) -> None:
        self.left, self.blown, self.deaths = limit, False, 0
        for owner, name in list_writes(story):
            setattr(owner, name, self.watch(getattr(owner, name)))

    def watch(self, method):
        def call(*arguments, **more):
            result = method(*arguments, **more)
            self.left -= 1
            if self.left == 0:
                self.blown = True
                self.deaths += 1
                raise Killed
            return result

        return call


class Between:
    """Runs something else to its end, once, right before the nth call of the function to the outside.

    That is what a second Lambda looks like to the first: all of it happens between two of the first's calls.
    """

    def __init__(self, story: Story, number: int, act: Callable[[], None]) -> None:
        self.left, self.ran, self.act, self.story = number, False, act, story
        items = story.world.state.items
        for owner, name in [*list_writes(story), (items, "get"), (items, "query")]:
            setattr(owner, name, self.watch(getattr(owner, name)))

    def watch(self, method):
        def call(*arguments, **more):
            self.left -= 1
            if self.left == 0:
                self.ran = True
                self.story._happen(self.act)
            return method(*arguments, **more)

        return call
