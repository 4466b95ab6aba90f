"""``Objects`` in S3."""

from __future__ import annotations

from typing import BinaryIO, cast

from botocore.exceptions import ClientError

from sagewatch.aws.client import build_client, read_code, sorting_errors
from sagewatch.errors import RefusedError
from sagewatch.ports import StoredObject

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_THERE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class S3Objects:
    """Objects in S3 buckets."""

    def __init__(self) -> None:
        self._client = build_client("s3")

    def open_object(self, bucket: str, key: str) -> BinaryIO | None:
        """A stream over the object's bytes as they arrive, or None; ``RefusedError`` where it may not be read."""
        try:
            with sorting_errors():
                answer = self._client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if read_code(error) in {"NoSuchKey", "404"}:
                return None
            raise _refuse(error) from error
        return cast("BinaryIO", answer["Body"])

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object whole."""
        with sorting_errors():
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def create_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write the object where there is none; one that is there, or is just being written, stays as it is."""
        try:
            with sorting_errors():
                self._client.put_object(
                    Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
        except ClientError as error:
            if read_code(error) not in _THERE:
                raise

    def list_objects(self, bucket: str, prefix: str) -> list[str]:
        """All keys below the prefix."""
        return [one.key for one in self.describe_objects(bucket, prefix)]

    def describe_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """All objects below the prefix; ``RefusedError`` where the bucket may not be listed."""
        try:
            with sorting_errors():
                pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
                rows = [row for page in pages for row in page.get("Contents", [])]
        except ClientError as error:
            raise _refuse(error) from error
        return [StoredObject(row["Key"], row["Size"], row["ETag"].strip('"')) for row in rows]

    def list_after(self, bucket: str, prefix: str, after: str, most: int) -> list[str]:
        """The first keys behind another, in one call; ``RefusedError`` where the bucket may not be listed."""
        try:
            with sorting_errors():
                page = self._client.list_objects_v2(
                    Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=most
                )
        except ClientError as error:
            raise _refuse(error) from error
        return [row["Key"] for row in page.get("Contents", [])]

    def presign(self, bucket: str, key: str, expires_seconds: int) -> str:
        """A link that dies with its time or with the credentials that signed it, whichever is first."""
        return str(
            self._client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires_seconds
            )
        )


def _refuse(error: ClientError) -> RefusedError:
    message = str(error.response.get("Error", {}).get("Message", ""))
    return RefusedError(error.operation_name, read_code(error), message)
