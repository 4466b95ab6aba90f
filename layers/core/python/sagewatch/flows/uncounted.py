"""Before a stream is called silent: whether its captures lie in S3, and only wait to be counted.

After an outage of our own, and where S3's word of them comes late, the clock runs ahead of the counting. Whoever
would be woken then would find the endpoint well. But captures of which no word ever comes (notifications that were
switched off, a key that may not be used) must not hide that nothing is watched: so they are waited for, not for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sagewatch.capture import parse_key
from sagewatch.detect.first_capture import ANY_VARIANT
from sagewatch.errors import RefusedError, RejectedInputError, RetryError
from sagewatch.finding import Stream
from sagewatch.observability import get_logger
from sagewatch.state.streams import Unread
from sagewatch.world import World

PATIENCE: Final = timedelta(minutes=15)
"""So long captures may lie uncounted, none of their stream being counted meanwhile, before silence is told."""

LONGEST_PAUSE: Final = timedelta(minutes=5)
"""Between two looks, of which there is one a minute: after a longer one we were away, and the wait begins anew."""

KEYS_LOOKED_AT = 100
VARIANTS_LOOKED_AT = 10


def is_waiting(stream: Stream, silent_since: datetime, world: World) -> bool:
    """Whether captures that came since wait to be counted, and may: then nothing is to be said of silence yet.

    Parameters
    ----------
    silent_since
        The end of the last capture that is counted, or since when the first is expected.
    """
    # In a replay all that had come is counted; and what other accounts capture is not ours to list.
    if world.replay or world.folds is not None or world.find_place(stream.endpoint) != world.place:
        return False
    try:
        # What is counted may bear a later time than that: SageMaker's clock is not ours.
        counted = {one.key for one in world.state.load_segments(stream, silent_since)}
        key = next((one for one in _list_since(stream, silent_since, world) if one not in counted), None)
    except (RefusedError, RetryError) as error:
        get_logger().warning("captures_not_listed", endpoint=stream.endpoint, reason=str(error))
        return False
    if key is None:
        return False
    now, before = world.now(), world.state.load_unread(stream)
    goes_on = (
        before is not None and before.silent_since == silent_since and now - before.looked_at <= LONGEST_PAUSE
    )
    noticed_at = before.noticed_at if before and goes_on else now
    world.state.save_unread(stream, Unread(silent_since=silent_since, noticed_at=noticed_at, looked_at=now))
    waits = now < noticed_at + PATIENCE
    get_logger().warning(
        "captures_uncounted",
        endpoint=stream.endpoint,
        variant=stream.variant,
        key=key,
        decision="silence_not_told" if waits else "silence_told",
        reason="may_be_counted_soon" if waits else "waited_too_long",
    )
    return waits


def _list_since(stream: Stream, since: datetime, world: World) -> Iterator[str]:
    """Keys of the stream's captures that began after the second of a time."""
    root = world.settings.capture_prefix.strip("/")
    above = f"{root}/{stream.endpoint}/" if root else f"{stream.endpoint}/"
    for variant in _list_variants(above, world) if stream.variant == ANY_VARIANT else [stream.variant]:
        # A record's time has no fraction of a second, a file's name has: its own second tells nothing.
        after = f"{above}{variant}/{since:%Y/%m/%d/%H/%M-%S}-~"
        keys = world.objects.list_after(
            world.settings.capture_bucket, f"{above}{variant}/", after, KEYS_LOOKED_AT
        )
        yield from (key for key in keys if _has_begun(key, world))


def _has_begun(key: str, world: World) -> bool:
    try:
        return parse_key(key, world.settings.capture_prefix).first_at <= world.now()
    except RejectedInputError:
        return False


def _list_variants(above: str, world: World) -> Iterator[str]:
    """The endpoint's variants that have objects, each found behind the last."""
    after = ""
    for _ in range(VARIANTS_LOOKED_AT):
        keys = world.objects.list_after(world.settings.capture_bucket, above, after, 1)
        if not keys:
            return
        variant, _, rest = keys[0].removeprefix(above).partition("/")
        if rest:
            yield variant
        after = f"{above}{variant}/~" if rest else keys[0]
