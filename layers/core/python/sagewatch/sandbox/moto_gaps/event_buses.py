"""A bus referred to in a template is its name, as in AWS; moto puts its own object into the referring property."""

from __future__ import annotations

from moto.events.models import EventBus


def fill() -> None:
    """Give the bus the name that `Ref` returns."""
    EventBus.physical_resource_id = property(lambda bus: bus.name)
