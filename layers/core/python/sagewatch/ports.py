"""What flows need from the world, as Protocols. ``aws`` and ``memory`` each implement all of them.

Adapters translate failures: throttling, conflicts and busy resources are ``RetryError``; a thing that is
not there is None. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final, Protocol, TypeVar

import msgspec

from sagewatch.place import Place

ANY_VERSION: Final = -1
ABSENT: Final = 0


class Item(msgspec.Struct, frozen=True):
    """One row of the state table.

    Attributes
    ----------
    pk, sk
        Partition and sort key.
    body
        The row's value, encoded by ``state``.
    version
        Counts writes from 1.
    expires_at
        Epoch second after which the row may vanish; None keeps it.
    """

    pk: str
    sk: str
    body: bytes
    version: int = 1
    expires_at: int | None = None


class Write(msgspec.Struct, frozen=True):
    """One conditional write.

    Attributes
    ----------
    item
        The row as it shall be; its ``version`` is the new one.
    expect
        The version that must be there now: ``ABSENT`` for none, ``ANY_VERSION`` for no condition.
    """

    item: Item
    expect: int = ABSENT


class Items(Protocol):
    """The one table: conditional writes and ordered reads of a partition."""

    def get(self, pk: str, sk: str) -> Item | None:
        """The row, or None; always as of the last write."""
        ...

    def query(self, pk: str, sk_from: str = "", sk_to: str = "\U0010ffff") -> list[Item]:
        """The rows of a partition with ``sk_from <= sk <= sk_to``, in order of ``sk``."""
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """All of the writes, or none and ``ConflictError``."""
        ...

    def delete(self, pk: str, sk: str, expect: int) -> None:
        """Remove the row if it has that version, else ``ConflictError``."""
        ...


class StoredObject(msgspec.Struct, frozen=True):
    """What a listing says of an object; the entity tag changes with its content."""

    key: str
    size_bytes: int
    etag: str


class Objects(Protocol):
    """Objects in S3."""

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the object's bytes, or None where there is no such object."""
        ...

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object whole."""
        ...

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object where there is none; one that is there stays as it is."""
        ...

    def list_objects(self, bucket: str, prefix: str) -> list[str]:
        """All keys below the prefix, in order."""
        ...

    def describe_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """All objects below the prefix, in order of their keys."""
        ...

    def list_after(self, bucket: str, prefix: str, after: str, most: int) -> list[str]:
        """The first keys below the prefix that sort behind ``after``, so many at the most (up to 1000)."""
        ...

    def presign(self, bucket: str, key: str, expires_seconds: int) -> str:
        """A link that works until it expires or the credentials that signed it do."""
        ...


class OutgoingEvent(Protocol):
    """A fact of ours on its way to the bus."""

    @property
    def detail_type(self) -> str:
        """The event's name."""
        ...

    @property
    def detail(self) -> object:
        """The event's body, which encodes as JSON."""
        ...


class Bus(Protocol):
    """The event bus ``sagewatch``."""

    def publish(self, facts: Sequence[OutgoingEvent], at: datetime) -> None:
        """Put all facts on the bus, or raise ``RetryError`` where the bus took only some of them."""
        ...


class Metrics(Protocol):
    """CloudWatch metrics in the namespace ``Sagewatch``."""

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """One value for each name, under one set of dimensions."""
        ...


class Hosting(Protocol):
    """SageMaker endpoints. Dicts are AWS's own, as boto3 has them.

    What AWS refuses for good is a ``RefusedError``.
    """

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """The endpoint as it is now."""
        ...

    def describe_endpoint_config(self, name: str) -> dict[str, Any] | None:
        """The configuration."""
        ...

    def describe_model(self, name: str) -> dict[str, Any] | None:
        """The model."""
        ...

    def list_tags(self, arn: str) -> dict[str, str]:
        """A resource's tags."""
        ...

    def create_model(self, request: Mapping[str, Any]) -> None:
        """Make the model; one of that name that exists already is left as it is."""
        ...

    def create_endpoint_config(self, request: Mapping[str, Any]) -> None:
        """Make the configuration; one of that name that exists already is left as it is."""
        ...

    def update_endpoint(self, name: str, config_name: str, deployment: Mapping[str, Any]) -> None:
        """Start moving the endpoint to another configuration; ``RetryError`` while it is busy.

        ``DeclinedError`` where another deployment of the same move may be accepted.

        ``deployment`` is AWS's DeploymentConfig; empty moves all at once.
        """
        ...

    def delete_endpoint_config(self, name: str) -> None:
        """Remove the configuration; one that is gone already is fine."""
        ...

    def delete_model(self, name: str) -> None:
        """Remove the model; one that is gone already is fine."""
        ...


class Jobs(Protocol):
    """SageMaker processing jobs."""

    def create_processing_job(self, request: Mapping[str, Any]) -> None:
        """Start the job; one of that name that exists already is left as it is."""
        ...

    def describe_processing_job(self, name: str) -> dict[str, Any] | None:
        """The job as it is now."""
        ...

    def stop_processing_job(self, name: str) -> None:
        """Ask the job to stop; one that has ended is left as it is."""
        ...


class JobsElsewhere(Protocol):
    """Processing jobs of other accounts and regions: looked at, never touched."""

    def describe_job_at(self, place: Place, name: str) -> dict[str, Any] | None:
        """The job as it is now; ``RetryError`` where that place does not let us look."""
        ...


class Schedules(Protocol):
    """SageMaker's monitoring schedules. Dicts are AWS's own, as boto3 has them."""

    def list_monitoring_executions(
        self, endpoint: str, since: datetime, *, failed: bool = True
    ) -> list[dict[str, Any]]:
        """The runs of an endpoint's schedules after a time, or those alone that failed."""
        ...

    def list_monitoring_schedules(self, endpoint: str) -> list[dict[str, Any]]:
        """The schedules of an endpoint, of every kind of monitor."""
        ...


class Mail(Protocol):
    """The SNS topic that people subscribe to with their addresses."""

    def publish_mail(self, subject: str, body: str) -> str:
        """Send to all subscribers; the message's id. Raises ``DeliveryError``."""
        ...

    def publish_chat(self, message: Mapping[str, Any]) -> None:
        """Send to the topic that Amazon Q Developer brings into channels. Raises ``DeliveryError``."""
        ...


class TitledPicture(Protocol):
    """A picture with its title."""

    @property
    def title(self) -> str:
        """What stands beneath it."""
        ...

    @property
    def png(self) -> bytes:
        """The picture."""
        ...


class Chat(Protocol):
    """A Slack workspace."""

    def upload_pictures(self, receiver: str, handle: str, pictures: Sequence[TitledPicture]) -> None:
        """Put pictures into the thread of a posted message. Raises ``DeliveryError``."""
        ...

    def reply(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Post in the thread of a posted message. Raises ``DeliveryError``."""
        ...

    def post_message(self, receiver: str, message: Mapping[str, Any]) -> str:
        """Post and return the message's timestamp, its handle. Raises ``DeliveryError``."""
        ...

    def update_message(self, receiver: str, handle: str, message: Mapping[str, Any]) -> None:
        """Change a posted message in place. Raises ``DeliveryError``."""
        ...


class Letters(Protocol):
    """Mails that are composed to the last byte, and sent as they are."""

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:
        """Send. Raises ``DeliveryError``."""
        ...


class NoLetters:
    """``Letters`` of a place that sends none."""

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:
        """Send nothing."""


class Hooks(Protocol):
    """Whoever is told by a POST of JSON: PagerDuty, Slack's webhooks, anybody's own receiver."""

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Post to a receiver's channel, such as ``ml-on-call/pagerduty``. Raises ``DeliveryError``."""
        ...


class NoHooks:
    """``Hooks`` of a place that posts nothing."""

    def post_hook(self, target: str, body: Mapping[str, Any], at: datetime) -> None:
        """Post nothing."""


class Wakeups(Protocol):
    """The queue of ``deliver_alert``, as far as the flow itself writes to it."""

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """Deliver the fact after so long (at most 15 minutes; what is later is the tick's business)."""
        ...

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:
        """Keep the fact among the dead letters, with the reason in words; sent again, it is tried again."""
        ...


class NoWakeups:
    """``Wakeups`` of a place that has no such queue: the tick wakes, and the trail keeps what was given up."""

    def wake(self, fact: OutgoingEvent, at: datetime, after_seconds: float) -> None:
        """Leave it to the tick."""

    def give_up(self, fact: OutgoingEvent, at: datetime, reason: str) -> None:
        """Leave it to the trail."""


class Clock(Protocol):
    """Where the edges read the time."""

    def __call__(self) -> datetime:
        """Now, in UTC."""
        ...


T = TypeVar("T")


class Together(Protocol):
    """Independent pieces of work, done side by side where the world can: the slowest alone is waited for."""

    def __call__(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """The results in order; every piece is done, even where one of them raises."""
        ...


def one_by_one(works: Sequence[Callable[[], T]]) -> list[T]:
    """``Together`` where order matters more than time: tests, replays."""
    return [work() for work in works]


Pause = Callable[[float], None]
