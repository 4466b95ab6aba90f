"""What a diagnosis can order, and the step that orders it."""

from __future__ import annotations

import msgspec

from sagewatch.diagnose.model import Diagnosis


class EnsureHooked(msgspec.Struct, frozen=True):
    """Make the hooked model and configuration, where they do not exist yet."""


class RecreateOriginal(msgspec.Struct, frozen=True):
    """Make a configuration as the owner's was, from our clone of it: theirs was deleted while the endpoint recorded."""


class UpdateEndpoint(msgspec.Struct, frozen=True):
    """Ask for the endpoint to move to a configuration.

    Attributes
    ----------
    carefully
        By the endpoint's own deployment policy; else all at once, which no alarm can take back.
    """

    config: str
    carefully: bool = True


class StartJob(msgspec.Struct, frozen=True):
    """Start the saliency job on what was recorded."""


class StopJob(msgspec.Struct, frozen=True):
    """Stop the saliency job."""


class DeleteHooked(msgspec.Struct, frozen=True):
    """Remove the hooked configuration and model: ours, and no longer in use."""


Command = EnsureHooked | RecreateOriginal | UpdateEndpoint | StartJob | StopJob | DeleteHooked


class Step(msgspec.Struct, frozen=True):
    """What to do now and what to remember afterwards.

    Attributes
    ----------
    commands
        To be given in this order, once ``diagnosis`` has been written.
    reason
        Why, as a reason code; the audit trail keeps it.
    """

    diagnosis: Diagnosis
    commands: tuple[Command, ...]
    reason: str

    @property
    def waits(self) -> bool:
        """Whether there is nothing to do until the world changes."""
        return not self.commands and self.reason.startswith("waiting")


class Refuse(msgspec.Struct, frozen=True):
    """No diagnosis is begun, and why."""

    reason: str
