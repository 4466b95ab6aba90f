"""Every minute: whether each endpoint of monitors.yml was ever heard of."""

from __future__ import annotations

import msgspec

from sagewatch.detect.first_capture import WITHIN, Expectation, end_expectation, judge_expectation
from sagewatch.errors import ConflictError
from sagewatch.events import FindingReported
from sagewatch.flows.uncounted import is_waiting
from sagewatch.monitors import NoData
from sagewatch.observability import get_logger
from sagewatch.world import World


def notice_first_capture(endpoint: str, settings: NoData | None, world: World, *, seen: bool) -> None:
    """Expect an endpoint from the first look on, and tell once where it stays away for too long.

    Parameters
    ----------
    settings
        None where monitors.yml does not ask for it (any more): what was told of it ends.
    seen
        It has had a capture.
    """
    now = world.now()
    expected = world.state.load_expectation(endpoint)
    if settings is None:
        if expected is not None and expected.told is not None:
            world.bus.publish([FindingReported(end_expectation(expected.told, now, seen=seen))], now)
            # Asked for once more, it is expected from now on, and told as another finding.
            _save(msgspec.structs.replace(expected, since=now, told=None), world)
        return
    if expected is None:
        if not seen:
            _save(Expectation(endpoint=endpoint, since=now), world)
        return
    place = world.find_place(endpoint)
    finding = judge_expectation(
        expected, now, place, seen=seen, within=settings.after or WITHIN, staged=settings.staged
    )
    if finding is None or (finding.cleared_at is None and is_waiting(finding.stream, expected.since, world)):
        return
    # Told before it is remembered: a crash repeats the telling, and hearers know repetitions.
    world.bus.publish([FindingReported(finding)], now)
    _save(msgspec.structs.replace(expected, told=None if seen else finding), world)


def _save(expected: Expectation, world: World) -> None:
    try:
        world.state.save_expectation(expected)
    except ConflictError:
        get_logger().debug("expectation_saved_by_another", endpoint=expected.endpoint)
