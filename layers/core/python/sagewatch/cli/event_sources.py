"""Where a command looks events up: a file of them, or the archives of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagewatch.cli.store import open_store
from sagewatch.cli.terminal import say
from sagewatch.errors import RejectedInputError

if TYPE_CHECKING:
    from datetime import datetime

    from sagewatch.replay.recording import Event
    from sagewatch.replay.scene import Scene
    from sagewatch.settings import Settings

from_option = click.option("--from", "start", help="Read the stack's archives since then: a time, or 2h.")
to_option = click.option(
    "--to",
    "end",
    default="1s",
    help="Read the archives until then; default: now. Events arrive up to 10 minutes late.",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where events are looked up.

    Attributes
    ----------
    name
        The file, or the stack's archives.
    settings
        Whose rules they met.
    scene
        What lies beside the file; None where nothing does, or the events come from the archives.
    complete_until
        Until when the archives hold all there was: later events may still come. None for a file, which holds what it holds.
    """

    name: str
    events: list[Event]
    settings: Settings
    scene: Scene | None = None
    complete_until: datetime | None = None

    def find(self, which: str) -> Event:
        """An event by its number or its id.

        Raises
        ------
        RejectedInputError
            There is none.
        """
        for number, event in enumerate(self.events, 1):
            if which in {str(number), event.get("id")}:
                return event
        raise RejectedInputError("holds no such event", where=self.name, key=which)


def read_words(words: tuple[str, ...]) -> tuple[Path | None, str]:
    """The file, where one is named, and which event."""
    if len(words) > 2:  # noqa: PLR2004 - a file and a number
        raise click.UsageError("Name one event: [FILE] NUMBER|ID.")
    file = Path(words[0]) if len(words) > 1 else None
    if file is not None and not file.is_file():
        raise click.BadParameter(f"File '{file}' does not exist.", param_hint="FILE")
    return file, words[-1]


def read_source(file: Path | None, start: str | None, end: str, stack: str) -> Source:
    """The events of a file as they are, or of the stack's archives by time."""
    from sagewatch.replay.load import build_scene
    from sagewatch.replay.play import build_settings
    from sagewatch.replay.recording import load_events
    from sagewatch.replay.scene import SCENE_FILE, Scene, load_scene

    if (file is None) == (start is None):
        raise click.UsageError("Name a FILE, or a stretch of the stack's archives: --from 2h.")
    if file is not None:
        found = load_events([file])
        beside = file.parent / SCENE_FILE
        scene = load_scene(beside) if beside.is_file() else None
        settings = build_settings(scene or build_scene(found, Scene().capture_prefix))
        return Source(name=str(file), events=found, settings=settings, scene=scene)
    return _read_archives(str(start), end, stack)


def _read_archives(start: str, end: str, stack: str) -> Source:
    from sagewatch.cli.archives import find_complete, read_archives, tell_newest
    from sagewatch.cli.when import read_window
    from sagewatch.replay.keep import order_events

    store = open_store(stack)
    now = store.now()
    since, until = read_window(start, end, now)
    found = order_events(read_archives(stack, store.outputs["EventBus"], now, since, until))
    if newest := tell_newest(until, now):
        say(newest, err=True)
    return Source(
        name=f"the archives of {stack}",
        events=found,
        settings=store.world.settings,
        complete_until=find_complete(until, now),
    )
