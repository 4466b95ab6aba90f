"""Where the data of a monitor's window lie: an endpoint's captures, a batch transform's manifests, ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagewatch.monitoring.window import Span, list_hours
from sagewatch.sandbox.sagemaker.job_files import split_uri
from sagewatch.sandbox.sagemaker.protocol import refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagewatch.sandbox.sagemaker.monitoring_kinds import MonitoredInput
    from sagewatch.sandbox.sagemaker.store import Store

NO_TRUTH = (
    'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in the '
    "selected region and that objects exist under that S3 prefix."
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Looks them up in the store and in S3."""

    store: Store
    s3: Any

    def find_captures(self, endpoint: str) -> tuple[str, list[str]]:
        """Where an endpoint's captures go, and its variants.

        Raises
        ------
        ApiError
            It is not there, or captures nothing.
        """
        record = self.store.endpoints.get(endpoint)
        capture = record.config.get("DataCaptureConfig") if record else None
        if record is None or not capture:
            raise refused(f'Endpoint "{endpoint}" does not exist, or has no data capture.')
        uri = str(capture["DestinationS3Uri"]).rstrip("/")
        return uri, [variant["VariantName"] for variant in record.config["ProductionVariants"]]

    def list_data(self, source: MonitoredInput, span: Span) -> tuple[str, list[str]]:
        """Where captures go, and what of them is in the window: folders of an endpoint, manifests of a batch transform."""
        if not source.endpoint:
            return source.captured_uri, self._list_manifests(source.captured_uri, span)
        uri, variants = self.find_captures(source.endpoint)
        folders = [f"{source.endpoint}/{variant}/{hour}" for variant in variants for hour in list_hours(span)]
        return uri, self.keep_filled(uri, folders)

    def keep_filled(self, uri: str, folders: Iterable[str]) -> list[str]:
        """Those folders below the URI that hold anything."""
        return [folder for folder in folders if self._list_keys(f"{uri}/{folder}/")]

    def find_truth(self, uri: str, span: Span) -> dict[str, str]:
        """Labels by their hour."""
        found = self.keep_filled(uri, list_hours(span))
        return {hour: f"{uri}/{hour}" for hour in found}

    def _list_manifests(self, uri: str, span: Span) -> list[str]:
        """What was sent to the transform, of which a baseline is made; that AWS looks there we infer."""
        bucket, _ = split_uri(uri)
        keys = [key for hour in list_hours(span) for key in self._list_keys(f"{uri}/input/{hour}/")]
        return [f"s3://{bucket}/{key}" for key in keys]

    def _list_keys(self, uri: str) -> list[str]:
        bucket, prefix = split_uri(uri)
        answer = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", [])]
