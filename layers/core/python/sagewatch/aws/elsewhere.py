"""``JobsElsewhere`` in SageMaker, looked at with the role that the spoke's template makes (deploy/spoke.yml).

Source: AWS STS AssumeRole; botocore's refreshable credentials.
"""

from __future__ import annotations

from typing import Any

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import ClientError
from botocore.session import get_session

from sagewatch.aws.client import CONFIG, read_code
from sagewatch.aws.sagemaker import SageMakerJobs
from sagewatch.errors import RetryError
from sagewatch.place import Place

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class SageMakerElsewhere:
    """Processing jobs of each place, by a client that is made once and renews its own credentials.

    Parameters
    ----------
    reader
        The role's name in every spoke, before its region: roles are an account's, spokes a region's. It names the hub's
        stack, account and region, so that one account can be the spoke of several.
    """

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._jobs: dict[Place, SageMakerJobs] = {}

    def describe_job_at(self, place: Place, name: str) -> dict[str, Any] | None:
        """The job as it is now; ``RetryError`` where the spoke does not let us look (yet)."""
        if place not in self._jobs:
            self._jobs[place] = SageMakerJobs(_build_client(place, self._reader))
        try:
            return self._jobs[place].describe_processing_job(name)
        except ClientError as error:
            if read_code(error) in _DENIED:
                role = name_reader(place, "aws", self._reader).rpartition("/")[2]
                raise RetryError(f"{role} of {place.account} may not be assumed") from error
            raise


def name_reader(place: Place, partition: str, reader: str) -> str:
    """ARN of the role that may look at a place's jobs.

    Examples
    --------
    >>> name_reader(Place("210987654321", "eu-west-1"), "aws", "sagewatch-prod-123456789012useast1")
    'arn:aws:iam::210987654321:role/sagewatch-prod-123456789012useast1-euwest1'
    """
    # A name holds 64 letters at most: regions are spelled without their hyphens (deploy/spoke.yml).
    return f"arn:{partition}:iam::{place.account}:role/{reader}-{place.region.replace('-', '')}"


class _Reader(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    """Credentials of the place's reader: fetched when they are first used, and again before they end."""

    METHOD = "sagewatch-reader"

    def __init__(self, place: Place, reader: str) -> None:
        super().__init__()
        self._place, self._reader = place, reader

    def load(self) -> DeferredRefreshableCredentials:
        """Credentials that fetch themselves."""
        ours = get_session()
        role = name_reader(self._place, ours.get_partition_for_region(self._place.region), self._reader)
        named = {"RoleSessionName": "sagewatch-ingest-report"}
        fetcher = AssumeRoleCredentialFetcher(
            ours.create_client, ours.get_credentials(), role, extra_args=named
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)


def _build_client(place: Place, reader: str) -> Any:
    theirs = get_session()
    theirs.register_component("credential_provider", CredentialResolver([_Reader(place, reader)]))
    return theirs.create_client("sagemaker", region_name=place.region, config=CONFIG)
