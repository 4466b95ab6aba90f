"""``Objects`` in S3."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, TypeVar, cast

from botocore.exceptions import ClientError, IncompleteReadError

from sagewatch.aws.client import BRISK, BRISK_ONCE, CONFIG, build_client, read_code, sorting_errors
from sagewatch.aws.deadline import Turns
from sagewatch.errors import RefusedError, RetryError
from sagewatch.ports import StoredObject

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
T = TypeVar("T")
_THERE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class S3Objects:
    """Objects in S3 buckets. What S3 refuses for good is a ``RefusedError``.

    Parameters
    ----------
    turns
        What time questions have behind which others wait; without it they have the time they take.
    brisk
        Others wait behind all that is asked and written here, and not behind ``list_after`` alone.
    """

    def __init__(self, turns: Turns | None = None, *, brisk: bool = False) -> None:
        self._client = build_client("s3", BRISK if brisk else CONFIG)
        self._turns = turns
        self._brisk = brisk

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the object's bytes as they arrive, or None; ``RefusedError`` where it may not be read."""
        try:
            with sorting_errors():
                answer = self._ask(partial(self._client.get_object, Bucket=bucket, Key=key))
        except ClientError as error:
            if read_code(error) in {"NoSuchKey", "404"}:
                return None
            raise _refuse(error) from error
        return cast("BinaryIO", _Body(answer["Body"]))

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object whole."""
        with _refusing():
            self._put(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object where there is none; one that is there, or is just being written, stays as it is."""
        try:
            with sorting_errors():
                self._put(Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")
        except ClientError as error:
            if read_code(error) not in _THERE:
                raise _refuse(error) from error

    def _put(self, **request: Any) -> None:
        patience = BRISK_ONCE if self._brisk else CONFIG
        self._ask(partial(build_client("s3", patience).put_object, **request))

    def _ask(self, call: Callable[[], T]) -> T:
        return self._turns.ask(call) if self._turns is not None and self._brisk else call()

    def list_objects(self, bucket: str, prefix: str) -> list[str]:
        """All keys below the prefix."""
        return [one.key for one in self.describe_objects(bucket, prefix)]

    def describe_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """All objects below the prefix; ``RefusedError`` where the bucket may not be listed."""

        def list_rows() -> list[dict[str, Any]]:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [row for page in pages for row in page.get("Contents", [])]

        with _refusing():
            rows = self._ask(list_rows)
        return [StoredObject(row["Key"], row["Size"], row["ETag"].strip('"')) for row in rows]

    def list_after(self, bucket: str, prefix: str, after: str, most: int) -> list[str]:
        """The first keys behind another, in one call; ``RefusedError`` where the bucket may not be listed."""
        list_page = partial(
            build_client("s3", BRISK).list_objects_v2,
            Bucket=bucket,
            Prefix=prefix,
            StartAfter=after,
            MaxKeys=most,
        )
        with _refusing():
            page = self._turns.ask(list_page) if self._turns else list_page()
        return [row["Key"] for row in page.get("Contents", [])]

    def presign(self, bucket: str, key: str, expires_seconds: int) -> str:
        """A link that dies with its time or with the credentials that signed it, whichever is first."""
        return str(
            self._client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires_seconds
            )
        )


class _Body(io.RawIOBase):
    """An object's bytes as they arrive; a stream that breaks off is a ``RetryError`` like any answer that did not come."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        with _sorting_breaks():
            return bytes(self._body.read(None if size is None or size < 0 else size))

    def readinto(self, buffer: Any) -> int:
        with _sorting_breaks():
            return int(self._body.readinto(buffer))

    def close(self) -> None:
        self._body.close()
        super().close()


@contextmanager
def _sorting_breaks() -> Iterator[None]:
    try:
        with sorting_errors():
            yield
    except IncompleteReadError as error:
        raise RetryError("incomplete_answer") from error


@contextmanager
def _refusing() -> Iterator[None]:
    """What S3 refuses for good, as a ``RefusedError``; the rest as ``sorting_errors`` sorts it."""
    try:
        with sorting_errors():
            yield
    except ClientError as error:
        raise _refuse(error) from error


def _refuse(error: ClientError) -> RefusedError:
    message = str(error.response.get("Error", {}).get("Message", ""))
    return RefusedError(error.operation_name, read_code(error), message)
